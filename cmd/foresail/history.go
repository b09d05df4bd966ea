package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/historytable"
	"foresail.dev/telemetry/series"
	"foresail.dev/telemetry/store"
)

func newHistory() *cobra.Command {
	c := &cobra.Command{
		Use: "history", Short: "Queries, exports and checks a history store", Args: cli.NoArgs,
		Long: `Reads what a run kept with history: in its file, or with --history. Reading changes nothing in the store, and works while
a run writes it.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newHistoryQuery(), newHistoryExport(), newHistoryCheck(), newHistoryInfo())
	return c
}

// historyFlags are what all of its commands take.
type historyFlags struct {
	dir, key string
	file     string // a foresail.yaml whose remote_history is meant instead; of those commands that can read one
	json     bool
}

func (f *historyFlags) register(c *cobra.Command, json bool) {
	c.Flags().StringVarP(&f.dir, "dir", "d", "", "directory of the store")
	c.Flags().StringVar(&f.key, "key-file", "", "file with the store's key, or env:NAME, where it is encrypted")
	if json {
		c.Flags().BoolVar(&f.json, "json", false, "print the result as JSON")
	}
}

// with opens the store for reading while do uses it.
func (f *historyFlags) with(c *cobra.Command, do func(*store.Store) error) error {
	s, err := history.Open(f.dir, f.key, c.ErrOrStderr())
	if err == nil {
		err = errors.Join(do(s), s.Close())
	}
	return err
}

func rangeFlags(r *history.Range, c *cobra.Command, from string) {
	fl := c.Flags()
	fl.StringVar(&r.From, "from", from, `start: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m; "oldest": everything`)
	fl.StringVar(&r.To, "to", "0s", "end, likewise; 0s: the newest")
	fl.DurationVar(&r.Step, "step", time.Minute, "length of what one row covers; 0: as stored")
	fl.StringSliceVar(&r.Services, "service", nil, "only these services (several: repeat it, or separate by commas)")
	fl.StringSliceVar(&r.Endpoints, "endpoint", nil, "only these endpoints")
}

func newHistoryQuery() *cobra.Command {
	var f historyFlags
	var r history.Range
	var level string
	c := &cobra.Command{
		Use: "query --dir DIR", Short: "Prints what was observed", Args: f.where(),
		Example: `  foresail history query -d history
  foresail history query -f foresail.yaml --from 24h --step 1h
  foresail history query -d history --from 24h --step 1h --service cart --json
  foresail history query -d history --from 2026-03-01T12:00:00Z --to 2026-03-01T12:05:00Z --step 1s --level replica`,
		RunE: func(c *cobra.Command, _ []string) error {
			levels := []series.Level{series.Service, series.Endpoint}
			if level != "" {
				l, err := historytable.ParseLevel(level)
				if err != nil {
					return cli.Usage(err)
				}
				levels = []series.Level{l}
			}
			var asJSON func(any) error
			if f.json {
				asJSON = func(rows any) error { return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("history", nil, rows)) }
			}
			return f.anywhere(c, func(s history.Readable) error {
				return history.Query(c.Context(), c.OutOrStdout(), s, &r, levels, asJSON)
			})
		},
	}
	f.register(c, true)
	f.registerFile(c)
	rangeFlags(&r, c, "1h")
	c.Flags().StringVar(&level, "level", "", "what rows are of: "+strings.Join(historytable.Levels(), ", ")+"; empty: services and endpoints")
	return c
}

func newHistoryExport() *cobra.Command {
	var f historyFlags
	var r history.Range
	var level, out string
	c := &cobra.Command{
		Use: "export --dir DIR -o FILE", Short: "Writes what was observed as CSV or Parquet", Args: f.where("output"),
		Long: `Writes one row for each interval and service (or what --level says) to a file whose name ends in .csv or .parquet; "-" is CSV on the
standard output. Columns are described in docs/formats/history.md; a counter's is what it gained in the interval.`,
		Example: "  foresail history export -d history --from oldest --step 1m -o minutes.parquet",
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := historytable.ParseLevel(level)
			if err != nil {
				return cli.Usage(err)
			}
			return f.anywhere(c, func(s history.Readable) error {
				shown := cli.NewProgress(c.ErrOrStderr())
				n, err := history.Export(c.Context(), c.OutOrStdout(), s, &r, l, out, func(rows int, at time.Time) {
					shown.At(-1, fmt.Sprintf("%d rows, at %s", rows, at.Format(time.DateTime)))
				})
				shown.End()
				if err == nil && out != "-" {
					fmt.Fprintf(c.ErrOrStderr(), "%d rows are in %s\n", n, out)
				}
				return err
			})
		},
	}
	f.register(c, false)
	f.registerFile(c)
	rangeFlags(&r, c, "oldest")
	c.Flags().StringVarP(&out, "output", "o", "", "file to write: .csv or .parquet; -: CSV on the standard output")
	c.Flags().StringVar(&level, "level", "service", "what rows are of: "+strings.Join(historytable.Levels(), ", "))
	return c
}

func newHistoryInfo() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use: "info --dir DIR", Short: "Says what a store holds", Args: cli.Needs("dir"),
		Example: "  foresail history info -d history",
		RunE: func(c *cobra.Command, _ []string) error {
			return f.with(c, func(s *store.Store) error {
				if !f.json {
					return history.PrintInfo(c.OutOrStdout(), s, s.Levels())
				}
				res := cli.NewResult("history-info", nil, s.Levels())
				res.Detail = s.Applications()
				return cli.PrintJSON(c.OutOrStdout(), res)
			})
		},
	}
	f.register(c, true)
	return c
}

func newHistoryCheck() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use: "check --dir DIR", Short: "Reads everything in a store, and says whether it is sound", Args: cli.Needs("dir"),
		Long: `Reads every block, the log and every snapshot of a store, with their checksums, and looks whether counters only grow and
snapshots follow each other. Prints what it found; ends with status 1 where the store is not sound.`,
		Example: "  foresail history check -d history",
		RunE: func(c *cobra.Command, _ []string) error {
			err := f.with(c, func(s *store.Store) error {
				r, err := s.Check(c.Context())
				if err != nil {
					return err
				}
				if f.json {
					res := cli.NewResult("history-check", nil, r.Levels)
					res.Detail = map[string][]string{"problems": r.Problems, "notes": r.Notes}
					err = cli.PrintJSON(c.OutOrStdout(), res)
				} else {
					err = history.PrintReport(c.OutOrStdout(), r)
				}
				if err == nil && len(r.Problems) > 0 {
					err = errors.New(r.Problems[0])
				}
				return err
			})
			if history.Unsound(err) {
				err = fmt.Errorf("%s is not sound: %w", f.dir, err)
			}
			return err
		},
	}
	f.register(c, true)
	return c
}
