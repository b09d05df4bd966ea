package main

import (
	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/insights"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/telemetry/store"
)

func newInsights() *cobra.Command {
	var f historyFlags
	var j insights.Job
	var tracesKey string
	c := &cobra.Command{
		Use:   "insights (-f FILE | --dir DIR)",
		Short: "Says what in an application's design invites violations",
		Long: `Reads what a run kept, history and exemplar traces, and says which services violations began in, and what in the design
invites them: chatty pairs, rings of services, requests that block, fan-out, missing timeouts, retries that amplify; each
with its evidence, an example trace and what to change, those that cost most first. See docs/formats/insights.md.`,
		Example: `  foresail insights -f foresail.yaml --since 48h
  foresail insights --dir history --traces traces --json`,
		Args: f.where(),
		RunE: func(c *cobra.Command, _ []string) error {
			j.Out, j.Err, j.JSON = c.OutOrStdout(), c.ErrOrStderr(), f.json
			if f.file != "" {
				cfg, err := readRunConfig(f.file)
				if err != nil {
					return err
				}
				if j.Traces == "" {
					j.Traces, tracesKey = cfg.Traces.Dir, cfg.Traces.KeyFile
				}
				if cfg.History.Dir != "" { // what is on disk is read before what is elsewhere
					f.dir, f.key, f.file = cfg.History.Dir, cfg.History.KeyFile, ""
				}
			}
			var err error
			if j.Key, err = tracing.ReadKey(tracesKey); err != nil {
				return err
			}
			if f.file == "" {
				return f.with(c, func(s *store.Store) error { return j.Run(c.Context(), s) })
			}
			return f.anywhere(c, func(s history.Readable) error { return j.Run(c.Context(), s) })
		},
	}
	f.register(c, true)
	c.Flags().StringVarP(&f.file, "file", "f", "", "a foresail.yaml, whose history, or else remote_history, and traces are read")
	c.Flags().StringVar(&j.Since, "since", "oldest", `from when on: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 48h; "oldest": everything`)
	c.Flags().StringVar(&j.Traces, "traces", "", "folder of exemplar traces; empty: that of the file")
	c.Flags().StringVar(&tracesKey, "traces-key-file", "", "file with the traces' key, or env:NAME, where they are encrypted")
	c.Flags().IntVar(&j.Config.MinWindows, "min-windows", 3, "tell what took part in at least so many violated windows; -1: also what cost nothing yet")
	return c
}
