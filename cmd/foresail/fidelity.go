package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/load"
)

// fidelityFile says on what simulator and testbed are compared; see docs/formats/fidelity.md.
type fidelityFile struct {
	Seed        uint64            `yaml:"seed"`
	Warmup      time.Duration     `yaml:"warmup" rule:"min=1s,max=10m"`
	Duration    time.Duration     `yaml:"duration" rule:"min=1s,max=1h"`
	Repeat      int               `yaml:"repeat" rule:"min=1,max=99"`
	Simulated   time.Duration     `yaml:"simulated" rule:"min=10s,max=24h"`
	Tolerance   appfile.Share     `yaml:"tolerance"`
	Calibration calibrationFile   `yaml:"calibration"`
	Cases       []fidelityCaseSet `yaml:"cases" rule:"required"`
	Note        string            `yaml:"note"`
}

type calibrationFile struct {
	Application string    `yaml:"application" rule:"required"`
	Loads       []float64 `yaml:"loads" rule:"required,above=0"`
}

type fidelityCaseSet struct {
	Application string                      `yaml:"application" rule:"required"`
	Mix         appfile.OrderedMap[float64] `yaml:"mix"`
	Loads       []float64                   `yaml:"loads" rule:"required,above=0"`  // requests/s
	Limits      []float64                   `yaml:"limits" rule:"required,above=0"` // cores of each replica
}

// fidelityCase is one measurement: an application under one limit and one load.
type fidelityCase struct {
	blueprint *foresail.Blueprint // its replicas have the limit
	limit     float64
	rate      float64
	load      *load.Load
}

func newFidelity() *cobra.Command {
	var file, out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "fidelity -f FIDELITY",
		Short: "Runs applications for real and simulated, and says how far the latencies are apart",
		Long: `Runs each case of a file on the testbed, as often as it says, and in the simulator: the same application, CPU limit, load and
seed. Prints the median and the 99th percentile of each endpoint from both, and which are within the tolerance.

What the platform takes beside the demands (remote calls, tracing, the runtime, the network) is found first, once, on a
calibration application that is none of those compared. Needs permission to make cgroups. Everything else on the machine
disturbs what is measured: the table says how much CPU others used.`,
		Example: "  foresail fidelity -f examples/fidelity.yaml --json > result.json --markdown docs/results/fidelity.md",
		Args:    needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, cases, calibration, err := readFidelity(file)
			if err != nil {
				return err
			}
			ctx, stop := stoppable(c.Context())
			defer stop()
			r := &fidelityRun{file: f, cases: cases, calibration: calibration, log: c.ErrOrStderr(), progress: newProgress(c.ErrOrStderr())}
			err = r.run(ctx)
			if len(r.rows) == 0 {
				return err
			}
			if out != "" {
				if werr := os.WriteFile(out, []byte(r.markdown(file)), 0o644); werr != nil {
					err = errors.Join(err, usage(werr))
				}
			}
			if asJSON {
				res := newResult("fidelity", &f.Seed, r.rows)
				res.Detail = r.detail()
				return errors.Join(err, printJSON(c.OutOrStdout(), res))
			}
			return errors.Join(err, r.print(c.OutOrStdout()))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what to compare; see docs/formats/fidelity.md")
	fl.StringVar(&out, "markdown", "", "write the table to this file as well")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// readFidelity reads a file with the applications that it names.
func readFidelity(path string) (f fidelityFile, cases []fidelityCase, calibration *foresail.Blueprint, err error) {
	f = fidelityFile{Seed: 1, Warmup: 10 * time.Second, Duration: time.Minute, Repeat: 3, Simulated: 10 * time.Minute, Tolerance: 0.25}
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, nil, usage(err)
	}
	app := func(name string) (*foresail.Blueprint, error) {
		if strings.ContainsAny(name, "/.") {
			name = relative(filepath.Dir(path), name)
		}
		return appfile.ReadApp(name)
	}
	var errs []error
	if calibration, err = app(f.Calibration.Application); err != nil {
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
				cases = append(cases, fidelityCase{blueprint: limited(bp, limit), limit: limit, rate: rate, load: steady(rate, shares)})
			}
		}
	}
	return f, cases, calibration, usage(errors.Join(errs...))
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
