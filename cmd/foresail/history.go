package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/historytable"
	"foresail.dev/telemetry/store"
)

func newHistory() *cobra.Command {
	c := &cobra.Command{
		Use: "history", Short: "Queries, exports and checks a history store", Args: noArgs,
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
	c.Flags().StringVar(&f.key, "key-file", "", "file with the store's key, where it is encrypted")
	if json {
		c.Flags().BoolVar(&f.json, "json", false, "print the result as JSON")
	}
}

// open opens the store for reading.
func (f *historyFlags) open(c *cobra.Command) (*store.Store, error) {
	key, err := readKey(f.key)
	if err != nil {
		return nil, err
	}
	s, err := store.OpenRead(f.dir, store.Options{Key: key, Trouble: func(err error) { fmt.Fprintln(c.ErrOrStderr(), err) }})
	return s, badStore(err)
}

// badStore marks an error as one of usage where the store is sound and another was meant.
func badStore(err error) error {
	for _, e := range []error{store.ErrNoStore, store.ErrSealed, store.ErrApplication} {
		if errors.Is(err, e) {
			return usage(err)
		}
	}
	return err
}

// rangeFlags say which snapshots are meant.
type rangeFlags struct {
	from, to            string
	step                time.Duration
	services, endpoints []string
}

func (f *rangeFlags) register(c *cobra.Command, from string, step time.Duration) {
	fl := c.Flags()
	fl.StringVar(&f.from, "from", from, `start: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m; "oldest": everything`)
	fl.StringVar(&f.to, "to", "0s", "end, likewise; 0s: the newest")
	fl.DurationVar(&f.step, "step", step, "length of what one row covers; 0: as stored")
	fl.StringSliceVar(&f.services, "service", nil, "only these services (several: repeat it, or separate by commas)")
	fl.StringSliceVar(&f.endpoints, "endpoint", nil, "only these endpoints")
}

// snapshots are those that the flags mean.
func (f *rangeFlags) snapshots(ctx context.Context, s readable) (iter.Seq2[*foresail.Snapshot, error], error) {
	oldest, newest := s.Range()
	if newest.IsZero() {
		return nil, errors.New("the store is empty: nothing was kept yet")
	}
	from, err := moment("from", f.from, oldest, newest)
	if err != nil {
		return nil, err
	}
	to, err := moment("to", f.to, oldest, newest)
	if err != nil {
		return nil, err
	}
	if f.step < 0 {
		return nil, usagef("--step %v: give a time, or 0 for what is stored", f.step)
	}
	if !later(from, oldest).Before(earlier(to, newest)) {
		return nil, usagef("nothing is kept from %s to %s: the store goes from %s to %s", stamp(from), stamp(to), stamp(oldest), stamp(newest))
	}
	from, to = later(from, oldest), earlier(to, newest)
	if err := f.known(s.App()); err != nil {
		return nil, err
	}
	return s.Snapshots(ctx, from, to, f.step), nil
}

// known refuses names that the application does not have.
func (f *rangeFlags) known(app *foresail.App) error {
	for _, n := range f.services {
		if _, ok := app.ServiceByName(n); !ok {
			return usagef("--service %s: %s has no such service", n, app.Name)
		}
	}
	for _, n := range f.endpoints {
		if _, ok := app.EndpointByName(n); !ok {
			return usagef("--endpoint %s: %s has no such endpoint", n, app.Name)
		}
	}
	return nil
}

func (f *rangeFlags) only() historytable.Only {
	return historytable.Only{Services: f.services, Endpoints: f.endpoints}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// moment reads a time, or how long before the newest snapshot it is.
func moment(flag, text string, oldest, newest time.Time) (time.Time, error) {
	if text == "oldest" {
		return oldest, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return newest.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, usagef("--%s %q: give a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m", flag, text)
}

func newHistoryInfo() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use: "info --dir DIR", Short: "Says what a store holds", Args: needs("dir"),
		Example: "  foresail history info -d history",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			s, err := f.open(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			rows := s.Levels()
			if f.json {
				res := newResult("history-info", nil, rows)
				res.Detail = s.Applications()
				return printJSON(c.OutOrStdout(), res)
			}
			return printInfo(c.OutOrStdout(), s, rows)
		},
	}
	f.register(c, true)
	return c
}

func printInfo(w io.Writer, s *store.Store, rows []store.LevelReport) error {
	apps := s.Applications()
	if len(apps) == 0 {
		_, err := fmt.Fprintln(w, "the store is empty: nothing was kept yet")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	app := apps[len(apps)-1].App
	fmt.Fprintf(t, "application\t%s, generation %d: %d services, %d endpoints\n", app.Name, app.Generation, len(app.Services), len(app.Endpoints))
	for _, a := range apps[:len(apps)-1] {
		fmt.Fprintf(t, "before\tfrom %s on: generation %d, %d services\n", a.Since.Format(time.RFC3339), a.App.Generation, len(a.App.Services))
	}
	fmt.Fprintln(t, "\nDATABASE\tFROM\tTO\tBLOCKS\tMiB\tLOG MiB")
	for _, r := range rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%.1f\t%.1f\n", r.Name, stamp(r.From), stamp(r.To), r.Blocks, mib(r.Bytes), mib(r.LogBytes))
	}
	return t.Flush()
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04:05")
}

func mib(b int64) float64 { return float64(b) / (1 << 20) }

func newHistoryCheck() *cobra.Command {
	var f historyFlags
	c := &cobra.Command{
		Use: "check --dir DIR", Short: "Reads everything in a store, and says whether it is sound", Args: needs("dir"),
		Long: `Reads every block, the log and every snapshot of a store, with their checksums, and looks whether counters only grow and
snapshots follow each other. Prints what it found; ends with status 1 where the store is not sound.`,
		Example: "  foresail history check -d history",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			s, err := f.open(c)
			if known := (usageError{}); errors.As(err, &known) || errors.Is(err, store.ErrVersion) {
				return err
			} else if err != nil {
				return fmt.Errorf("%s is not sound: %w", f.dir, err)
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			r, err := s.Check(c.Context())
			if err != nil {
				return err
			}
			if f.json {
				res := newResult("history-check", nil, r.Levels)
				res.Detail = map[string][]string{"problems": r.Problems, "notes": r.Notes}
				err = printJSON(c.OutOrStdout(), res)
			} else {
				err = printReport(c.OutOrStdout(), r)
			}
			if err == nil && len(r.Problems) > 0 {
				err = fmt.Errorf("%s is not sound: %s", f.dir, r.Problems[0])
			}
			return err
		},
	}
	f.register(c, true)
	return c
}

func printReport(w io.Writer, r *store.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DATABASE\tSNAPSHOTS\tFROM\tTO\tGAPS\tMISSING\tLONGEST\tSERIES\tSAMPLES\tRESETS\tBLOCKS\tMiB\tLOG MiB")
	for _, l := range r.Levels {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%d\t%.1f s\t%.1f s\t%d\t%d\t%d\t%d\t%.1f\t%.1f\n", l.Name, l.Snapshots, stamp(l.From), stamp(l.To), l.Gaps, l.Missing, l.Longest,
			l.Series, l.Samples, l.Resets, l.Blocks, mib(l.Bytes), mib(l.LogBytes))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	for _, p := range r.Problems {
		fmt.Fprintln(w, "PROBLEM "+p)
	}
	verdict := "sound"
	if n := len(r.Problems); n > 0 {
		verdict = fmt.Sprintf("not sound: %d problems", n)
	}
	_, err := fmt.Fprintln(w, verdict)
	return err
}

// readKey reads a store's key; no name: none.
func readKey(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	key, err := os.ReadFile(name)
	if err != nil {
		return nil, usage(err)
	}
	if key = []byte(strings.TrimSpace(string(key))); len(key) == 0 {
		return nil, usagef("%s is empty: it must hold the store's key", name)
	}
	return key, nil
}
