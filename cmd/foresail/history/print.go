package history

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// Open opens a store for reading; who is told what it had to mend.
func Open(dir, keyFile string, tell io.Writer) (*store.Store, error) {
	key, err := ReadKey(keyFile)
	if err != nil {
		return nil, err
	}
	s, err := store.OpenRead(dir, store.Options{Key: key, Trouble: func(err error) { fmt.Fprintln(tell, err) }})
	return s, badStore(err)
}

// Unsound reports whether an error of Open says that the store is damaged.
func Unsound(err error) bool {
	return err != nil && !cli.IsUsage(err) && !errors.Is(err, store.ErrVersion)
}

// PrintInfo says what a store holds.
func PrintInfo(w io.Writer, s *store.Store, rows []store.LevelReport) error {
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

// PrintReport says what a check found.
func PrintReport(w io.Writer, r *store.Report) error {
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

// ReadKey reads a store's key from a file, or from the environment variable of "env:NAME"; no name: none.
func ReadKey(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	key, err := seal.FindKey(name)
	if err != nil {
		return nil, cli.Usagef("%w", err)
	}
	return key.Bytes(), nil
}
