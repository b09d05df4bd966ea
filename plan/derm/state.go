package derm

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/sketch"
)

// state is what is remembered besides what the models have learnt.
type state struct {
	Last    time.Time // end of the newest minute taken in
	Seen    time.Time // end of the newest with call graphs
	Minutes []minute  // the newest with call graphs
	Ends    []endState
	Planned []float64 // visits a second that were planned for, by service
	Relaxed []float64 // containers, not whole, that the search begins with
	Raised  time.Time // when something was asked for last
	Told    time.Time // end of the minute after which expectations were told last
	Blind   plan.Timer
}

// endState is what is remembered of an endpoint.
type endState struct {
	Factor float64 // observed over computed percentile of the objective
	Usual  float64 // the same of the 95th percentile, which is told beside
	Tail   float64 // the same of the percentile that is planned for, further out
	Boost  float64 // how much more than that it counts after the objective was missed
	Known  int     // minutes that Factor and Tail are made of
	Seen   int     // that Usual is made of
}

// restart forgets what has a place in time.
func (s *state) restart() {
	*s = state{}
}

// grow makes room for what an application has.
func (s *state) grow(app *foresail.App) {
	for len(s.Ends) < len(app.Endpoints) {
		s.Ends = append(s.Ends, endState{Factor: 1, Usual: 1, Tail: 1, Boost: 1})
	}
	for i := range s.Minutes {
		mt := &s.Minutes[i]
		for len(mt.Visits) < len(app.Services) {
			mt.Visits, mt.Used = append(mt.Visits, 0), append(mt.Used, -1)
		}
	}
	for len(s.Planned) > 0 && len(s.Planned) < len(app.Services) {
		s.Planned = append(s.Planned, 0)
	}
}

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

// saved is what is kept over a restart.
type saved struct {
	State    savedState
	Profiler json.RawMessage
	Shares   json.RawMessage
	Blind    json.RawMessage
}

// savedState is state with forms as they can be kept.
type savedState struct {
	state
	Minutes []savedMinute
}

type savedMinute struct {
	minute
	Forms []savedForm
}

type savedForm struct {
	Endpoint foresail.EndpointID
	Visits   []foresail.Visit
	Requests float64
}

// Save keeps what was learnt and what was planned.
func (m *Manager) Save() ([]byte, error) {
	out := saved{State: savedState{state: m.state}}
	for _, mt := range m.state.Minutes {
		k := savedMinute{minute: mt}
		for _, f := range mt.Forms {
			k.Forms = append(k.Forms, savedForm{f.form.Endpoint, f.form.Visits, f.requests})
		}
		out.State.Minutes = append(out.State.Minutes, k)
	}
	var err error
	if out.Profiler, err = m.profiler.Save(); err != nil {
		return nil, fmt.Errorf("derm: %w", err)
	}
	if out.Shares, err = m.predictor.Save(); err != nil {
		return nil, fmt.Errorf("derm: %w", err)
	}
	if out.Blind, err = m.blind.Save(); err != nil {
		return nil, fmt.Errorf("derm: %w", err)
	}
	return json.Marshal(out)
}

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var in saved
	if err := json.Unmarshal(b, &in); err != nil {
		return fmt.Errorf("derm: state: %w", err)
	}
	s := in.State.state
	s.Minutes = nil
	for i, k := range in.State.Minutes {
		mt := k.minute
		mt.Forms = nil
		for _, f := range k.Forms {
			form, err := foresail.NewForm(f.Endpoint, f.Visits)
			if err != nil {
				return fmt.Errorf("derm: state: minute %d: %w", i, err)
			}
			if !(f.Requests >= 0) {
				return fmt.Errorf("derm: state: minute %d: %v requests", i, f.Requests)
			}
			mt.Forms = append(mt.Forms, counted{form, f.Requests})
		}
		if !(mt.Rate > 0) || len(mt.Visits) != len(mt.Used) {
			return fmt.Errorf("derm: state: minute %d: %v requests a second, %d visits and %d uses of CPU", i, mt.Rate, len(mt.Visits), len(mt.Used))
		}
		s.Minutes = append(s.Minutes, mt)
	}
	for i, e := range s.Ends {
		if within := func(f float64) bool { return f >= leastFactor && f <= mostFactor }; !within(e.Factor) || !within(e.Usual) || !within(e.Tail) ||
			!(e.Boost >= 1 && e.Boost <= boostMost) || e.Known < 0 || e.Seen < 0 {
			return fmt.Errorf("derm: state: endpoint %d: factor %v, boost %v", i, e.Factor, e.Boost)
		}
	}
	fresh := &Manager{c: m.c, blind: m.blind}
	if err := fresh.begin(); err != nil {
		return err
	}
	if err := fresh.profiler.Restore(in.Profiler); err != nil {
		return fmt.Errorf("derm: %w", err)
	}
	if err := fresh.predictor.Restore(in.Shares); err != nil {
		return fmt.Errorf("derm: %w", err)
	}
	if err := m.blind.Restore(in.Blind); err != nil {
		return fmt.Errorf("derm: %w", err)
	}
	m.profiler, m.predictor, m.state = fresh.profiler, fresh.predictor, s
	return nil
}

// Learn trains what predicts mixes and takes long to train.
func (m *Manager) Learn() error { return m.predictor.Learn() }
