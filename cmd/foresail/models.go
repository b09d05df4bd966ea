package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"

	"foresail.dev"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/ml"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/neural"
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
	for _, m := range []int{all.ahead, 5} { // one for as many steps, else the usual one
		kind := training.Kind(method, all.n, m)
		found, err := b.Versions(ctx, f.application, kind, service)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 {
			model, err := readModel(ctx, b, found[len(found)-1].Name, method)
			if err == nil && model.Step() != step {
				err = usagef("the model of %s was trained on loads that are %v apart, and the series' are %v: give --step, or train on such a series", service, model.Step(), step)
			}
			return model, err
		}
	}
	return nil, usagef("%s has no model of %q of application %q that sees %d steps: train it with `foresail train --application %s --models %s`, or name it with --service and --history",
		b, service, f.application, all.n, f.application, f.url)
}

func readModel(ctx context.Context, b *bucket.Bucket, name bucket.Name, method neural.Method) (*neural.Model, error) {
	_, _, data, err := b.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	var m neural.Model
	if _, err := ml.Load(bytes.NewReader(data), ml.Header{Kind: method.Kind(), Features: neural.Schema()}, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &m, nil
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
		models, notes, err = modelsOf(ctx, b, app)
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

// modelsOf reads the newest model of each service, and tells what there is and what not.
func modelsOf(ctx context.Context, b *bucket.Bucket, app *foresail.App) (map[string][]byte, []string, error) {
	kind := training.Kind(neural.Madu, 60, 5) // what madu.Config's zero values ask for
	all, err := b.Models(ctx, app.Name, kind)
	if err != nil {
		return nil, nil, err
	}
	newest := map[string]bucket.Name{}
	for _, e := range bucket.Newest(all) {
		newest[e.Service] = e.Name
	}
	var mu sync.Mutex
	models := map[string][]byte{}
	var bad, lacking []string
	var last string
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	services := 0
	for _, svc := range app.Services {
		if svc.Gone {
			continue
		}
		services++
		name, ok := newest[svc.Name]
		if !ok {
			lacking = append(lacking, svc.Name)
			continue
		}
		g.Go(func() error {
			m, err := readModel(ctx, b, name, neural.Madu)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil && m.Step() != time.Minute {
				err = fmt.Errorf("it was trained on loads that are %v apart, and calls a minute are planned for", m.Step())
			}
			if err == nil {
				models[name.Service], err = m.MarshalBinary()
			}
			if err != nil {
				bad = append(bad, fmt.Sprintf("that of %s is not used: %v", name.Service, err))
			} else {
				last = max(last, name.Version)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	if len(models) == 0 && len(bad) == 0 {
		return nil, []string{fmt.Sprintf("%s has none of %s (%s): train them with `foresail train --application %s --models %s`; foresail's forecast stands in", b, app.Name, kind, app.Name, b)}, nil
	}
	notes := []string{fmt.Sprintf("%d of %d services have one", len(models), services)}
	if at, err := time.Parse("20060102T150405Z", strings.SplitN(last, "-", 2)[0]); err == nil {
		notes[0] += ", the newest trained on loads up to " + at.Format(time.DateTime)
	}
	if n := len(lacking); n > 0 {
		text := strings.Join(lacking[:min(n, 5)], ", ")
		if n > 5 {
			text += fmt.Sprintf(" and %d more", n-5)
		}
		notes = append(notes, "there is none of "+text+": foresail's forecast stands in")
	}
	return models, append(notes, bad...), nil
}
