package scenario

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/managers"
)

// managerSpec says who decides.
type managerSpec struct {
	name     string // "none": nobody
	guarded  bool
	baseline string
	settings map[string]float64
}

// parseManager reads "hpa" or "guard(hpa)".
func parseManager(text string) (m managerSpec) {
	m.baseline = "hpa"
	inner, ok := strings.CutPrefix(text, "guard(")
	if inner, closed := strings.CutSuffix(inner, ")"); ok && closed {
		m.name, m.guarded = inner, true
		return m
	}
	m.name = text
	return m
}

// build makes the manager. What breaks it strikes within the guard, as a fault of its own would.
func (m managerSpec) build(app *foresail.App, seed uint64, s *stage) (foresail.Manager, error) {
	if m.name == "none" {
		return idle{}, nil
	}
	inner := func() (foresail.Manager, error) {
		one, err := managers.NewWith(m.name, app, m.settings, seed)
		if err != nil {
			return nil, err
		}
		return &breakable{Manager: one, stage: s}, nil
	}
	one, err := inner()
	if err != nil || !m.guarded {
		return one, err
	}
	base, err := managers.New(m.baseline, app)
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if base.Needs().Required == 0 {
		return nil, fmt.Errorf("baseline: %s is not reactive: use hpa or another that is", m.baseline)
	}
	return guard.New(one, base, guard.Config{Rebuild: inner})
}

// idle is nobody.
type idle struct{}

func (idle) Name() string                                     { return "none" }
func (idle) Needs() foresail.Needs                            { return foresail.Needs{Every: time.Minute} }
func (idle) Decide(*foresail.History) (*foresail.Plan, error) { return nil, nil }

// breach is a time in which a manager is broken.
type breach struct {
	from, to time.Duration
	how      string
}

// breaks are the ways in which a manager can be.
var breaks = map[string]func(app *foresail.App) (*foresail.Plan, error){
	"panic":    func(*foresail.App) (*foresail.Plan, error) { panic("broken by the scenario") },
	"error":    func(*foresail.App) (*foresail.Plan, error) { return nil, errors.New("broken by the scenario") },
	"no-model": func(*foresail.App) (*foresail.Plan, error) { return nil, foresail.ErrNoModel },
	"nonsense": func(*foresail.App) (*foresail.Plan, error) {
		return &foresail.Plan{Changes: []foresail.Change{{To: foresail.Allocation{Replicas: 1, CPU: math.NaN()}}}}, nil
	},
	"least": func(app *foresail.App) (*foresail.Plan, error) { // sensible to look at, and meant to harm
		p := &foresail.Plan{}
		for i, s := range app.Services {
			p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i),
				To:     foresail.Allocation{Replicas: s.Bounds.MinReplicas, CPU: s.Bounds.MinCPU, Memory: s.Initial.Memory, Settings: s.Initial.Settings},
				Reason: foresail.Reason{Rule: "scenario/least", Text: "the least of everything, whatever was observed"}})
		}
		return p, nil
	},
}

// breakable is a manager that a scenario can break.
type breakable struct {
	foresail.Manager
	stage *stage
}

// Decide is the manager's own, but while it is broken.
func (m *breakable) Decide(h *foresail.History) (*foresail.Plan, error) {
	at := h.Now().Sub(m.stage.start)
	for _, b := range m.stage.world.breaks {
		if at > b.from && at <= b.to {
			return breaks[b.how](h.App())
		}
	}
	return m.Manager.Decide(h)
}

// reasons are why a decision changed a service, or any.
func (d *made) reasons(of subject) (out []string) {
	if d.Plan == nil {
		return nil
	}
	for _, c := range d.Plan.Changes {
		if of.kind == 0 || int(c.Service) == of.id {
			text := c.Reason.Rule + ": " + c.Reason.Text
			if c.Reason.Bound != "" {
				text += " (" + c.Reason.Bound + ")"
			}
			out = append(out, text)
		}
	}
	return out
}

// count counts changes: all of them, raises or cuts of the total.
func (d *made) count(of subject, direction float64) (n float64) {
	if d.Plan == nil {
		return 0
	}
	for _, c := range d.Plan.Changes {
		if of.kind != 0 && int(c.Service) != of.id {
			continue
		}
		before := 0.0
		if int(c.Service) < len(d.Before) {
			before = d.Before[c.Service].Cores()
		}
		switch diff := c.To.Cores() - before; {
		case direction == 0, direction > 0 && diff > 0.0005, direction < 0 && diff < -0.0005:
			n++
		}
	}
	return n
}
