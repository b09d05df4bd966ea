package derm

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// counts are the visits that arrived at each service, and the requests that users sent to each endpoint, in the newest seconds, of
// which so many were observed.
func counts(app *foresail.App, h *foresail.History, over int) (arrived, sent []float64, seconds float64) {
	arrived, sent = make([]float64, len(app.Services)), make([]float64, len(app.Endpoints))
	for _, p := range plan.Tail(h.Seconds(over), time.Duration(over)*time.Second) {
		if p.Stale {
			continue
		}
		seconds += p.Duration().Seconds()
		for i := range arrived {
			if st := plan.Stats(p, foresail.ServiceID(i)); st != nil && st.Has.Has(foresail.SignalArrivals) {
				arrived[i] += st.Arrivals
			}
		}
		if p.Has.Has(foresail.SignalEndpoints) {
			for e := range min(len(sent), len(p.Endpoints)) {
				sent[e] += p.Endpoints[e].Arrivals
			}
		}
	}
	return arrived, sent, seconds
}

// now is how many visits a second each service gets, by the newest seconds: as many as arrived there, or as the requests that
// users sent bring by the call graphs expected, whichever is more, since what is held up at one service has not arrived at the
// next. So many standard deviations that may be chance are taken off. nil where nothing was observed.
func (m *Manager) now(app *foresail.App, h *foresail.History, o *outlook, over int, chance float64) (visits []float64) {
	arrived, sent, seconds := counts(app, h, over)
	if seconds < float64(over)/2 {
		return nil
	}
	visits, more := m.bring(o, sent, m.correct(app))
	for i, n := range arrived {
		n = max(n*more[i], visits[i])
		visits[i] = max(n-chance*math.Sqrt(max(n, 0)), 0) / seconds
	}
	return visits
}

const (
	alike      = 0.15 // share by which the rates of two minutes differ by chance
	consistent = 3.0  // times what chance makes of it that squares of differences between two mixes may be
	fading     = 0.5  // of the weight of a minute's rate, from one minute to the next
)

// coming is how many requests a second of each endpoint are expected in the rest of a minute of which the first seconds were seen. So
// few requests tell little of a mix: where it may be one of the newest minutes', their requests count, too. And where about as many
// come as in the minutes before, a difference is more likely to pass than to stay.
func (m *Manager) coming(sent []float64, seconds float64) []float64 {
	s := &m.state
	all := 0.0
	for _, n := range sent {
		all += n
	}
	if !(all > 0) {
		return sent
	}
	pooled, total := make([]float64, len(sent)), all
	copy(pooled, sent)
	rate, weight := 0.0, 0.0
	for k := len(s.Minutes) - 1; k >= max(0, len(s.Minutes)-m.c.Memory); k-- {
		mt := &s.Minutes[k]
		if back := len(s.Minutes) - 1 - k; back < 10 && math.Abs(mt.Rate*seconds/all-1) < alike {
			w := math.Pow(fading, float64(back))
			rate, weight = rate+w*mt.Rate, weight+w
		}
		was := make([]float64, len(sent))
		for _, f := range mt.Forms {
			if e := int(f.form.Endpoint); e < len(was) {
				was[e] += f.requests * 60
			}
		}
		if same(sent, all, was, mt.Rate*60) {
			for e, n := range was {
				pooled[e] += n
			}
			total += mt.Rate * 60
		}
	}
	if weight > 0 {
		rate /= weight
	} else {
		rate = all / seconds
	}
	for e := range pooled {
		pooled[e] *= rate / total
	}
	return pooled
}

// same reports whether two counts of requests by endpoint may be of one mix: the mean of squared differences is within what chance
// makes of it.
func same(a []float64, n float64, b []float64, k float64) bool {
	sum, kinds := 0.0, 0.0
	for e := range a {
		p := (a[e] + b[e]) / (n + k)
		if !(p > 0) {
			continue
		}
		d := a[e]/n - b[e]/k
		sum += d * d / (max(p, 1/(n+k)) * (1/n + 1/k))
		kinds++
	}
	return sum <= consistent*max(kinds-1, 1)
}
