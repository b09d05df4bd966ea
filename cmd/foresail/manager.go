package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/plan/managers"
)

// managerFlags choose who decides.
type managerFlags struct {
	name     string
	guarded  bool
	baseline string
	model    string // a model file; empty: the one that Foresail brings along, where there is one
	foresee  trained.ForeseeFlags
}

func (f *managerFlags) register(fl *pflag.FlagSet, manager string) {
	fl.StringVar(&f.name, "manager", manager, "who decides: "+strings.Join(managers.Names(), ", "))
	fl.StringVar(&f.model, "model", "", "model file that the manager decides with; empty: the one that Foresail brings along for the application")
	fl.BoolVar(&f.guarded, "guard", true, "wrap the manager in the guard: bounds, steps, cooldown, fallback")
	fl.StringVar(&f.baseline, "baseline", "hpa", "the reactive manager that the guard falls back to")
	f.foresee.Register(fl)
}

// build makes the manager, wrapped in the guard unless told otherwise.
func (f *managerFlags) build(app *foresail.App) (foresail.Manager, error) {
	return trained.Foreseen(f.foresee.With(nil), app, func() (foresail.Manager, error) {
		m, err := f.inner(app)
		return m, cli.Usage(err)
	})
}

func (f *managerFlags) inner(app *foresail.App) (foresail.Manager, error) {
	model, err := trained.File(f.model, f.name, app)
	if err != nil {
		return nil, err
	}
	o := managers.Options{Model: model}
	if f.guarded {
		return managers.GuardedBuild(f.name, f.baseline, app, o)
	}
	if model == nil && managers.UsesModel(f.name) {
		return nil, fmt.Errorf("manager %s: there is no model of %s: give its file with model (--model), or use the guard, which falls back", f.name, app.Name)
	}
	return managers.Build(f.name, app, o)
}

// manager makes the one that a file names, with the models that were trained for it.
func (cfg *runConfig) manager(c *cobra.Command, app *foresail.App) (foresail.Manager, error) {
	f := managerFlags{name: string(cfg.Manager), guarded: cfg.Guard.Enabled, baseline: string(cfg.Guard.Baseline), model: cfg.Model}
	return trained.Foreseen(cfg.Foresee, app, func() (foresail.Manager, error) {
		if cfg.Models == "" {
			return f.build(app)
		}
		if !f.guarded {
			f.baseline = ""
		}
		m, err := trained.Manager(c.Context(), c.ErrOrStderr(), cfg.Models, cfg.ModelsKey, f.baseline, app)
		return m, cli.Usage(err)
	})
}

// decide puts another manager and another model in the place of those that the file names; empty: what it names stays. A model
// of the file goes with its manager.
func (cfg *runConfig) decide(name managerName, model string) error {
	if name != "" && name != cfg.Manager {
		if cfg.Models != "" {
			return cli.Usagef("--manager %s: the file's models are for %s: leave one of them out", name, cfg.Manager)
		}
		cfg.Manager, cfg.Model = name, ""
	}
	if model != "" {
		cfg.Model = model
	}
	return cfg.checkAdapt("--manager " + string(cfg.Manager))
}

// MarshalText is the name.
func (m managerName) MarshalText() ([]byte, error) { return []byte(m), nil }
