package main

import (
	"errors"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/exploring"
	"foresail.dev/loop"
)

func newExplore() *cobra.Command { return exploring.New(exploreLive) }

// exploreLive explores the application that a file names, where that says.
func exploreLive(c *cobra.Command, f exploring.Flags) error {
	cfg, err := readRunConfig(f.File)
	if err != nil {
		return err
	}
	if c.Flags().Changed("seed") {
		cfg.Seed = f.Seed
	}
	cfg.Mode, cfg.Duration, cfg.Models = loop.Auto, f.For, ""
	limits, err := f.Live()
	if err != nil {
		return err
	}
	return manageBy(c, cfg, f.JSON, func(app *foresail.App, load string) (guest, error) {
		live, err := exploring.Open(f.Out, app, cfg.Cluster, load, limits, cfg.Seed, f.For, c.ErrOrStderr())
		if err != nil {
			return guest{}, err
		}
		return guest{name: "explore", manager: live.Manager, events: live.Events(), state: live.State(), after: live.After,
			stopBy: func(stop func()) { live.Stop = stop },
			done:   func() error { return errors.Join(live.Err, live.Close(), live.Print(c.OutOrStdout(), f.JSON)) }}, nil
	})
}
