package sinan

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan"
	"foresail.dev/sketch"
)

// lookback is how many seconds are looked at: the model looks at a few, and rates and rare endpoints at more.
const lookback = 60

// late is what may be observed at a time. A busy machine tells two or three seconds at once; they are looked at as one, since
// what is looked at are rates.
const late = 3 * tail.Interval

// observation is what one decision is made on.
type observation struct {
	app      *foresail.App
	at       time.Time            // end of the newest second
	seconds  []*foresail.Snapshot // that follow each other without a gap, oldest first
	steps    []tail.Step          // the newest of them, as many as the model looks at; fewer: there are fewer
	from     []foresail.Allocation
	have     []float64 // totals in effect, by ServiceID; NaN: not observed
	pending  []bool    // a change is under way
	close    string    // an endpoint that has not yet shown that it keeps well within its objective, and how it stands; empty: all have
	violated string    // the endpoint whose objective is missed now; empty: none
	now      now
}

// observe reads the history. It fails with ErrStale when the newest second is too old or is no second.
func (m *Manager) observe(h *foresail.History) (*observation, error) {
	o := &m.seen
	o.app = h.App()
	o.seconds = unbroken(h.Seconds(lookback))
	if len(o.seconds) == 0 {
		return nil, fmt.Errorf("sinan: no second was observed yet: %w", foresail.ErrStale)
	}
	newest := o.seconds[len(o.seconds)-1]
	o.at = newest.End
	if age := h.Now().Sub(o.at); age >= 2*tail.Interval || age < 0 {
		return nil, fmt.Errorf("sinan: the newest second observed ended at %s, and it is %s: %w",
			o.at.UTC().Format(time.TimeOnly), h.Now().UTC().Format(time.TimeOnly), foresail.ErrStale)
	}
	if d := newest.Duration(); d > late {
		return nil, fmt.Errorf("sinan: what is observed covers %v at a time and it decides on seconds: use a source that reports each second, or another manager", d)
	}
	o.steps = o.steps[:0]
	for _, s := range o.seconds[max(len(o.seconds)-m.model.Steps(), 0):] {
		o.steps = append(o.steps, tail.Observe(o.app, s))
	}
	o.violated = violated(o.app, o.seconds)
	o.close = unproven(o.app, after(o.seconds, m.state.Tightened), m.c.Headroom, len(o.seconds) == lookback)
	m.base(o, plan.Tail(h.Beats(int(tail.Interval/foresail.Beat)), tail.Interval))
	return o, nil
}

// unbroken are the newest of parts that follow each other without a gap and were heard of.
func unbroken(parts []*foresail.Snapshot) []*foresail.Snapshot {
	if len(parts) == 0 || parts[len(parts)-1].Stale {
		return nil
	}
	i := len(parts) - 1
	for i > 0 && !parts[i-1].Stale && parts[i-1].End.Equal(parts[i].Start) && parts[i-1].Duration() <= late {
		i--
	}
	return parts[i:]
}

// base fills in what candidates are made from.
func (m *Manager) base(o *observation, beats []*foresail.Snapshot) {
	n := len(o.app.Services)
	o.from, o.have, o.pending = sized(o.from, n), sized(o.have, n), sized(o.pending, n)
	w := &o.now
	w.grids, w.cores, w.floor, w.low = sized(w.grids, n), sized(w.cores, n), sized(w.floor, n), sized(w.low, n)
	w.used, w.busy, w.fixed = sized(w.used, n), sized(w.busy, n), sized(w.fixed, n)
	for i := range o.app.Services {
		svc := &o.app.Services[i]
		o.have[i] = math.NaN()
		st := plan.Latest(beats, foresail.ServiceID(i), foresail.SignalAllocation)
		from, known := plan.Wanted(svc, st)
		if svc.Gone {
			w.fixed[i] = true
			continue
		}
		o.from[i], w.cores[i] = from, from.Cores()
		if !known || from.Replicas == 0 {
			w.fixed[i] = true // nothing is known of it, or somebody scaled it to zero by hand
			continue
		}
		w.grids[i] = newGrid(svc.Bounds, from.Replicas, m.c.Unit)
		o.have[i], o.pending[i] = st.Allocation.Cores(), st.Pending != nil
		if g := &w.grids[i]; o.violated != "" && !o.pending[i] && w.cores[i] >= g.full-rounding {
			g.full = g.within(2 * g.full) // its replicas have all that they can have, and that is not enough
		}
		m.usage(o, i)
	}
}

