package derm

import (
	"encoding/json"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
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
