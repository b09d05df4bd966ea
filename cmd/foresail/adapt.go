package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/adapting"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/model/tail"
	"foresail.dev/plan/managers"
)

// checkAdapt refuses what does not go with adapt.
func (cfg *runConfig) checkAdapt(path string) error {
	if cfg.Adapt.On() && !managers.UsesModel(string(cfg.Manager)) {
		return cli.Usagef("%s: adapt: manager %s decides without a model: name manager sinan, or leave this out", path, cfg.Manager)
	}
	return nil
}

// adapted is the manager of a run that adapts its model, and what adapts it; hold is what a second may be late by.
func (cfg *runConfig) adapted(c *cobra.Command, app *foresail.App) (foresail.Manager, *adapting.Options, error) {
	ctx := c.Context()
	o := adapting.Options{App: app, Policy: cfg.Adapt.Policy(), Seed: cfg.Seed, Tell: func(line string) { fmt.Fprintf(c.ErrOrStderr(), "model: %s\n", line) }}
	found, err := trained.File(cfg.Model, string(cfg.Manager), app)
	if err != nil {
		return nil, nil, cli.Usage(err)
	}
	if found != nil {
		o.Model = found.Tail()
	}
	if o.Keep, err = adapting.Keeper(ctx, cfg.Adapt, app); err != nil {
		return nil, nil, cli.Usage(err)
	}
	if m, note := adapting.Newest(ctx, cfg.Adapt, app); note != "" {
		fmt.Fprintln(c.ErrOrStderr(), note)
		if m != nil {
			o.Model = m
		}
	}
	if o.Model == nil {
		return nil, nil, cli.Usagef("adapt: there is no model of %s to adapt: name one with model, which `foresail train sinan` makes", app.Name)
	}
	o.Build, err = trained.Foresees(cfg.Foresee, app, func(m *tail.Model) (foresail.Manager, error) {
		with := managers.Options{Model: managers.Trained(m)}
		if cfg.Guard.Enabled {
			return managers.GuardedBuild(string(cfg.Manager), string(cfg.Guard.Baseline), app, with)
		}
		return managers.Build(string(cfg.Manager), app, with)
	})
	if err != nil {
		return nil, nil, err
	}
	if o.Data, err = adapting.Known(cfg.Adapt, app); err != nil {
		return nil, nil, cli.Usage(err)
	}
	m, err := o.Build(o.Model)
	return m, &o, cli.Usage(err)
}
