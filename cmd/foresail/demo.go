package main

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/promout"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/web"
)

// demo is an application that the demo can show, and what its users do.
type demo struct {
	application string
	title       string
	day         string  // a load file: a day of ten minutes
	steady      float64 // requests/s
	low, high   float64 // between which a ramp goes
}

var demos = []demo{
	{"social-network", "Social Network", `
load: day
curve:
  - diurnal: {low: 80, high: 320, period: 10m}
mix: {read-home-timeline: 60, read-user-timeline: 15, read-post: 8, compose-post: 5, search: 4, log-in: 2, recommend: 2,
  favorite: 1, repost: 1, send-message: 1, read-messages: 1, follow: 0.5, block: 0.1}
`, 200, 60, 450},
	{"social-network-28", "Sinan's Social Network", `
load: day
curve:
  - diurnal: {low: 60, high: 300, period: 10m}
mix: {compose-post: 5, read-home-timeline: 80, read-user-timeline: 15}
`, 200, 60, 350},
	{"hotel-reservation-17", "Sinan's Hotel Reservation", `
load: day
curve:
  - diurnal: {low: 400, high: 2400, period: 10m}
mix: {search: 600, recommend: 390, user: 5, reserve: 5}
`, 1500, 300, 2700},
}

// chooseDemo is the application that is asked for, by name. Where none is, it is the first that the manager has a model of, if
// it decides with one, else the first.
func chooseDemo(name, manager string) (*demo, error) {
	var names []string
	for i := range demos {
		d := &demos[i]
		names = append(names, d.application)
		if d.application == name || name == "" && managers.UsesModel(manager) && models.For(d.application) != nil {
			return d, nil
		}
	}
	if name == "" {
		return &demos[0], nil
	}
	return nil, cli.Usagef("--app %s: the demo has no load for it: use %s, or 'foresail run' for any other", name, strings.Join(names, ", "))
}

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
  foresail demo --manager sinan --app hotel-reservation-17`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			if duration < 0 {
				return cli.Usagef("--duration %v: give a time longer than zero, or 0 to run until stopped", duration)
			}
			show, err := chooseDemo(application, flags.name)
			if err != nil {
				return err
			}
			blueprint, err := appfile.ReadApp(show.application)
			if err != nil {
				return err
			}
			l, err := appfile.ParseLoad("demo", []byte(show.day), blueprint.App, nil)
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
			s, err := sim.New(sim.Config{Blueprint: blueprint, Load: l, Seed: seed, Start: kept.Start(now()), Duration: duration})
			if err != nil {
				return err
			}
			d := newDemoControls(s, l, blueprint.App, show)
			r := job{app: blueprint.App, cluster: loop.Paced(d, 1), manager: manager, mode: loop.Auto, seed: seed,
				duration: duration, json: asJSON, name: "demo", out: c.OutOrStdout(), err: c.ErrOrStderr(),
				page: web.Config{Title: show.title + " (simulated)", Addr: listen, Controls: d}, metrics: promout.DefaultMetrics(), ports: secured, kept: kept}
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
