package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/summary"
	"foresail.dev/cmd/foresail/truthfile"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/loop"
)

// epoch is when simulated time starts: a fixed instant, so that the same seed gives the same bytes.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

type simulateFlags struct {
	app, load  string
	nodes      string
	faults     string
	truth      string
	duration   time.Duration
	seed       uint64
	manager    managerFlags
	json       bool
	snapshots  string
	history    string
	spans      string
	traceShare float64
}

func newSimulate() *cobra.Command {
	var f simulateFlags
	c := &cobra.Command{
		Use:   "simulate -f APPLICATION --load LOAD",
		Short: "Simulates an application under a load: summary, snapshots and spans",
		Long: `Simulates an application under a load, as fast as this machine can, and prints a summary.
The same seed gives the same result, to the byte.`,
		Example: `  foresail simulate -f hotel-reservation --load examples/loads/constant.yaml --duration 10m
  foresail simulate -f social-network --load examples/loads/social-wide.yaml --faults examples/faults/social-random.yaml --truth truth.jsonl
  foresail simulate -f app.yaml --load load.yaml --manager hpa --snapshots out.jsonl --spans spans.jsonl --trace-share 0.01`,
		Args: cli.Needs("file", "load"),
		RunE: func(c *cobra.Command, _ []string) error { return simulate(c, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.app, "file", "f", "", "application: a file, or the name of a built-in one (see 'foresail apps')")
	fl.StringVar(&f.load, "load", "", "load file")
	fl.StringVar(&f.nodes, "nodes", "", "nodes file: what machines replicas share; without one each has a machine for itself")
	fl.StringVar(&f.faults, "faults", "", "faults file: what goes wrong, see docs/formats/faults.md")
	fl.StringVar(&f.truth, "truth", "", "write what was injected, on what and when, to this file, one JSON object a line")
	fl.DurationVar(&f.duration, "duration", time.Hour, "simulated time")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	fl.StringVar(&f.snapshots, "snapshots", "", "write every snapshot to this file, one JSON object a line")
	fl.StringVar(&f.history, "history", "", "keep the snapshots of each second in this directory, a history store")
	fl.StringVar(&f.spans, "spans", "", "write the spans of sampled requests to this file, as OTLP JSON lines")
	fl.Float64Var(&f.traceShare, "trace-share", 0.01, "share of requests whose spans are written, 0 to 1")
	f.manager.register(fl, "static")
	return c
}

func simulate(c *cobra.Command, f simulateFlags) (err error) {
	if f.duration <= 0 {
		return cli.Usagef("--duration %v: give a time longer than zero", f.duration)
	}
	if err := sameFile(f.snapshots, f.spans); err != nil {
		return err
	}
	if f.truth != "" && (f.truth == f.snapshots || f.truth == f.spans) {
		return cli.Usagef("--truth names the same file as --snapshots or --spans, %s: give another", f.truth)
	}
	if !(f.traceShare >= 0 && f.traceShare <= 1) {
		return cli.Usagef("--trace-share %v: give a share from 0 to 1", f.traceShare)
	}
	blueprint, l, err := readFiles(f.app, f.load)
	if err != nil {
		return err
	}
	manager, err := f.manager.build(blueprint.App)
	if err != nil {
		return err
	}
	cfg := sim.Config{Blueprint: blueprint, Load: l, Seed: f.seed, Start: epoch, Duration: f.duration}
	if f.nodes != "" {
		n, err := appfile.ReadNodes(f.nodes)
		if err != nil {
			return cli.Usage(err)
		}
		setNodes(&cfg, n)
	}
	if f.faults != "" {
		if cfg.Faults, err = appfile.ReadFaults(f.faults, cfg.World()); err != nil {
			return cli.Usage(err)
		}
	}
	var out recorder
	if f.spans != "" {
		cfg.TraceShare, cfg.Spans = f.traceShare, out.trace
	}
	var truth *cli.Lines
	if f.truth != "" {
		cfg.Truth = func(t fault.Truth) { truth.Write(truthfile.Of(t)) }
	}
	cluster, err := sim.New(cfg)
	if err != nil {
		return cli.Usage(err)
	}
	keep := history.At(f.history)
	keep.Wait = true
	kept, err := keep.Keep(blueprint.App, false, c.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, kept.Close()) }()
	if err := kept.Takes(epoch); err != nil {
		return err
	}
	if err := out.open(f.snapshots, f.spans); err != nil { // last, so that a mistake elsewhere empties no file
		return err
	}
	if f.truth != "" {
		if truth, err = cli.CreateLines(f.truth); err != nil {
			return errors.Join(err, out.close())
		}
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	sum := summary.New(blueprint.App, 0)
	progress := cli.NewProgress(c.ErrOrStderr())
	began := time.Now()
	err = loop.Run(ctx, cluster, manager, loop.Options{Mode: loop.Auto, Events: loop.Join(sum.Events(), kept.Events(), loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			out.snapshot(h.App(), s)
			at := s.End.Sub(epoch)
			progress.At(at.Seconds()/f.duration.Seconds(), "simulated "+at.Truncate(time.Second).String())
		},
	})})
	progress.End()
	sum.End()
	if cerr := out.close(); err == nil {
		err = cerr
	}
	if truth != nil {
		if cerr := truth.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("the files are not complete: %w", cerr)
		}
	}
	if err != nil {
		return err
	}
	if f.json {
		err = cli.PrintJSON(c.OutOrStdout(), cli.NewResult("simulate", &f.seed, sum.Rows()))
	} else if err = sum.Print(c.OutOrStdout()); err == nil {
		_, err = fmt.Fprintf(c.OutOrStdout(), "simulated in %s\n", time.Since(began).Round(time.Millisecond))
	}
	if err == nil && cluster.Offset() < f.duration {
		err = fmt.Errorf("stopped after %v of %v", cluster.Offset(), f.duration)
	}
	return err
}

// setNodes gives a simulation its nodes.
func setNodes(cfg *sim.Config, n *appfile.Nodes) {
	cfg.Nodes, cfg.Placement, cfg.Within, cfg.Between, cfg.Detection = n.Nodes, n.Placement, n.Within, n.Between, n.Detection
}

// readFiles reads an application and a load for it; faults of both are told at once.
func readFiles(app, loadFile string) (*foresail.Blueprint, *load.Load, error) {
	b, err := appfile.ReadApp(app)
	if err != nil {
		return nil, nil, cli.Usage(err)
	}
	l, err := appfile.ReadLoad(loadFile, b.App)
	if err != nil {
		return nil, nil, cli.Usage(err)
	}
	return b, l, nil
}
