// Package static holds the managers that never change their mind: "static" asks for the allocations of the application
// file, "static-max" for the largest that the bounds allow. They are what a better manager is measured against: the
// first for what a person chose, the second for what no shortage of CPU explains.
package static

import (
	"errors"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Config of a Manager.
type Config struct {
	Max bool // the largest allocation that the bounds allow, instead of the initial one
}

// Manager is "static" or "static-max".
type Manager struct{ c Config }

// New builds a manager for an application.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("static: no application")
	}
	return &Manager{c}, nil
}

// Name is "static" or "static-max".
func (m *Manager) Name() string {
	if m.c.Max {
		return "static-max"
	}
	return "static"
}

// Needs asks for a decision each second, so that what was changed by another hand is soon put right.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: time.Second, Optional: foresail.SignalAllocation, Beats: 1}
}

// Decide asks for the fixed allocations where something else was last asked for, or where that is not known. Settings
// that the fixed allocation does not name keep their value.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	d := plan.NewDraft(h, m.Name())
	for i := range app.Services {
		svc, id := &app.Services[i], foresail.ServiceID(i)
		from, known := plan.Wanted(svc, plan.Stats(h.Last(), id))
		if !known && h.Last() != nil && h.Last().Stale {
			continue // it was asked for before, and repeating it into silence helps nobody
		}
		to, rule := svc.Initial, "static/initial"
		text := "the application file asks for " + to.String()
		if m.c.Max {
			to, rule = svc.Bounds.Max(), "static/max"
			text = "the bounds allow at most " + to.String()
		}
		if to.Settings == nil {
			to.Settings = from.Settings
		}
		if !known {
			from = foresail.Allocation{}
		}
		d.Set(id, svc, from, to, foresail.Reason{Rule: rule, Text: text + "; it had " + had(from, known),
			Considered: []string{"nothing else: this manager does not look at load"}})
	}
	return d.Plan(), nil
}

func had(a foresail.Allocation, known bool) string {
	if !known {
		return "an allocation that was not observed"
	}
	return a.String()
}
