package derm

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/model/callgraph/shares"
	"foresail.dev/plan"
	"foresail.dev/plan/hpa"
)

// Manager is "derm".
type Manager struct {
	c         Config
	profiler  *profile.Profiler
	predictor *shares.Predictor
	blind     *hpa.Manager // while nothing is known of call graphs
	state     state
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("derm: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c}
	if m.blind, err = hpa.New(app, hpa.Config{}); err != nil {
		return nil, err
	}
	return m, m.begin()
}

// begin makes models that know nothing.
func (m *Manager) begin() (err error) {
	m.profiler = profile.New(profile.Config{})
	m.predictor, err = shares.NewPredictor(shares.Config{Methods: m.c.Methods, Sampled: m.c.Traces, Seed: m.c.Seed})
	return err
}

// Name is "derm".
func (m *Manager) Name() string { return "derm" }

// Needs asks for call graphs beside what any manager of replicas reads.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: m.c.Every, Required: foresail.SignalCPU | foresail.SignalAllocation,
		Optional: foresail.SignalShapes | foresail.SignalEndpoints | foresail.SignalArrivals | foresail.SignalReady, Traces: m.c.Traces,
		Beats: 10, Seconds: 62, Minutes: 10}
}

// blindEvery is how often it scales on CPU alone while nothing is known of call graphs.
const blindEvery = 15 * time.Second

// Decide plans when a minute is over, and in between asks for more where that is needed. It errs where nothing was observed for
// minutes.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	s := &m.state
	if s.Last.After(h.Now()) { // time has jumped back: what was observed later would count more than what is observed now
		s.restart()
		m.profiler = profile.New(profile.Config{})
	}
	s.grow(h.App())
	fresh := m.take(h)
	if n := len(s.Minutes); n == 0 || n < patience && !m.steady(h.App()) {
		return m.decideBlind(h, n > 0)
	}
	if last := h.Last(); last == nil || h.Now().Sub(s.Seen) > staleAfter {
		return nil, fmt.Errorf("derm: no call graph was observed since %s: %w", s.Seen.UTC().Format(time.TimeOnly), foresail.ErrStale)
	}
	d := plan.NewDraft(h, m.Name())
	if fresh {
		m.plan(d, h)
	} else {
		m.react(d, h)
		m.expect(d, h)
	}
	return d.Plan(), nil
}

// staleAfter is how old the newest call graphs may be.
const staleAfter = 5 * time.Minute

// patience is for how many minutes with call graphs it waits until own times of calm minutes are known.
const patience = 6

// steady reports whether they are, of nearly all that users do.
func (m *Manager) steady(app *foresail.App) bool {
	known, all := 0.0, 0.0
	for _, c := range m.state.Minutes[len(m.state.Minutes)-1].Forms {
		if e := &app.Endpoints[c.form.Endpoint]; e.Objective == nil {
			continue
		}
		all += c.requests
		if !slices.ContainsFunc(c.form.Visits, func(v foresail.Visit) bool {
			_, valid := m.profiler.Stage(v.Service, v.Operation, 0)
			return !valid.Steady && !v.Async
		}) {
			known += c.requests
		}
	}
	return known >= nearly*all
}

const nearly = 0.9

// decideBlind scales on CPU alone.
func (m *Manager) decideBlind(h *foresail.History, some bool) (*foresail.Plan, error) {
	if !m.state.Blind.Due(h.Now(), blindEvery) {
		return nil, nil
	}
	p, err := m.blind.Decide(h)
	if err != nil {
		return nil, fmt.Errorf("derm: no call graph was observed, and on CPU alone: %w", err)
	}
	if p == nil || len(p.Changes) == 0 {
		return nil, nil
	}
	p.Manager = m.Name()
	p.Note = "no call graph was observed yet: scaled on CPU, as hpa does"
	if some {
		p.Note = "no calm minute was observed yet: scaled on CPU, as hpa does"
	}
	for i := range p.Changes {
		p.Changes[i].Reason.Rule = "derm/blind"
	}
	return p, nil
}

// model is what the profiler knows, for a Task.
type model struct{ *profile.Profiler }

func (m model) Stage(s foresail.ServiceID, operation string, load float64) (dist.Stage, bool) {
	stage, v := m.Profiler.Stage(s, operation, load)
	return stage, v.Basis != profile.BasisUnknown
}

func (m model) Saturation(s foresail.ServiceID) float64 {
	sat, ok := m.Profiler.Saturation(s)
	if !ok || math.IsInf(sat.Load, 0) {
		return 0
	}
	return sat.Load
}
