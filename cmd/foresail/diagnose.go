package main

import (
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/diagnosing"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/neighbours"
	"foresail.dev/telemetry/store"
)

// newDiagnose is 'foresail diagnose' of a history, with the commands below it.
func newDiagnose() *cobra.Command {
	var f historyFlags
	var j diagnosing.Job
	c := diagnosing.New()
	c.AddCommand(neighbours.New(startNeighbours))
	c.Use = "diagnose (-f FILE | --dir DIR)"
	c.Short = "Says which service is to blame, and for want of which resource"
	c.Long = `Compares the newest seconds of what a run keeps, or those before a time, with the minutes before: which service is to blame, which
resource holds it up there, the evidence, and what to do. A daemon that is running keeps its history where its file says. What
could not be told for want of a signal is said.`
	c.Example = `  foresail diagnose -f foresail.yaml
  foresail diagnose --dir history --at 2026-03-01T12:00:05Z --for 5s --before 10m --json`
	c.Args = f.where()
	c.RunE = func(c *cobra.Command, _ []string) error {
		j.Out, j.JSON = c.OutOrStdout(), f.json
		if f.file != "" {
			cfg, err := readRunConfig(f.file)
			if err != nil {
				return err
			}
			if cfg.History.Dir != "" { // what is on disk is read before what is elsewhere
				f.dir, f.key, f.file = cfg.History.Dir, cfg.History.KeyFile, ""
			}
		}
		if f.file == "" {
			return f.with(c, func(s *store.Store) error { return j.Run(c.Context(), s) })
		}
		return f.anywhere(c, func(s history.Readable) error { return j.Run(c.Context(), s) })
	}
	f.register(c, true)
	c.Flags().StringVarP(&f.file, "file", "f", "", "a foresail.yaml, whose history, or else remote_history, is read")
	c.Flags().StringVar(&j.At, "at", "0s", "the end of what is diagnosed: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90s")
	c.Flags().DurationVar(&j.For, "for", 5*time.Second, "how long that is")
	c.Flags().DurationVar(&j.Before, "before", 5*time.Minute, "how long before it all was well")
	return c
}
