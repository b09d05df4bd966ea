package learning

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
)

// flags are those of the command.
type flags struct {
	data, out, app, from                  string
	share, holdOut, rate, balance         float64
	seed                                  uint64
	label, channels, optimiser, calibrate string
	epochs, batch, trees, block           int
	force, json                           bool
}

// New is the command.
func New() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "sinan --data DIR --out MODEL",
		Short: "Trains a model of tail latency, from what foresail explore has collected",
		Long: `Trains the two models that manager sinan decides with, into one file: a network that says the latency percentiles of the
next second for any allocation, and boosted trees that say how probable it is that an objective is missed in the seconds
after. The data is a folder that 'foresail explore' has filled.

What is told of the model is measured on seconds that it was not trained on: a tenth of each run's ("validation"), and whole
runs that were held out ("held out"), which is the honest figure.

With --from it goes on from a model that was trained before, after the application, its load or its machines have changed: a
tenth of the data that a new model takes is enough, and so is --share 0.1 of it.`,
		Example: `  foresail train sinan --data data/social --out social.fsm
  foresail train sinan --data data/hotel --app hotel-reservation-17 --label pooled --out hotel.fsm --json
  foresail train sinan --data data/mix-w3 --from social.fsm --share 0.1 --out social-w3.fsm`,
		Args: cli.Needs("data", "out"),
		RunE: func(c *cobra.Command, _ []string) error { return run(c, &f) },
	}
	d, t := tail.Default(), tail.Tuning()
	fl := c.Flags()
	fl.StringVar(&f.data, "data", "", "folder of data sets, see docs/formats/sinan.md")
	fl.StringVarP(&f.out, "out", "o", "", "where the model goes: a file, like social.fsm")
	fl.StringVar(&f.app, "app", "", "application that the data must be of: a file, or the name of a built-in one; empty: that of the data")
	fl.StringVar(&f.from, "from", "", "model to go on from, instead of from none")
	fl.Float64Var(&f.share, "share", 1, "share of each run, from its start, that is used")
	fl.Float64Var(&f.holdOut, "hold-out", d.HoldOut, "share of whole runs that are kept from training and measure the model; with --from 0, where it is not given")
	fl.Uint64Var(&f.seed, "seed", d.Seed, "seed of everything that is drawn")
	fl.StringVar(&f.label, "label", string(d.Label), "what a violation is: endpoints, windows or pooled; with --from the model's own")
	fl.StringVar(&f.channels, "channels", joined(d.Channels), "what is looked at of each service; with --from the model's own")
	fl.StringVar(&f.optimiser, "optimiser", string(d.Optimiser), "adam, or sgd as published")
	fl.StringVar(&f.calibrate, "calibration", "", "how trees' scores become probabilities: sigmoid or steps; empty: whichever does better")
	fl.IntVar(&f.epochs, "epochs", 0, fmt.Sprintf("times that the network sees the data; 0: %d, or %d with --from", d.Epochs, t.Epochs))
	fl.IntVar(&f.batch, "batch", d.Batch, "samples of a step")
	fl.Float64Var(&f.rate, "rate", 0, fmt.Sprintf("of learning; 0: %g, or %g with --from", d.Rate, t.Rate))
	fl.IntVar(&f.trees, "trees", 0, fmt.Sprintf("boosted trees at most; 0: %d, or %d more with --from", d.Trees, t.Trees))
	fl.Float64Var(&f.balance, "balance", 0, "share that samples before a violation are brought to for the network, by drawing them more often, as in 0.5; 0: as they come")
	fl.IntVar(&f.block, "validation-block", d.Block, "seconds in a row that go to validation together")
	fl.BoolVar(&f.force, "force", false, "replace the file of --out where it is there")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

func joined(channels []tail.Channel) string {
	var out []string
	for _, c := range channels {
		out = append(out, string(c))
	}
	return strings.Join(out, ",")
}