// usage is what a service uses of its cores, and what it must have for that. What it is lowered to leaves room for how much
// its use varies from second to second: a service with a few requests in a second that each take long is busy for a while and
// then idle, and what comes meanwhile waits.
func (m *Manager) usage(o *observation, i int) {
	w := &o.now
	k := len(o.seconds)
	newest, _ := use(o.seconds[max(k-3, 0):], i)
	few, _ := use(o.seconds[max(k-m.model.Steps(), 0):], i)
	all, varies := use(o.seconds, i)
	top := peak(o.seconds, i)
	if math.IsNaN(newest) {
		w.fixed[i] = true // it may need more than it has, or less: nobody knows
		return
	}
	w.busy[i] = max(newest, few, all)
	most := m.c.Utilisation
	if o.close != "" {
		most = min(most, m.c.Tight)
	}
	w.low[i] = w.grids[i].up(max(w.busy[i]/most, all+bursts*varies, top/m.c.Utilisation))
	if mine := m.state.Services; i < len(mine) && o.at.Before(mine[i].Taught) {
		w.low[i] = max(w.low[i], w.grids[i].within(mine[i].Least))
	}
	if o.have[i] > 0 {
		w.used[i] = newest / o.have[i]
	}
	switch last := peak(o.seconds[k-1:], i); {
	case w.used[i] > m.c.Utilisation:
		w.floor[i] = w.grids[i].up(newest / m.c.Utilisation)
	case o.have[i] > 0 && last > saturated*o.have[i]:
		w.floor[i] = w.grids[i].up(last / m.c.Utilisation)
	}
}

// saturated is the share of its cores from which on a service that used it for a whole second is taken to have made requests
// wait: it did so for most of the periods that its limit is counted in.
const saturated = 0.9

// peak is the most that a service used in one of the seconds; 0: not observed.
func peak(seconds []*foresail.Snapshot, i int) (most float64) {
	for _, s := range seconds {
		if st := plan.Stats(s, foresail.ServiceID(i)); st != nil {
			if c, ok := st.Cores(s.Duration()); ok {
				most = max(most, c)
			}
		}
	}
	return most
}

// bursts is how many standard deviations above its mean what a service uses in a second may be without having to wait.
const bursts = 3

// use is the mean number of cores that a service used in seconds, over replicas, and the standard deviation of that; NaN: not
// observed.
func use(seconds []*foresail.Snapshot, i int) (mean, deviation float64) {
	n, sum, squares := 0.0, 0.0, 0.0
	for _, s := range seconds {
		if st := plan.Stats(s, foresail.ServiceID(i)); st != nil {
			if c, ok := st.Cores(s.Duration()); ok {
				n, sum, squares = n+1, sum+c, squares+c*c
			}
		}
	}
	mean = sum / n
	return mean, math.Sqrt(max(squares/n-mean*mean, 0))
}

// violated names an endpoint whose objective is missed in the newest second. An endpoint with few requests in a second is
// judged with those before, as results are: over as many seconds as it takes to have enough.
func violated(app *foresail.App, seconds []*foresail.Snapshot) string {
	for i := range app.Endpoints {
		o := app.Endpoints[i].Objective
		if o == nil {
			continue
		}
		requests, late := 0.0, 0.0
		for k := len(seconds) - 1; k >= 0; k-- {
			s := seconds[k]
			if !s.Has.Has(foresail.SignalEndpoints) || i >= len(s.Endpoints) {
				break
			}
			if k == len(seconds)-1 && s.Endpoints[i].Late <= 0 {
				break // whatever was is over
			}
			requests += s.Endpoints[i].Requests
			late += s.Endpoints[i].Late
			if requests >= float64(o.MinRequestsOrDefault()) && seconds[len(seconds)-1].End.Sub(s.Start) >= o.WindowOrDefault() {
				break
			}
		}
		if late > o.Allowed()*max(requests, float64(o.MinRequestsOrDefault()))*(1+1e-9) {
			return app.Endpoints[i].Name
		}
	}
	return ""
}

