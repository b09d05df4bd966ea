package erms

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Manager is "erms".
type Manager struct {
	c        Config
	state    state
	profiles Profiles
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("erms: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Manager{c: c, profiles: newProfiles()}, nil
}

// Name is "erms".
func (m *Manager) Name() string { return "erms" }

// every is how often it looks whether another minute is over.
const every = 5 * time.Second

// Needs asks for call graphs and loads, minute by minute.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: every, Required: foresail.SignalShapes | foresail.SignalArrivals | foresail.SignalAllocation,
		Optional: foresail.SignalCPU | foresail.SignalReady | foresail.SignalEndpoints, Beats: 10, Seconds: int(looking / time.Second), Minutes: m.c.Window}
}

// stale is how long after the end of the newest minute it no longer says what is.
const stale = 2 * time.Minute

// Decide plans when another minute is over; in between it keeps what is. It errs when the newest minute is too long ago.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	s := &m.state
	if s.Last.After(h.Now()) { // time has jumped back
		s.Last = time.Time{}
	}
	minutes := plan.Tail(h.Minutes(m.c.Window), time.Duration(m.c.Window)*time.Minute)
	fresh := false
	for _, x := range minutes {
		if x.End.After(s.Last) && !x.Start.Before(s.Last) && x.Duration() >= time.Minute/2 && !x.Stale {
			s.Last, fresh = x.End, true
			if m.c.Explore == 0 { // nothing else teaches it
				m.profiles.Observe(h.App(), x)
			}
			m.remember(h.App(), x, minutes)
			s.Explored++
		}
	}
	switch {
	case s.Explored < m.c.Explore:
		if h.Last() == nil || h.Last().Stale {
			return nil, nil
		}
		return m.explore(h), nil
	case s.Last.IsZero():
		return nil, nil // the first minute is not over
	case h.Now().Sub(s.Last) >= stale:
		return nil, fmt.Errorf("erms: the newest minute observed ended at %s, %v ago: %w", s.Last.UTC().Format(time.TimeOnly),
			h.Now().Sub(s.Last).Round(time.Second), foresail.ErrStale)
	case !fresh:
		return nil, nil
	}
	return m.plan(m.survey(h, minutes)), nil
}

// want is how many containers a service should have, and why.
type want struct {
	replicas float64
	reason   foresail.Reason
}

// raise takes what asks for more; what asks for less is only noted.
func (x *want) raise(replicas float64, r foresail.Reason) {
	switch {
	case x.reason.Rule == "":
		*x = want{replicas, r}
	case replicas > x.replicas:
		r.Considered = append(r.Considered, fmt.Sprintf("%.0f replicas: %s", x.replicas, x.reason.Text))
		r.Considered = append(r.Considered, x.reason.Considered...)
		*x = want{replicas, r}
	default:
		x.reason.Considered = append(x.reason.Considered, fmt.Sprintf("%.0f replicas: %s", replicas, r.Text))
	}
}

// plan is the authors' plan for each of the newest minutes' loads, of which each service gets the most, and what else services need.
func (m *Manager) plan(w *world) *foresail.Plan {
	wants := make([]want, len(w.services))
	all := m.state.Minutes
	for k := len(all) - 1; k >= 0; k-- {
		w.at(&all[k], m.c.Headroom)
		now := make([]want, len(w.services))
		m.split(w, now)
		for i := range now {
			m.carry(w, foresail.ServiceID(i), &now[i])
			if now[i].reason.Rule != "" && (wants[i].reason.Rule == "" || now[i].replicas > wants[i].replicas) {
				if ago := len(all) - 1 - k; ago > 0 {
					now[i].reason.Text = fmt.Sprintf("what was called %d minutes before: %s", ago, now[i].reason.Text)
				}
				wants[i] = now[i]
			}
		}
	}
	for i := range w.services {
		m.keep(w, foresail.ServiceID(i), &wants[i])
	}
	var kept notes
	for i := range w.services {
		v := &w.services[i]
		switch {
		case v.svc.Gone || v.from.Replicas == 0 || !(v.from.CPU > 0):
			// nothing scales what was scaled to zero by hand
		case wants[i].reason.Rule == "":
			kept.add("kept, nothing is known of its load", v.svc.Name)
		default:
			w.set(foresail.ServiceID(i), wants[i])
		}
	}
	kept.tell(w.draft)
	return w.draft.Plan()
}

// split is the scaler: what each endpoint's objective takes of the services that it visits.
func (m *Manager) split(w *world, wants []want) {
	requests, of := m.requests(w)
	if len(requests) == 0 {
		return
	}
	how, other := Priority, Fair
	if m.c.Fair {
		how, other = Fair, Priority
	}
	got, instead := Scale(requests, how), Scale(requests, other)
	for r, e := range of {
		reachable := got.Feasible[r]
		for k, t := range got.Targets[r] {
			id := foresail.ServiceID(requests[r].Calls[k].Microservice)
			v := &w.services[id]
			if !v.modelled {
				continue // it has no part in the split: its latency is taken as it is
			}
			if t.Containers > v.most() {
				reachable = false
			}
			if !math.IsInf(t.Containers, 1) && got.Feasible[r] {
				wants[id].raise(max(t.Containers, 1), m.reason(w, e, id, &t, &instead))
			}
		}
		if !reachable {
			m.compromise(w, e, &requests[r], wants)
		}
	}
}

