// Package managers builds managers by name, so that every command knows the same ones, with the settings that tuning may
// move.
package managers

import (
	"errors"
	"fmt"
	"strings"

	"foresail.dev"
	"foresail.dev/plan/guard"
)

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

// New builds the named manager for an application, as its authors meant it: unguarded, with its defaults.
func New(name string, app *foresail.App) (foresail.Manager, error) { return NewWith(name, app, nil, 0) }

// NewWith is Build without a model.
func NewWith(name string, app *foresail.App, settings map[string]float64, seed uint64) (foresail.Manager, error) {
	return Build(name, app, Options{Settings: settings, Seed: seed})
}

// Options are what a manager is built with, besides an application.
type Options struct {
	Settings map[string]float64 // those to be changed; see Params
	Seed     uint64             // of all that it draws
	// Model is what it decides with, where UsesModel says so. nil, or one of another application: it is built all the same,
	// and its Decide fails with ErrNoModel.
	Model *Model
}

// Build builds the named manager with some of its settings changed; those left out keep their default. An unknown name or
// setting, a value out of range and a model for a manager that uses none are errors that say what may be used; all faults
// are told at once.
func Build(name string, app *foresail.App, o Options) (foresail.Manager, error) {
	for _, t := range table {
		if t.name == name {
			v, err := fill(name, t.params, o.Settings)
			if o.Model != nil && !UsesModel(name) {
				err = errors.Join(err, fmt.Errorf("%s uses no model: leave it out", name))
			}
			if err != nil {
				return nil, err
			}
			return t.build(app, v, o)
		}
	}
	return nil, fmt.Errorf("unknown manager %q: use %s", name, strings.Join(Names(), ", "))
}

// Guarded builds the named manager within the guard, with the named reactive baseline to fall back to, both with their
// defaults. After a panic the manager is built anew.
func Guarded(name, baseline string, app *foresail.App) (foresail.Manager, error) {
	return GuardedWith(name, baseline, app, nil, 0)
}

// GuardedWith is Guarded with settings of the inner manager and a seed, as NewWith has them.
func GuardedWith(name, baseline string, app *foresail.App, settings map[string]float64, seed uint64) (foresail.Manager, error) {
	return GuardedBuild(name, baseline, app, Options{Settings: settings, Seed: seed})
}

// GuardedBuild is Guarded with all that Build takes.
func GuardedBuild(name, baseline string, app *foresail.App, o Options) (foresail.Manager, error) {
	return GuardedBy(func() (foresail.Manager, error) { return Build(name, app, o) }, baseline, app)
}

// GuardedBy is Guarded for a manager that build builds, at first and again after a panic.
func GuardedBy(build func() (foresail.Manager, error), baseline string, app *foresail.App) (foresail.Manager, error) {
	inner, err := build()
	if err != nil {
		return nil, err
	}
	base, err := New(baseline, app)
	if err != nil {
		return nil, fmt.Errorf("baseline: %w", err)
	}
	if base.Needs().Required == 0 || UsesModel(baseline) { // it reacts to nothing, or has none to react with
		return nil, fmt.Errorf("baseline: %s is not reactive: use hpa, autoscale-cons or autoscale-opt", baseline)
	}
	return guard.New(inner, base, guard.Config{Rebuild: build})
}
