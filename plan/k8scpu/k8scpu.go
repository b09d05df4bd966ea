// Package k8scpu is the pair of baselines that Autothrottle's authors compare with (NSDI 2024, §5.1): Kubernetes' rule for
// replicas, applied to CPU limits. Each period a service's usage over its target utilisation is recommended, and the
// largest recommendation of a stabilisation window is its limit:
//
//	k8s-cpu       each 15 s, the largest of 300 s
//	k8s-cpu-fast  each second, the largest of 20 s
//
// In their evaluation the target is tuned for each application and load, to 0.4 to 0.8; it is 0.5 here unless set. A limit
// is a service's total, spread over its replicas by autoscale.Spread; theirs is a replica's.
package k8scpu

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/autoscale"
)

// Config of a Manager. The zero value is k8s-cpu.
type Config struct {
	Fast   bool    // k8s-cpu-fast
	Target float64 // CPU used over CPU allocated, as a share; 0 means 0.5
}

// Manager is "k8s-cpu", or "k8s-cpu-fast".
type Manager struct {
	c             Config
	period        time.Duration
	stabilisation time.Duration
	state         state
}

// state is what it remembers.
type state struct {
	Recommended [][]float64 // cores, by ServiceID, oldest first
}

// New builds a manager for an application.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("k8scpu: no application")
	}
	if c.Target == 0 {
		c.Target = 0.5
	}
	if !(c.Target > 0) {
		return nil, fmt.Errorf("k8scpu: target %v: must be above 0, for example 0.5", c.Target)
	}
	m := &Manager{c: c, period: 15 * time.Second, stabilisation: 5 * time.Minute}
	if c.Fast {
		m.period, m.stabilisation = time.Second, 20*time.Second
	}
	return m, nil
}

// Name is "k8s-cpu", or "k8s-cpu-fast".
func (m *Manager) Name() string {
	if m.c.Fast {
		return "k8s-cpu-fast"
	}
	return "k8s-cpu"
}

// Needs asks for a decision each period on the CPU used.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: m.period, Required: foresail.SignalCPU, Optional: foresail.SignalAllocation,
		Beats: int(time.Second / foresail.Beat), Seconds: int(m.period/time.Second) + 1}
}

// Decide gives each service the largest recommendation of the window. It errs when no service's CPU was observed in the
// last period.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	for len(m.state.Recommended) < len(app.Services) {
		m.state.Recommended = append(m.state.Recommended, nil)
	}
	parts := plan.Tail(h.Seconds(int(m.period/time.Second)+1), m.period)
	if len(parts) == 0 || !parts[len(parts)-1].End.After(h.Now().Add(-m.period)) {
		return nil, fmt.Errorf("%s: nothing was observed: %w", m.Name(), foresail.ErrStale)
	}
	d := plan.NewDraft(h, m.Name())
	seen := false
	for i := range app.Services {
		svc, id := &app.Services[i], foresail.ServiceID(i)
		used, observed := plan.Cores(parts, id)
		if observed <= 0 {
			d.Note(svc.Name + ": kept, its CPU was not observed")
			continue
		}
		seen = true
		now := used / m.c.Target
		r := append(m.state.Recommended[i], now)
		r = r[max(len(r)-int(m.stabilisation/m.period), 0):]
		m.state.Recommended[i] = r
		most := now
		for _, x := range r {
			most = max(most, x)
		}
		st := plan.Latest(parts, id, foresail.SignalAllocation)
		from, known := plan.Wanted(svc, st)
		if from.Replicas == 0 {
			continue
		}
		m.set(d, svc, id, from, known, used, most)
	}
	if !seen {
		return nil, fmt.Errorf("%s: no service's CPU was observed in the last %v: %w", m.Name(), m.period, foresail.ErrStale)
	}
	return d.Plan(), nil
}

func (m *Manager) set(d *plan.Draft, svc *foresail.Service, id foresail.ServiceID, from foresail.Allocation, known bool, used, most float64) {
	to, bound := autoscale.Spread(svc.Bounds, from, most)
	r := foresail.Reason{
		Rule: m.Name() + "/usage",
		Text: fmt.Sprintf("%.3f cores used over %v at a target of %.0f %%, and the largest such need of %v is %.3f cores",
			used, m.period, m.c.Target*100, m.stabilisation, most),
		Bound:      bound,
		Considered: []string{fmt.Sprintf("%.3f cores, which would do by the newest observation alone", used/m.c.Target)},
	}
	d.Set(id, svc, from, to, plan.Admit(r, known))
}

// Save keeps the window's recommendations.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("k8scpu: state: %w", err)
	}
	m.state = s
	return nil
}
