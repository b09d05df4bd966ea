package tracing

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store/exemplar"
)

// flags are the command's.
type flags struct {
	application, from, to, id, kept, key string
	limit                                int
	json                                 bool
}

// New is foresail traces.
func New() *cobra.Command {
	var f flags
	c := &cobra.Command{
		Use:   "traces FOLDER",
		Short: "Lists exemplar traces, the slowest first, or prints one as a tree",
		Long: `Lists the exemplar traces that are kept in a folder (traces: of foresail.yaml, --traces of testbed and import), the slowest
first, or prints one of them as a tree with times. It may be used while a run writes them.`,
		Example: "  foresail traces traces --from 2026-11-27T21:00:00Z --limit 5\n  foresail traces traces --trace 5b8efff798038103d269b633813fc60c",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.Usagef("give the folder that the traces are in")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args[0]) },
	}
	fl := c.Flags()
	fl.StringVar(&f.application, "application", "", "of this application only")
	fl.StringVar(&f.from, "from", "", "requests that ended at or after this time (RFC 3339)")
	fl.StringVar(&f.to, "to", "", "requests that ended before this time")
	fl.StringVar(&f.kept, "kept", "", "kept for this reason only: slowest or random")
	fl.StringVar(&f.id, "trace", "", "print the trace with this id as a tree")
	fl.StringVar(&f.key, "key-file", "", "file with the traces' key, or env:NAME, where they are encrypted")
	fl.IntVar(&f.limit, "limit", 20, "list at most so many; 0: all")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

// query checks the flags.
func (f *flags) query() (q exemplar.Query, err error) {
	q.Application = f.application
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"--from", f.from, &q.From}, {"--to", f.to, &q.To}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return q, cli.Usagef("%s %q: give a time such as 2026-11-27T21:00:00Z", t.flag, t.text)
		}
	}
	switch f.kept {
	case "":
	case "slowest":
		q.Kept = exemplar.Slowest
	case "random":
		q.Kept = exemplar.Random
	default:
		return q, cli.Usagef("--kept %q: give slowest or random", f.kept)
	}
	if f.id != "" {
		if q.ID, err = exemplar.ParseID(f.id); err != nil {
			return q, cli.Usagef("--trace: %w", err)
		}
	}
	if q.Key, err = ReadKey(f.key); err != nil {
		return q, err
	}
	if f.limit < 0 {
		return q, cli.Usagef("--limit %d: give a number, or 0 for all", f.limit)
	}
	return q, nil
}

func (f *flags) run(c *cobra.Command, dir string) error {
	q, err := f.query()
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return cli.Usagef("%s: no folder of traces", dir)
	}
	var found []exemplar.Stored
	var skipped source.Faults
	for t, err := range exemplar.Read(dir, q, &skipped) {
		if errors.Is(err, exemplar.ErrSealed) {
			return cli.Usagef("%s: %w (--key-file)", dir, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		found = append(found, t)
		if f.limit > 0 && len(found) >= 4096+2*f.limit { // more than are listed need not be held
			found = Slowest(found, f.limit)
		}
	}
	if skipped.Count > 0 {
		fmt.Fprintln(c.ErrOrStderr(), skipped.String())
	}
	if f.id != "" && len(found) == 0 {
		return fmt.Errorf("no trace %s is kept in %s", f.id, dir)
	}
	if f.limit > 0 {
		found = Slowest(found, f.limit)
	} else {
		found = Slowest(found, len(found))
	}
	if f.json {
		return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("traces", nil, Rows(found, f.id != "")))
	}
	if f.id == "" {
		if len(found) == 0 {
			_, err := fmt.Fprintln(c.OutOrStdout(), "no traces")
			return err
		}
		head, cells := Table(found)
		return cli.Table(c.OutOrStdout(), head, cells)
	}
	var errs []error
	for i := range found {
		errs = append(errs, PrintTree(c.OutOrStdout(), &found[i]))
	}
	return errors.Join(errs...)
}
