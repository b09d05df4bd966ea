package fidelity

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/load"
)

// File says on what simulator and testbed are compared; see docs/formats/fidelity.md.
type File struct {
	Seed        uint64        `yaml:"seed"`
	Warmup      time.Duration `yaml:"warmup" rule:"min=1s,max=10m"`
	Duration    time.Duration `yaml:"duration" rule:"min=1s,max=1h"`
	Repeat      int           `yaml:"repeat" rule:"min=1,max=99"`
	Simulated   time.Duration `yaml:"simulated" rule:"min=10s,max=24h"`
	Tolerance   appfile.Share `yaml:"tolerance"`
	Calibration calibration   `yaml:"calibration"`
	Cases       []caseSet     `yaml:"cases" rule:"required"`
	Note        string        `yaml:"note"`
}

type calibration struct {
	Application string    `yaml:"application" rule:"required"`
	Loads       []float64 `yaml:"loads" rule:"required,above=0"`
}

type caseSet struct {
	Application string                      `yaml:"application" rule:"required"`
	Mix         appfile.OrderedMap[float64] `yaml:"mix"`
	Loads       []float64                   `yaml:"loads" rule:"required,above=0"`  // requests/s
	Limits      []float64                   `yaml:"limits" rule:"required,above=0"` // cores of each replica
}

// Case is one measurement: an application under one limit and one load.
type Case struct {
	blueprint *foresail.Blueprint // its replicas have the limit
	limit     float64
	rate      float64
	load      *load.Load
}

// Read reads a file with the applications that it names.
func Read(path string) (f File, cases []Case, known *foresail.Blueprint, err error) {
	f = File{Seed: 1, Warmup: 10 * time.Second, Duration: time.Minute, Repeat: 3, Simulated: 10 * time.Minute, Tolerance: 0.25}
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, nil, err
	}
	app := func(name string) (*foresail.Blueprint, error) {
		if strings.ContainsAny(name, "/.") {
			if !filepath.IsAbs(name) {
				name = filepath.Join(filepath.Dir(path), name)
			}
		}
		return appfile.ReadApp(name)
	}
	var errs []error
	if known, err = app(f.Calibration.Application); err != nil {
		errs = append(errs, err)
	}
	for _, set := range f.Cases {
		bp, err := app(set.Application)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		shares, err := sharesOf(bp.App, set.Mix)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: mix of %s: %w", path, set.Application, err))
			continue
		}
		for _, limit := range set.Limits {
			for _, rate := range set.Loads {
				cases = append(cases, Case{blueprint: limited(bp, limit), limit: limit, rate: rate, load: steady(rate, shares)})
			}
		}
	}
	return f, cases, known, errors.Join(errs...)
}

// sharesOf are the shares of a mix by endpoint; nil: all alike.
func sharesOf(app *foresail.App, mix appfile.OrderedMap[float64]) ([]float64, error) {
	if len(mix) == 0 {
		return nil, nil
	}
	out := make([]float64, len(app.Endpoints))
	for _, e := range mix {
		id, ok := app.EndpointByName(e.Key)
		if !ok {
			return nil, fmt.Errorf("%q is not an endpoint", e.Key)
		}
		if !(e.Value > 0) {
			return nil, fmt.Errorf("the share of %s is %v: give one above 0, or leave it out", e.Key, e.Value)
		}
		out[id] = e.Value
	}
	return out, nil
}

func steady(rate float64, shares []float64) *load.Load {
	l := &load.Load{Name: fmt.Sprintf("%g requests/s", rate), Curve: []load.Segment{{From: rate}}}
	if shares != nil {
		l.Mix = []load.MixPoint{{Shares: shares}}
	}
	return l
}

// limited is an application whose replicas each have so many cores.
func limited(bp *foresail.Blueprint, cores float64) *foresail.Blueprint {
	out, app := *bp, *bp.App
	app.Services = append([]foresail.Service(nil), app.Services...)
	for i := range app.Services {
		s := &app.Services[i]
		s.Initial.CPU = cores
		s.Bounds.MinCPU, s.Bounds.MaxCPU = min(s.Bounds.MinCPU, cores), max(s.Bounds.MaxCPU, cores)
	}
	out.App = &app
	return &out
}
