package main

import (
	"errors"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/demos"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/loop"
	"foresail.dev/web"
)

func newDemo() *cobra.Command {
	var application, listen, historyDir string
	var duration time.Duration
	var seed uint64
	var asJSON bool
	flags := managerFlags{}
	var ports security.Config
	c := &cobra.Command{
		Use:   "demo",
		Short: "Simulates Social Network, manages it, and serves the page; nothing to install or configure",
		Example: `  foresail demo
  foresail demo --foresee
  foresail demo --manager sinan --app hotel-reservation-17`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if duration < 0 {
				return cli.Usagef("--duration %v: give a time longer than zero, or 0 to run until stopped", duration)
			}
			show, err := demos.Choose(application, flags.name)
			if err == nil && flags.foresee.On() {
				err = show.Shows()
			}
			if err != nil {
				return err
			}
			blueprint, err := appfile.ReadApp(show.Application)
			if err != nil {
				return err
			}
			l, err := appfile.ParseLoad("demo", []byte(show.Day), blueprint.App, nil)
			if err != nil {
				return err
			}
			secured, err := ports.Open(c.ErrOrStderr())
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			manager, err := flags.build(blueprint.App)
			if err != nil {
				return err
			}
			kept, err := history.At(historyDir).Keep(blueprint.App, false, c.ErrOrStderr())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, kept.Close()) }()
			simulated := sim.Config{Blueprint: blueprint, Load: l, Seed: seed, Start: kept.Start(now()), Duration: duration}
			if flags.foresee.On() {
				simulated.Faults = show.Faults(duration)
			}
			d, err := demos.Simulate(simulated, l, show)
			if err != nil {
				return err
			}
			r := job{app: blueprint.App, cluster: loop.Paced(d, 1), manager: manager, mode: loop.Auto, seed: seed,
				duration: duration, json: asJSON, name: "demo", out: c.OutOrStdout(), err: c.ErrOrStderr(),
				page: web.Config{Title: show.Title + " (simulated)", Addr: listen, Controls: d}, metrics: promout.DefaultMetrics(), ports: secured, kept: kept}
			if flags.foresee.On() {
				alone, err := flags.inner(blueprint.App)
				if err != nil {
					return err
				}
				r.beside = d.Alone(simulated, alone, c.ErrOrStderr())
				r.page.Beside = r.beside.Name
			}
			err = r.run(ctx)
			if errors.Is(err, syscall.EADDRINUSE) && !c.Flags().Changed("listen") {
				r.page.Addr = "127.0.0.1:0" // someone else has the usual port: any other will do
				err = r.run(ctx)
			}
			return err
		},
	}
	fl := c.Flags()
	fl.StringVar(&application, "app", "", "application to show: social-network, social-network-28 or hotel-reservation-17; empty: the first, or the first that the manager has a model of")
	fl.StringVar(&listen, "listen", web.DefaultAddr, "address of the page")
	fl.StringVar(&historyDir, "history", "", "keep the snapshots of each second in this directory, a history store")
	fl.DurationVar(&duration, "duration", 0, "stop after this time; 0: run until stopped")
	fl.Uint64Var(&seed, "seed", 1, "seed of everything that is drawn")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON when it ends")
	ports.Register(fl)
	flags.register(fl, "autoscale-cons")
	return c
}
