package main

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/cmd/foresail/shaping"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/loop"
	"foresail.dev/web"
)

func newTestbed() *cobra.Command {
	var app, loadFile, listen, otlpAddr, snapshots, spans, historyDir, traces string
	var duration time.Duration
	var seed uint64
	var asJSON, favour bool
	flags := managerFlags{}
	var ports security.Config
	c := &cobra.Command{
		Use:   "testbed -f APPLICATION --load LOAD",
		Short: "Runs an application file as real processes on this machine, under real CPU quotas",
		Long: `Runs an application file as real processes on this machine: one for each replica, each in its own cgroup with
its CPU quota, calling each other over loopback and reporting spans over OTLP. Needs permission to make cgroups.
Runs until it is stopped (Ctrl-C) or the duration is over, then prints a summary. Nothing is left behind.`,
		Example: "  foresail testbed -f hotel-reservation --load examples/loads/gentle.yaml --duration 1m",
		Args:    cli.Needs("file", "load"),
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if duration < 0 {
				return cli.Usagef("--duration %v: give a time longer than zero, or 0 to run until stopped", duration)
			}
			if err := sameFile(snapshots, spans); err != nil {
				return err
			}
			blueprint, l, err := readFiles(app, loadFile)
			if err != nil {
				return err
			}
			manager, err := flags.build(blueprint.App)
			if err != nil {
				return err
			}
			secured, err := ports.Open(c.ErrOrStderr())
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			kept, err := history.At(historyDir).Keep(blueprint.App, true, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, kept.Close()) }()
			files := &recorder{}
			if err := files.open(snapshots, spans); err != nil {
				return err
			}
			cfg := bedConfig{blueprint: blueprint, load: l, seed: seed, duration: duration, grpc: otlpAddr, ports: secured, log: c.ErrOrStderr(), favour: favour, shapes: shaping.Default, needs: manager.Needs()}
			keep := tracing.Default
			keep.Dir = traces
			tr, err := keep.Start(blueprint.App.Name, seed, time.Time{}, c.ErrOrStderr())
			if err != nil {
				return errors.Join(err, files.close())
			}
			cfg.spans = tr.Spans()
			if spans != "" {
				cfg.spans = tracing.Both(files.trace, cfg.spans)
			}
			b, err := startBed(ctx, cfg)
			if err != nil {
				return errors.Join(err, files.close(), tr.Close(c.ErrOrStderr()))
			}
			r := job{app: blueprint.App, cluster: b, bed: b, manager: manager, mode: loop.Auto, seed: seed, duration: duration,
				json: asJSON, name: "testbed", out: c.OutOrStdout(), err: c.ErrOrStderr(), page: web.Config{Addr: listen}, files: files, ports: secured, metrics: promout.DefaultMetrics(), kept: kept}
			return errors.Join(r.run(ctx), files.close(), tr.Close(c.ErrOrStderr()))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&app, "file", "f", "", "application: a file, or the name of a built-in one (see 'foresail apps')")
	fl.StringVar(&loadFile, "load", "", "load file")
	fl.StringVar(&listen, "listen", web.DefaultAddr, "address of the page")
	fl.StringVar(&otlpAddr, "otlp", "127.0.0.1:0", "address where the processes' spans are received (gRPC); port 0 takes a free one")
	fl.StringVar(&snapshots, "snapshots", "", "write every snapshot to this file, one JSON object a line")
	fl.StringVar(&historyDir, "history", "", "keep the snapshots of each second in this directory, a history store")
	fl.StringVar(&spans, "spans", "", "write all spans to this file, as OTLP JSON lines")
	fl.StringVar(&traces, "traces", "", "keep exemplar traces in this folder: of each minute the slowest five requests' and a random five's")
	fl.BoolVar(&favour, "favour", false, "let the run's processes go before everything else on this machine where CPUs are short")
	fl.DurationVar(&duration, "duration", 0, "stop after this time; 0: run until stopped")
	fl.Uint64Var(&seed, "seed", 1, "seed of the load and of everything that is drawn")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	ports.Register(fl)
	flags.register(fl, "static")
	return c
}