func (m *Manager) reason(w *world, e foresail.EndpointID, id foresail.ServiceID, t *Target, instead *Scaled) foresail.Reason {
	end := &w.app.Endpoints[e]
	order := "with all that others ask of it"
	if !m.c.Fair {
		order = "with what goes before it"
	}
	r := foresail.Reason{Rule: "erms/target", Text: fmt.Sprintf("%s (%v) leaves it %s of its own, by p95: that takes %.0f replicas for %.1f calls/s, %s",
		end.Name, end.Objective, millis(t.Latency), t.Containers, t.Workload, order)}
	if n := instead.Containers[int(id)]; n != t.Containers && !math.IsInf(n, 1) {
		if m.c.Fair {
			r.Considered = append(r.Considered, fmt.Sprintf("%.0f replicas: as many would do if calls with smaller targets went first", n))
		} else {
			r.Considered = append(r.Considered, fmt.Sprintf("%.0f replicas: as many it takes where no calls go first, and none do in this cluster", n))
		}
	}
	return r
}

// leastUsed is the share of its CPU that a container uses at least in the authors' data: what is less loaded is not known to be faster.
const leastUsed = 0.1

// compromise is for an endpoint whose objective the scaler can't split: the load of all services that it visits is moved
// alike from where it is with as many containers as there may be to the inflection, as far as the objective allows. Where
// it allows nothing, that is as far as the least latency there is, but for a hundredth.
func (m *Manager) compromise(w *world, e foresail.EndpointID, r *Request, wants []want) {
	at := func(far float64, id int) float64 { // the load of a container
		v := &w.services[id]
		least := max(v.load/v.most(), leastUsed*v.full)
		return least + far*max(v.model.Inflection-least, 0)
	}
	total := func(far float64) (float64, []float64) {
		return latency(r.Calls, func(i int) float64 {
			c := &r.Calls[i]
			v := &w.services[c.Microservice]
			if !v.modelled {
				return c.Constant
			}
			return c.times()*max(v.model.at(at(far, c.Microservice)), 0) + c.Constant
		})
	}
	sums := func(far float64) float64 { sum, _ := total(far); return sum }
	end := &w.app.Endpoints[e]
	least, parts := total(0)
	far := 0.0
	rule := "erms/compromise"
	text := fmt.Sprintf("%s (%v) can't be split by the scaler's rule: all that it visits are loaded alike, so far as the sum of p95 allows", end.Name, end.Objective)
	bound, limit := "", r.SLA
	if least > r.SLA {
		limit = least * 1.01
		worst := 0
		for i := range parts {
			if parts[i] > parts[worst] {
				worst = i
			}
		}
		name := w.app.Services[r.Calls[worst].Microservice].Name
		rule, bound = "erms/infeasible", name
		text = fmt.Sprintf("%s (%v) is out of reach: with as little load as there may be p95 add up to %s, %s of them at %s; this is within 1 %% of that",
			end.Name, end.Objective, millis(least), millis(parts[worst]), name)
	}
	for lo, hi := 0.0, 1.0; hi-lo > 1e-4; {
		if mid := (lo + hi) / 2; sums(mid) <= limit {
			lo, far = mid, mid
		} else {
			hi = mid
		}
	}
	done := map[int]bool{}
	for _, c := range r.Calls {
		if v := &w.services[c.Microservice]; v.modelled && !done[c.Microservice] {
			done[c.Microservice] = true
			n := v.most()
			if x := at(far, c.Microservice); far > 0 && x > 0 {
				n = min(math.Ceil(v.load/x-1e-9), n)
			}
			wants[c.Microservice].raise(max(n, 1), foresail.Reason{Rule: rule, Text: text, Bound: bound})
		}
	}
}

// carry sees to it that a service has the containers for its load, whatever its latency.
func (m *Manager) carry(w *world, id foresail.ServiceID, x *want) {
	v := &w.services[id]
	if v.modelled && !w.targeted[id] && v.model.Inflection > 0 {
		x.raise(max(math.Ceil(v.load/v.model.Inflection-1e-9), 1), foresail.Reason{Rule: "erms/load",
			Text: fmt.Sprintf("no endpoint with an objective and requests visits it: %.1f calls/s, at most %.1f each, up to where its latency bends", v.load, v.model.Inflection)})
	}
	if v.full > 0 {
		each := m.c.Full * v.full
		x.raise(max(math.Ceil(v.load/each-1e-9), 1), foresail.Reason{Rule: "erms/full",
			Text: fmt.Sprintf("%.1f calls/s, at most %.1f each: beyond, a container would use %.0f %% of its CPU", v.load, each, m.c.Full*100)})
	}
}

// keep sees to it that a service has the CPU that it used in the newest minute, and more where that was all it had.
func (m *Manager) keep(w *world, id foresail.ServiceID, x *want) {
	v := &w.services[id]
	if v.used < 0 || !(v.from.CPU > 0) {
		return
	}
	need := func(share float64) float64 { return max(math.Ceil(v.used/(share*v.from.CPU)-1e-9), 1) }
	switch {
	case v.spent:
		x.raise(need(relief), foresail.Reason{Rule: "erms/spent",
			Text: fmt.Sprintf("it used up its CPU, %.2f cores, so that calls have queued up: %.0f %% of %.2f each", v.used, relief*100, v.from.CPU)})
	case !v.modelled:
		x.raise(need(m.c.CPU), foresail.Reason{Rule: "erms/unprofiled",
			Text: fmt.Sprintf("how its latency hangs on load is not known yet: %.2f cores used, at most %.0f %% of %.2f each", v.used, m.c.CPU*100, v.from.CPU)})
	}
}

func millis(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }

// at is the latency at a load.
func (m *Model) at(x float64) float64 {
	p := m.After
	if x <= m.Inflection {
		p = m.Before
	}
	return max(p.A, 0)*x + p.B
}
