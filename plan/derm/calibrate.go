package derm

import (
	"math"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/sketch"
)

// Factors by which computed percentiles are corrected.
const (
	usual       = 95 // the percentile that is told beside the objective's
	leastFactor = 0.5
	mostFactor  = 2.0
	farOff      = 0.1 // logarithm: by how much more than that a minute is off makes no difference
	newShare    = 0.3 // of the newest minute in the factor
	fewBeyond   = 5   // requests beyond its percentile that a minute needs
)

// calibrate holds what the models say of a minute against what happened: in its calm part what is told for other minutes' calm parts,
// in all of it what plans are made with.
func (m *Manager) calibrate(app *foresail.App, p, calm *foresail.Snapshot, mt *minute) {
	if !p.Has.Has(foresail.SignalEndpoints) {
		return
	}
	if stats := known(app, calm.Shapes); calm != p && len(stats) > 0 && calm.Has.Has(foresail.SignalEndpoints) {
		part := minuteOf(app, calm, stats)
		m.hold(app, calm, &part, true, false)
		m.hold(app, p, mt, false, true)
		return
	}
	m.hold(app, p, mt, true, true)
}

// hold holds what is told, what plans are made with, or both against an interval.
func (m *Manager) hold(app *foresail.App, p *foresail.Snapshot, mt *minute, told, planned bool) {
	containers := make([]int, len(app.Services))
	for i := range containers {
		containers[i] = 1
		if st := plan.Stats(p, foresail.ServiceID(i)); st != nil && st.Ready > 0 {
			containers[i] = st.Ready
		}
	}
	visits := m.weighed(mt)
	for e := range app.Endpoints {
		o := app.Endpoints[e].Objective
		if o == nil || e >= len(p.Endpoints) || p.Endpoints[e].Latency.Count()*(1-usual/100.) < fewBeyond || !(mt.Rate > 0) {
			continue
		}
		l := p.Endpoints[e].Latency
		seen := outlook{expected: mix{share: make([]float64, len(mt.Forms))}}
		for i, f := range mt.Forms {
			seen.forms = append(seen.forms, f.form)
			seen.expected.share[i] = f.requests / mt.Rate
		}
		forms := m.told(seen.ofEndpoint(foresail.EndpointID(e), m.c.Forms))
		if forms == nil {
			continue
		}
		of := &m.state.Ends[e]
		one := Endpoint{Name: app.Endpoints[e].Name, Limit: o.Latency.Seconds(), Forms: forms, Visits: visits}
		enough := l.Count()*o.Allowed() >= fewBeyond
		if told {
			of.Seen++
			one.Percentile = usual
			m.correctBy(&of.Usual, max(newShare, 1/float64(of.Seen)), app, one, l, containers, true)
			if enough {
				of.Known++
				one.Percentile = o.Percentile
				m.correctBy(&of.Factor, max(newShare, 1/float64(of.Known)), app, one, l, containers, true)
			}
		}
		if planned && enough {
			one.Percentile = 100 * (1 - max(m.c.allowed(o, l.Count()/p.Duration().Seconds()), fewBeyond/l.Count()))
			m.correctBy(&of.Tail, max(newShare, 1/float64(max(of.Known, 1))), app, one, l, containers, false)
		}
	}
}

// correctBy moves a factor towards what one minute says of it, by a share of the way.
func (m *Manager) correctBy(factor *float64, w float64, app *foresail.App, e Endpoint, seen *sketch.Sketch, containers []int, exact bool) {
	v := seen.Quantile(e.Percentile / 100)
	t, ok := m.percentile(app, &e, containers, exact)
	if !ok || !(v > 0) || math.IsInf(v, 0) {
		return
	}
	off := math.Log(min(max(v/t, leastFactor), mostFactor) / *factor)
	if exact && w < 0.5 { // what is told is to be right of most minutes, whatever a few were like
		off = min(max(off, -farOff), farOff)
	}
	*factor *= math.Exp(w * off)
}
