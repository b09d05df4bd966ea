package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/historytable"
	"foresail.dev/telemetry/series"
)

func newHistoryQuery() *cobra.Command {
	var f historyFlags
	var r rangeFlags
	var level string
	c := &cobra.Command{
		Use: "query --dir DIR", Short: "Prints what was observed", Args: f.where(),
		Example: `  foresail history query -d history
  foresail history query -f foresail.yaml --from 24h --step 1h
  foresail history query -d history --from 24h --step 1h --service cart --json
  foresail history query -d history --from 2026-03-01T12:00:00Z --to 2026-03-01T12:05:00Z --step 1s --level replica`,
		RunE: func(c *cobra.Command, _ []string) (err error) {
			levels := []series.Level{series.Service, series.Endpoint}
			if level != "" {
				l, err := historytable.ParseLevel(level)
				if err != nil {
					return usage(err)
				}
				levels = []series.Level{l}
			}
			s, err := f.anywhere(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			return query(c, s, f.json, &r, levels)
		},
	}
	f.register(c, true)
	f.registerFile(c)
	r.register(c, "1h", time.Minute)
	c.Flags().StringVar(&level, "level", "", "what rows are of: "+strings.Join(historytable.Levels(), ", ")+"; empty: services and endpoints")
	return c
}

// query prints one table for each level, or all rows as JSON.
func query(c *cobra.Command, s readable, asJSON bool, f *rangeFlags, levels []series.Level) error {
	all, err := f.snapshots(c.Context(), s)
	if err != nil {
		return err
	}
	rows := make([][]historytable.Row, len(levels))
	app := s.App()
	for sn, err := range all {
		if err != nil {
			return err
		}
		for i, l := range levels {
			rows[i] = append(rows[i], historytable.Rows(app, sn, l, f.only())...)
		}
	}
	if asJSON {
		flat := []historytable.Row{}
		for _, r := range rows {
			flat = append(flat, r...)
		}
		return printJSON(c.OutOrStdout(), newResult("history", nil, flat))
	}
	printed := false
	for i, l := range levels {
		if len(rows[i]) == 0 {
			continue
		}
		if printed {
			fmt.Fprintln(c.OutOrStdout())
		}
		printed = true
		t := historytable.NewTable(c.OutOrStdout(), l)
		if err := writeRows(t, rows[i]); err != nil {
			return err
		}
	}
	if !printed {
		fmt.Fprintln(c.OutOrStdout(), "nothing was observed in this time")
	}
	return nil
}

func writeRows(w historytable.Writer, rows []historytable.Row) error {
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			return err
		}
	}
	return w.Close()
}

func newHistoryExport() *cobra.Command {
	var f historyFlags
	var r rangeFlags
	var level, out string
	c := &cobra.Command{
		Use: "export --dir DIR -o FILE", Short: "Writes what was observed as CSV or Parquet", Args: f.where("output"),
		Long: `Writes one row for each interval and service (or what --level says) to a file whose name ends in .csv or .parquet; "-" is CSV on the
standard output. Columns are described in docs/formats/history.md; a counter's is what it gained in the interval.`,
		Example: "  foresail history export -d history --from oldest --step 1m -o minutes.parquet",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			l, err := historytable.ParseLevel(level)
			if err != nil {
				return usage(err)
			}
			ext := filepath.Ext(out)
			if out != "-" && ext != ".csv" && ext != ".parquet" {
				return usagef("--output %s: give a name that ends in .csv or .parquet", out)
			}
			s, err := f.anywhere(c)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.Close()) }()
			return export(c, s, &r, l, out, ext == ".parquet")
		},
	}
	f.register(c, false)
	f.registerFile(c)
	r.register(c, "oldest", time.Minute)
	c.Flags().StringVarP(&out, "output", "o", "", "file to write: .csv or .parquet; -: CSV on the standard output")
	c.Flags().StringVar(&level, "level", "service", "what rows are of: "+strings.Join(historytable.Levels(), ", "))
	return c
}

// export writes a file, under its name when it is complete.
func export(c *cobra.Command, s readable, f *rangeFlags, l series.Level, out string, asParquet bool) (err error) {
	all, err := f.snapshots(c.Context(), s)
	if err != nil {
		return err
	}
	to := c.OutOrStdout()
	if out != "-" {
		tmp, err := os.Create(out + ".tmp")
		if err != nil {
			return usage(err)
		}
		defer func() {
			if err = errors.Join(err, tmp.Close()); err == nil {
				err = os.Rename(tmp.Name(), out)
			} else {
				err = errors.Join(err, os.Remove(tmp.Name()))
			}
		}()
		to = tmp
	}
	w := newRows(to, l, asParquet)
	app, n := s.App(), 0
	progress := newProgress(c.ErrOrStderr())
	defer progress.end()
	for sn, err := range all {
		if err != nil {
			return err
		}
		for _, r := range historytable.Rows(app, sn, l, f.only()) {
			n++
			if err := w.Write(r); err != nil {
				return err
			}
		}
		progress.at(-1, fmt.Sprintf("%d rows, at %s", n, sn.End.Format(time.DateTime)))
	}
	if err := w.Close(); err != nil {
		return err
	}
	if out != "-" {
		fmt.Fprintf(c.ErrOrStderr(), "%d rows are in %s\n", n, out)
	}
	return nil
}

func newRows(w io.Writer, l series.Level, asParquet bool) historytable.Writer {
	if asParquet {
		return historytable.NewParquet(w, l)
	}
	return historytable.NewCSV(w, l)
}