// config is what the flags ask for.
func (f *flags) config(c *cobra.Command) (tail.Config, error) {
	cfg := tail.Default()
	if f.from != "" {
		cfg = tail.Tuning()
	}
	cfg.Seed, cfg.Label, cfg.Optimiser, cfg.Calibration = f.seed, tail.Label(f.label), tail.Optimiser(f.optimiser), tail.Calibration(f.calibrate)
	cfg.Batch, cfg.Balance, cfg.Block = f.batch, f.balance, f.block
	cfg.Channels = nil
	for _, name := range strings.Split(f.channels, ",") {
		cfg.Channels = append(cfg.Channels, tail.Channel(strings.TrimSpace(name)))
	}
	if f.epochs != 0 {
		cfg.Epochs = f.epochs
	}
	if f.rate != 0 {
		cfg.Rate = f.rate
	}
	if f.trees != 0 {
		cfg.Trees = f.trees
	}
	if c.Flags().Changed("hold-out") {
		cfg.HoldOut = f.holdOut
	}
	cfg.Source, cfg.Commit = filepath.Base(filepath.Clean(f.data)), cli.Commit()
	errs := []error{cfg.Check()}
	if !(f.share > 0 && f.share <= 1) {
		errs = append(errs, fmt.Errorf("--share %v: give a share above 0 and at most 1", f.share))
	}
	for _, name := range []string{"label", "channels"} {
		if f.from != "" && c.Flags().Changed(name) {
			errs = append(errs, fmt.Errorf("--%s is that of the model of --from: leave it out", name))
		}
	}
	if _, err := os.Stat(f.out); err == nil && !f.force {
		errs = append(errs, fmt.Errorf("--out %s is there already: give another file, or --force", f.out))
	}
	return cfg, errors.Join(errs...)
}

func run(c *cobra.Command, f *flags) error {
	cfg, err := f.config(c)
	if err != nil {
		return cli.Usage(err)
	}
	var old *tail.Model
	if f.from != "" {
		if old, err = ReadModel(f.from); err != nil {
			return cli.Usagef("--from: %w", err)
		}
	}
	schema, runs, err := f.read(old)
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	p := cli.NewProgress(c.ErrOrStderr())
	began, cpu := time.Now(), training.CPUTime()
	var m *tail.Model
	var r *tail.Report
	if old == nil {
		m, r, err = tail.Train(ctx, schema, runs, cfg, p.At)
	} else {
		m, r, err = tail.FineTune(ctx, old, runs, cfg, p.At)
	}
	p.End()
	if err != nil {
		return err
	}
	size, err := write(f.out, m)
	if err != nil {
		return err
	}
	d := detail{Application: schema.Name, Model: f.out, Bytes: size, From: f.from, Label: string(m.Label()), Channels: joined(m.Channels()), Runs: r.Runs, Trained: r.Trained,
		Epochs: r.Epochs, Best: r.Best, Trees: r.Trees, Margin: cli.Round(r.Margin), WallS: cli.Round(time.Since(began).Seconds()), CPUS: cli.Round((training.CPUTime() - cpu).Seconds())}
	if f.json {
		res := cli.NewResult("train-sinan", &f.seed, rows(schema.Name, r))
		res.Detail = d
		return cli.PrintJSON(c.OutOrStdout(), res)
	}
	return show(c.OutOrStdout(), &d, r)
}

// read reads the data, of the application that flags, the old model or the data itself name.
func (f *flags) read(old *tail.Model) (tail.Schema, []tail.Run, error) {
	var want *tail.Schema
	if f.app != "" {
		bp, err := appfile.ReadApp(f.app)
		if err != nil {
			return tail.Schema{}, nil, fmt.Errorf("--app: %w", err)
		}
		s := tail.SchemaOf(bp.App)
		want = &s
	}
	if old != nil {
		s := old.Schema()
		if want != nil {
			if err := s.Differs(want); err != nil {
				return s, nil, fmt.Errorf("--from %s: %w", f.from, err)
			}
		}
		want = &s
	}
	files, err := steps.ReadDir(f.data, want)
	if err != nil {
		return tail.Schema{}, nil, fmt.Errorf("--data: %w", err)
	}
	if want == nil {
		want = &files[0].Header.Schema
		if len(want.Objectives) == 0 {
			return *want, nil, fmt.Errorf("--data %s does not say the objectives of %s: name the application with --app", f.data, want.Name)
		}
	}
	runs := steps.Runs(files)
	for i := range runs {
		n := len(runs[i].Steps)
		runs[i].Steps = runs[i].Steps[:min(int(math.Ceil(f.share*float64(n))), n)]
	}
	return *want, runs, nil
}

// ReadModel reads a model of tail latency.
func ReadModel(path string) (*tail.Model, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m, err := tail.Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return m, nil
}

// write writes a model beside its place first, so that there is never half a file.
func write(path string, m *tail.Model) (int64, error) {
	w, err := os.CreateTemp(filepath.Dir(path), ".model-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(w.Name())
	err = errors.Join(tail.Write(w, m), w.Chmod(0o644))
	size, seekErr := w.Seek(0, io.SeekCurrent)
	if err = errors.Join(err, seekErr, w.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(w.Name(), path)
}
