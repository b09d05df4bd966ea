package erms

import (
	"fmt"
	"math"

	"foresail.dev"
	"foresail.dev/plan"
)

// loads are those of one minute.
type loads struct {
	Rates    []float64   // requests a second, by endpoint
	Loads    [][]float64 // calls a second that they make, by endpoint and service
	Arrivals []float64   // calls a second, by service; 0 where they were not observed
}

// mostMinutes bounds what is remembered of loads.
const mostMinutes = 120

// remember takes in the loads of a minute. Where no requests of an endpoint were traced, the call graphs of all of minutes are taken for theirs.
func (m *Manager) remember(app *foresail.App, x *foresail.Snapshot, minutes []*foresail.Snapshot) {
	t := loads{Rates: make([]float64, len(app.Endpoints)), Loads: make([][]float64, len(app.Endpoints)), Arrivals: make([]float64, len(app.Services))}
	all, now := taken(app, minutes), taken(app, []*foresail.Snapshot{x})
	for e := range app.Endpoints {
		requests := 0.0
		for _, f := range now[e] {
			requests += f.requests
		}
		if x.Has.Has(foresail.SignalEndpoints) && e < len(x.Endpoints) && sane(x.Endpoints[e].Arrivals) {
			requests = x.Endpoints[e].Arrivals
		}
		t.Rates[e] = requests / x.Duration().Seconds()
		forms := now[e]
		if len(forms) == 0 {
			forms = all[e]
		}
		t.Loads[e] = make([]float64, len(app.Services))
		for id, n := range visits(forms) {
			t.Loads[e][id] = t.Rates[e] * n
		}
	}
	for i := range app.Services {
		if st := plan.Stats(x, foresail.ServiceID(i)); st != nil && st.Has.Has(foresail.SignalArrivals) && sane(st.Arrivals) {
			t.Arrivals[i] = st.Arrivals / x.Duration().Seconds()
		}
	}
	s := &m.state
	s.Minutes = append(s.Minutes, t)
	if n := len(s.Minutes) - m.c.Peak; n > 0 {
		s.Minutes = append(s.Minutes[:0], s.Minutes[n:]...)
	}
}

// taken are, by endpoint, the forms that requests took.
func taken(app *foresail.App, minutes []*foresail.Snapshot) [][]seen {
	out := make([][]seen, len(app.Endpoints))
	at := map[string]int{}
	for _, x := range minutes {
		for i := range x.Shapes {
			s := &x.Shapes[i]
			e := s.Form.Endpoint
			if int(e) >= len(out) || app.Endpoints[e].Gone || !(s.Requests > 0) || math.IsInf(s.Requests, 1) || !within(s.Form, app) {
				continue
			}
			key := s.Form.Key()
			if k, ok := at[key]; ok {
				out[e][k].requests += s.Requests
			} else {
				at[key] = len(out[e])
				out[e] = append(out[e], seen{s.Form, s.Requests})
			}
		}
	}
	return out
}

// check tells what is wrong with a minute that was read.
func (t *loads) check() error {
	fault := func(of []float64) error {
		for _, x := range of {
			if !sane(x) {
				return fmt.Errorf("state: a load of %v calls/s: must be a finite number, not below 0", x)
			}
		}
		return nil
	}
	if len(t.Loads) != len(t.Rates) {
		return fmt.Errorf("state: a minute has %d rates, and loads of %d endpoints: must be as many", len(t.Rates), len(t.Loads))
	}
	for _, of := range append([][]float64{t.Rates, t.Arrivals}, t.Loads...) {
		if err := fault(of); err != nil {
			return err
		}
	}
	return nil
}
