package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"foresail.dev"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/forecast"
	"foresail.dev/plan/madu"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/store/bucket"
)

// modelFlags say which trained model forecasts a series.
type modelFlags struct{ url, application, service string }

func (f *modelFlags) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.url, "models", "", "forecast with the newest model that foresail train put into this folder or bucket, and train nothing")
	fl.StringVar(&f.application, "application", "", "with --models: the application that the model was trained for")
	fl.StringVar(&f.service, "service", "", "with --models: the service; empty: --column, or the name of the file")
}

func (f *modelFlags) check(method string) error {
	if f.url == "" {
		if f.application != "" || f.service != "" {
			return usagef("--application and --service name a trained model: say with --models where it is")
		}
		return nil
	}
	if err := bucket.Check(f.url); err != nil {
		return usagef("--models: %w", err)
	}
	if f.application == "" {
		return usagef("--models needs --application: the one that the model was trained for")
	}
	_, err := training.MethodByName(method)
	return usage(err)
}

// one finds the newest model for a series.
func (f *modelFlags) one(ctx context.Context, all forecastFlags, step time.Duration) (forecast.Forecaster, error) {
	service := f.service
	if service == "" {
		service = all.csv.Column
	}
	if service == "" {
		service = strings.TrimSuffix(strings.TrimSuffix(filepath.Base(all.file), ".gz"), ".csv")
	}
	b, err := bucket.Open(ctx, f.url)
	if err != nil {
		return nil, usageOf(err)
	}
	defer b.Close()
	method, err := training.MethodByName(all.method)
	if err != nil {
		return nil, usage(err)
	}
	model, err := trained.Newest(ctx, b, f.application, service, method, all.n, all.ahead, step)
	if errors.Is(err, trained.ErrNone) {
		return nil, usage(err)
	}
	return model, err
}

// checkModels reads the field models of a run's file, which lies in dir.
func (c *runConfig) checkModels(dir string) error {
	if c.Models == "" {
		return nil
	}
	if c.Manager != "madu" {
		return fmt.Errorf("manager %s uses no trained models: name manager madu, or leave this out", c.Manager)
	}
	if err := bucket.Check(c.Models); err != nil {
		return err
	}
	if !strings.Contains(c.Models, "://") {
		c.Models = relative(dir, c.Models)
	}
	return nil
}

// managerOf builds the manager that a file names, with the models that were trained for it. Where those can't be had it
// manages all the same, with what stands in, and says so: a store that is down is no reason not to.
func managerOf(c *cobra.Command, cfg runConfig, app *foresail.App) (foresail.Manager, error) {
	flags := managerFlags{name: string(cfg.Manager), guarded: cfg.Guard.Enabled, baseline: string(cfg.Guard.Baseline)}
	if cfg.Models == "" {
		return flags.build(app)
	}
	ctx, stop := context.WithTimeout(c.Context(), time.Minute)
	defer stop()
	b, err := bucket.Open(ctx, cfg.Models)
	if errors.Is(err, bucket.ErrURL) || errors.Is(err, bucket.ErrNoBucket) {
		return nil, usagef("models: %w", err)
	}
	var models map[string][]byte
	if err == nil {
		var notes []string
		models, notes, err = trained.Payloads(ctx, b, app)
		err = errors.Join(err, b.Close())
		for _, n := range notes {
			fmt.Fprintf(c.ErrOrStderr(), "models: %s\n", n)
		}
	}
	if err != nil {
		fmt.Fprintf(c.ErrOrStderr(), "models: %v: foresail's forecast stands in\n", err)
	}
	build := func() (foresail.Manager, error) { return madu.New(app, madu.Config{Models: models}) }
	var m foresail.Manager
	if flags.guarded {
		m, err = managers.GuardedBy(build, flags.baseline, app)
	} else {
		m, err = build()
	}
	return m, usage(err)
}
