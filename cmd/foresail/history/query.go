package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/historytable"
	"foresail.dev/telemetry/series"
	"foresail.dev/telemetry/store"
)

// Readable is a history that is read, wherever it is.
type Readable interface {
	store.History
	App() *foresail.App
}

// Query prints one table for each level, or gives all rows to asJSON where that is set.
func Query(ctx context.Context, w io.Writer, s Readable, f *Range, levels []series.Level, asJSON func(rows any) error) error {
	all, err := f.Snapshots(ctx, s)
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
	if asJSON != nil {
		flat := []historytable.Row{}
		for _, r := range rows {
			flat = append(flat, r...)
		}
		return asJSON(flat)
	}
	printed := false
	for i, l := range levels {
		if len(rows[i]) == 0 {
			continue
		}
		if printed {
			fmt.Fprintln(w)
		}
		printed = true
		t := historytable.NewTable(w, l)
		if err := writeRows(t, rows[i]); err != nil {
			return err
		}
	}
	if !printed {
		fmt.Fprintln(w, "nothing was observed in this time")
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

// Export writes what was observed to a file whose name ends in .csv or .parquet, or as CSV to w where it is "-", and returns how many rows
// that are. The file has its name when it is complete.
func Export(ctx context.Context, w io.Writer, s Readable, f *Range, l series.Level, out string, progress func(rows int, at time.Time)) (n int, err error) {
	ext := filepath.Ext(out)
	if out != "-" && ext != ".csv" && ext != ".parquet" {
		return 0, cli.Usagef("--output %s: give a name that ends in .csv or .parquet", out)
	}
	all, err := f.Snapshots(ctx, s)
	if err != nil {
		return 0, err
	}
	to := w
	if out != "-" {
		tmp, err := os.Create(out + ".tmp")
		if err != nil {
			return 0, cli.Usage(err)
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
	rows := newRows(to, l, ext == ".parquet")
	app := s.App()
	for sn, err := range all {
		if err != nil {
			return n, err
		}
		for _, r := range historytable.Rows(app, sn, l, f.only()) {
			n++
			if err := rows.Write(r); err != nil {
				return n, err
			}
		}
		progress(n, sn.End)
	}
	return n, rows.Close()
}

func newRows(w io.Writer, l series.Level, asParquet bool) historytable.Writer {
	if asParquet {
		return historytable.NewParquet(w, l)
	}
	return historytable.NewCSV(w, l)
}
