package main

import (
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
}

func (f *managerFlags) register(fl *pflag.FlagSet, manager string) {
	fl.StringVar(&f.name, "manager", manager, "who decides: "+strings.Join(managers.Names(), ", "))
	fl.BoolVar(&f.guarded, "guard", true, "wrap the manager in the guard: bounds, steps, cooldown, fallback")
	fl.StringVar(&f.baseline, "baseline", "hpa", "the reactive manager that the guard falls back to")
}

// build makes the manager, wrapped in the guard unless told otherwise.
func (f *managerFlags) build(app *foresail.App) (foresail.Manager, error) {
	var m foresail.Manager
	var err error
	if f.guarded {
		m, err = managers.Guarded(f.name, f.baseline, app)
	} else {
		m, err = managers.New(f.name, app)
	}
	return m, cli.Usage(err)
}

// manager makes the one that a file names, with the models that were trained for it.
func (cfg *runConfig) manager(c *cobra.Command, app *foresail.App) (foresail.Manager, error) {
	f := managerFlags{name: string(cfg.Manager), guarded: cfg.Guard.Enabled, baseline: string(cfg.Guard.Baseline)}
	if cfg.Models == "" {
		return f.build(app)
	}
	if !f.guarded {
		f.baseline = ""
	}
	m, err := trained.Manager(c.Context(), c.ErrOrStderr(), cfg.Models, cfg.ModelsKey, f.baseline, app)
	return m, cli.Usage(err)
}
