package derm

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// minute is what one minute was like.
type minute struct {
	Rate   float64   // requests a second, of all endpoints
	Visits []float64 // a second, by service
	Used   []float64 // cores, by service; negative: not observed
	Forms  []counted
	Spread float64 // standard deviation of the requests a second over pieces of it, as a share of them
}

// mostOf is how much a minute may have of anything: what has more was counted wrong, and is left out.
const mostOf = 1e12

func tooMany(v float64) bool { return !(v <= mostOf) }

// counted is how many requests took a form.
type counted struct {
	form     *foresail.Form
	requests float64 // a second
}

// take takes in the minutes that ended since the last, and reports whether there were any with call graphs.
func (m *Manager) take(h *foresail.History) (fresh bool) {
	s := &m.state
	app := h.App()
	for _, p := range h.Minutes(10) {
		if p.End.After(h.Now()) || !p.End.After(s.Last) {
			continue
		}
		s.Last = p.End
		if p.Stale || p.Duration() < time.Minute/2 {
			continue
		}
		calm := settledPart(h, p)
		m.profiler.Observe(app, calm)
		if !p.Has.Has(foresail.SignalShapes) || len(p.Shapes) == 0 {
			continue
		}
		stats := known(app, p.Shapes)
		if len(stats) == 0 || m.predictor.Observe(stats) != nil {
			continue
		}
		mt := minuteOf(app, p, stats)
		mt.Spread = spread(h, p)
		if !(mt.Rate > 0) || mt.Rate > mostOf || slices.ContainsFunc(mt.Visits, tooMany) || slices.ContainsFunc(mt.Used, tooMany) {
			continue
		}
		s.Minutes = append(s.Minutes, mt)
		if n := len(s.Minutes) - maxMemory; n > 0 {
			s.Minutes = slices.Delete(s.Minutes, 0, n)
		}
		m.calibrate(app, p, calm, &mt)
		s.Seen, fresh = p.End, true
	}
	return fresh
}

// settledPart is a minute without its first seconds, in which what was planned for it comes about: containers start, are cold, and
// work off what has piled up. Where seconds were not observed it is all of it.
func settledPart(h *foresail.History, p *foresail.Snapshot) *foresail.Snapshot {
	var parts []*foresail.Snapshot
	var lasts time.Duration
	for _, s := range h.Seconds(62) {
		if !s.Stale && !s.Start.Before(p.Start.Add(settled*time.Second)) && !s.End.After(p.End) {
			parts = append(parts, s)
			lasts += s.Duration()
		}
	}
	if lasts < p.Duration()/2 {
		return p
	}
	return foresail.Merge(parts...)
}

// known are the shapes of which all is part of the application now.
func known(app *foresail.App, shapes []foresail.ShapeStats) []foresail.ShapeStats {
	out := make([]foresail.ShapeStats, 0, len(shapes))
	for _, s := range shapes {
		if s.Form != nil && lives(app, s.Form) && s.Requests > 0 && !math.IsInf(s.Requests, 0) {
			out = append(out, s)
		}
	}
	return out
}

// lives reports whether the endpoint and every service of a form are part of the application.
func lives(app *foresail.App, f *foresail.Form) bool {
	if f.Endpoint < 0 || int(f.Endpoint) >= len(app.Endpoints) || app.Endpoints[f.Endpoint].Gone {
		return false
	}
	return !slices.ContainsFunc(f.Visits, func(v foresail.Visit) bool {
		return int(v.Service) >= len(app.Services) || app.Services[v.Service].Gone
	})
}

// minuteOf reads a snapshot. Requests of endpoints are what users sent, where that was observed, and divide among forms as the
// traces do.
func minuteOf(app *foresail.App, p *foresail.Snapshot, stats []foresail.ShapeStats) minute {
	seconds := p.Duration().Seconds()
	traced := make([]float64, len(app.Endpoints))
	for _, s := range stats {
		traced[s.Form.Endpoint] += s.Requests
	}
	mt := minute{Visits: make([]float64, len(app.Services)), Used: make([]float64, len(app.Services))}
	for _, s := range stats {
		n := s.Requests
		if e := int(s.Form.Endpoint); p.Has.Has(foresail.SignalEndpoints) && e < len(p.Endpoints) && p.Endpoints[e].Arrivals > 0 {
			n *= p.Endpoints[e].Arrivals / traced[e]
		}
		mt.Forms = append(mt.Forms, counted{s.Form, n / seconds})
		mt.Rate += n / seconds
	}
	for i := range app.Services {
		id := foresail.ServiceID(i)
		mt.Used[i] = -1
		st := plan.Stats(p, id)
		if st == nil {
			continue
		}
		if cores, ok := st.Cores(p.Duration()); ok {
			mt.Used[i] = cores
		}
		if st.Has.Has(foresail.SignalArrivals) {
			mt.Visits[i] = max(st.Arrivals, 0) / seconds
		} else {
			for _, f := range mt.Forms {
				mt.Visits[i] += f.requests * f.form.Calls(id)
			}
		}
	}
	return mt
}

// piece is over how long requests are counted to see how they vary within a minute.
const piece = 5

// spread is the standard deviation of the requests of five seconds within a minute, as a share of their mean.
func spread(h *foresail.History, p *foresail.Snapshot) float64 {
	var counts []float64
	n, sum := 0, 0.0
	for _, s := range h.Seconds(60) {
		if s.Start.Before(p.Start) || s.End.After(p.End) || !s.Has.Has(foresail.SignalEndpoints) {
			continue
		}
		for i := range s.Endpoints {
			sum += s.Endpoints[i].Arrivals
		}
		if n++; n == piece {
			counts = append(counts, sum)
			n, sum = 0, 0
		}
	}
	if len(counts) < 4 {
		return 0
	}
	mean, square := 0.0, 0.0
	for _, c := range counts {
		mean += c / float64(len(counts))
	}
	for _, c := range counts {
		square += (c - mean) * (c - mean) / float64(len(counts)-1)
	}
	if !(mean > 0) {
		return 0
	}
	return math.Sqrt(square) / mean
}
