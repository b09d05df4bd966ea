// Package managers builds managers by name, so that every command knows the same ones.
package managers

import (
	"fmt"
	"strings"

	"foresail.dev"
	"foresail.dev/plan/autoscale"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/static"
)

// build makes one manager with its defaults.
type build func(*foresail.App) (foresail.Manager, error)

var table = []struct {
	name  string
	about string
	build build
}{
	{"static", "the allocations of the application file", func(a *foresail.App) (foresail.Manager, error) {
		return static.New(a, static.Config{})
	}},
	{"static-max", "every service at its maximum", func(a *foresail.App) (foresail.Manager, error) {
		return static.New(a, static.Config{Max: true})
	}},
	{"hpa", "Kubernetes' horizontal autoscaler, 50 % CPU", func(a *foresail.App) (foresail.Manager, error) {
		return hpa.New(a, hpa.Config{})
	}},
	{"autoscale-cons", "Sinan's conservative step scaler", func(a *foresail.App) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{})
	}},
	{"autoscale-opt", "Sinan's tuned step scaler", func(a *foresail.App) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{Name: "autoscale-opt", Steps: autoscale.Optimised()})
	}},
}

// Names are the managers there are, in the order that tables show them.
func Names() []string {
	names := make([]string, len(table))
	for i, t := range table {
		names[i] = t.name
	}
	return names
}

// About says in a few words what a manager does; empty for one that is not there.
func About(name string) string {
	for _, t := range table {
		if t.name == name {
			return t.about
		}
	}
	return ""
}

// New builds the named manager for an application, as its authors meant it: unguarded.
func New(name string, app *foresail.App) (foresail.Manager, error) {
	for _, t := range table {
		if t.name == name {
			return t.build(app)
		}
	}
	return nil, fmt.Errorf("unknown manager %q: use %s", name, strings.Join(Names(), ", "))
}

// Guarded builds the named manager within the guard, with the named reactive baseline to fall back to. After a panic the
// manager is built anew.
func Guarded(name, baseline string, app *foresail.App) (foresail.Manager, error) {
	inner, err := New(name, app)
	if err != nil {
		return nil, err
	}
	base, err := New(baseline, app)
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if base.Needs().Required == 0 { // it reacts to nothing
		return nil, fmt.Errorf("baseline: %s is not reactive: use hpa, autoscale-cons or autoscale-opt", baseline)
	}
	return guard.New(inner, base, guard.Config{
		Rebuild: func() (foresail.Manager, error) { return New(name, app) },
	})
}