// after are the seconds that began at a time or later.
func after(seconds []*foresail.Snapshot, at time.Time) []*foresail.Snapshot {
	i := len(seconds)
	for i > 0 && !seconds[i-1].Start.Before(at) {
		i--
	}
	return seconds[i:]
}

// unproven names an endpoint that has not shown in seconds that it stays below the share headroom of its objective: its
// percentile is above, or it had fewer requests than a judgement takes and could still get them (all: there are no older
// seconds to be had, so what there is must do).
//
// The model sees latencies of all requests together and predicts a few seconds. An endpoint with five requests in a second is
// judged over twenty, and what it makes of an allocation shows in as many: a probability that is small for a few seconds may
// be large for those.
func unproven(app *foresail.App, seconds []*foresail.Snapshot, headroom float64, all bool) string {
	for i := range app.Endpoints {
		o := app.Endpoints[i].Objective
		if o == nil {
			continue
		}
		requests, late, slow := 0.0, 0.0, 0.0
		for _, s := range seconds {
			if !s.Has.Has(foresail.SignalEndpoints) || i >= len(s.Endpoints) {
				continue
			}
			e := &s.Endpoints[i]
			requests += e.Requests
			late += e.Late
			slow += e.Errors
			if e.Latency != nil {
				slow += above(e.Latency, headroom*o.Latency.Seconds())
			}
		}
		least := float64(o.MinRequestsOrDefault())
		switch {
		case max(slow, late) > o.Allowed()*max(requests, least)*(1+1e-9):
			return fmt.Sprintf("%s had %.0f of %.0f requests above %.0f %% of its objective", app.Endpoints[i].Name, max(slow, late), requests, headroom*100)
		case requests < least && !(all && len(seconds) >= lookback-1):
			return fmt.Sprintf("%s had %.0f of the %.0f requests that it is judged on", app.Endpoints[i].Name, requests, least)
		}
	}
	return ""
}

// above is how many of a sketch's values lie above a bound.
func above(s *sketch.Sketch, bound float64) (n float64) {
	for b, c := range s.Buckets() {
		if sketch.UpperBound(b) > bound {
			n += c
		}
	}
	return n
}

// Of the comparison of rates.
const (
	change     = 0.02 // a change of the load by less than this share is none
	compared   = 5    // seconds that are averaged
	deviations = 2    // what chance may make of the difference, in standard deviations
)

// steady reports whether the load lets something be lowered, and says why not.
//
// The artefact compares the rate of the newest second with that of the second before: 2 % or more is a change. Its users
// wait for their answers and are many. Where requests come independently of each other, 50 of them in a second vary by
// 14 % (a Poisson distribution's standard deviation is the root of its mean), and nothing would ever be lowered. So here the
// newest five seconds are compared with the five before, a difference counts when it is more than 2 % and chance together
// explain, and only a rise does: while the load falls, what was safe for more is safe.
func (m *Manager) steady(o *observation) (bool, string) {
	s := o.seconds
	if m.c.PublishedRate {
		if len(s) < 2 {
			return false, "the load of the second before is not known"
		}
		was, is := arrivals(s[len(s)-2:len(s)-1]), arrivals(s[len(s)-1:])
		if !(math.Abs(is-was) < change*was) {
			return false, fmt.Sprintf("the load changed from %.0f to %.0f requests/s", was, is)
		}
		return true, ""
	}
	k := min(compared, len(s)/2)
	if k == 0 {
		return false, "the load of the second before is not known"
	}
	was, is := arrivals(s[len(s)-2*k:len(s)-k]), arrivals(s[len(s)-k:])
	if !(is-was <= change*was+deviations*math.Sqrt(is+was)) {
		return false, fmt.Sprintf("the load rises from %.0f to %.0f requests/s", was/float64(k), is/float64(k))
	}
	return true, ""
}

// arrivals are the requests that came in parts, over all endpoints; NaN: not observed.
func arrivals(parts []*foresail.Snapshot) (n float64) {
	for _, p := range parts {
		if !p.Has.Has(foresail.SignalEndpoints) {
			return math.NaN()
		}
		for i := range p.Endpoints {
			n += p.Endpoints[i].Arrivals
		}
	}
	return n
}

// sized is a slice of n zeros, in the memory of s where that suffices.
func sized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}
