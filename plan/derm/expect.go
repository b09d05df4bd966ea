package derm

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// expect tells which percentiles are expected of the rest of the minute, once it has been seen what requests do in it: with the
// visits of the newest seconds, and the containers that were asked for.
func (m *Manager) expect(d *plan.Draft, h *foresail.History) {
	s := &m.state
	if s.Told.Equal(s.Last) || h.Now().Sub(s.Last) < settled*time.Second || h.Now().Sub(s.Last) > time.Minute/2 {
		return
	}
	s.Told = s.Last
	app := h.App()
	o, ok := m.ahead(app)
	if !ok {
		return
	}
	_, sent, seconds := counts(app, h, settled)
	if seconds < settled/2 {
		return
	}
	now, _ := m.bring(o, m.coming(sent, seconds), m.correct(app))
	containers := make([]int, len(app.Services))
	beats := h.Beats(10)
	for i := range app.Services {
		from, _ := plan.Wanted(&app.Services[i], plan.Latest(beats, foresail.ServiceID(i), foresail.SignalAllocation))
		containers[i] = from.Replicas
	}
	for e := range app.Endpoints {
		end := &app.Endpoints[e]
		forms := m.told(o.ofEndpoint(foresail.EndpointID(e), m.c.Forms))
		if end.Objective == nil || end.Gone || forms == nil {
			continue
		}
		one := Endpoint{Name: end.Name, Limit: end.Objective.Latency.Seconds(), Forms: forms, Visits: now}
		await := func(percentile, factor float64) {
			one.Percentile, one.Factor = percentile, factor
			if t, ok := m.percentile(app, &one, containers, true); ok {
				d.Await(foresail.Expectation{Endpoint: foresail.EndpointID(e), From: h.Now(), To: s.Last.Add(time.Minute), Percentile: percentile, Latency: t})
			}
		}
		await(end.Objective.Percentile, s.Ends[e].Factor)
		if end.Objective.Percentile != usual {
			await(usual, s.Ends[e].Usual)
		}
	}
}

// percentile is what an endpoint's is under so many containers of each service: of the distribution itself, or by moments, as plans
// are made with.
func (m *Manager) percentile(app *foresail.App, e *Endpoint, containers []int, exact bool) (float64, bool) {
	forms := slices.Clone(e.Forms)
	for i := range forms {
		forms[i].Low, forms[i].High = 0, 0
	}
	one := *e
	one.Forms = forms
	t := &Task{Model: model{m.profiler}, Services: make([]Service, len(app.Services)), Endpoints: []Endpoint{one}}
	for i := range t.Services {
		t.Services[i] = Service{Name: app.Services[i].Name, Cost: 1, Low: 1, High: max(containers[i], 1)}
	}
	if one.check(len(t.Services)) != nil {
		return 0, false
	}
	x, err := newTail(t, &t.Endpoints[0])
	if err != nil {
		return 0, false
	}
	k := make([]float64, len(x.services))
	for j, s := range x.services {
		k[j] = float64(max(containers[s], 1))
	}
	v := 0.0
	if exact {
		v = x.exactly(k)
	} else {
		v = x.latency(k, nil)
	}
	return v, v > 0 && !math.IsInf(v, 0)
}
