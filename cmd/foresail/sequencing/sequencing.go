// Package sequencing is "foresail compare" of a file of sequences: models of latency while an application is changed step by step.
package sequencing

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/compare"
	"foresail.dev/compare/sequence"
)

// Is is whether a file is one of sequences: it has that key at its top level. A file that can't be read is none.
func Is(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "sequences:") {
			return true
		}
	}
	return false
}

// Flags are those of the command that count here.
type Flags struct {
	File, Out string
	Reuse     compare.Reuse
	Workers   int
	JSON      bool
	Program   string
}

// Detail is what does not fit in rows.
type Detail struct {
	Yardsticks []sequence.Yardstick `json:"yardsticks"`
	Notes      []string             `json:"notes,omitempty"`
}

// Run runs a file of sequences and prints what comes of it.
func Run(c *cobra.Command, f Flags) error {
	file, err := sequence.Read(f.File)
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	p := cli.NewProgress(c.ErrOrStderr())
	o, err := file.Run(ctx, sequence.Options{Dir: f.Out, Workers: f.Workers, Program: f.Program, Reuse: f.Reuse, CPU: training.CPUTime, Told: p.At})
	p.End()
	switch {
	case errors.Is(err, sequence.ErrStopped) && f.Out != "":
		return fmt.Errorf("%w; what was done is kept in %s: run the same command again to go on", err, f.Out)
	case err != nil:
		return err
	}
	rows := o.Rows()
	for i := range rows {
		w := &rows[i]
		for _, v := range []*float64{&w.MAE, &w.CI, &w.SD, &w.Log, &w.Signed, &w.CPU} {
			*v = cli.Round(*v)
		}
	}
	yards := o.Yardsticks()
	for i := range yards {
		yards[i].Composed = cli.Round(yards[i].Composed)
		for k := range yards[i].Against {
			a := &yards[i].Against[k]
			for _, v := range []*float64{&a.MAE, &a.Lower, &a.Low, &a.High, &a.Ratio, &a.Time} {
				*v = cli.Round(*v)
			}
		}
	}
	res := cli.NewResult("compare-sequences", &file.Seed, rows)
	res.Detail = Detail{Yardsticks: yards, Notes: o.Notes()}
	var b bytes.Buffer
	if err := cli.PrintJSON(&b, res); err != nil {
		return err
	}
	if f.Out != "" {
		if err := write(f.Out, file, o, b.Bytes()); err != nil {
			return err
		}
	}
	if f.JSON {
		_, err := b.WriteTo(c.OutOrStdout())
		return err
	}
	return print(c.OutOrStdout(), rows, yards, o.Notes())
}

// write writes the result and a picture of each sequence.
func write(dir string, file *sequence.File, o *sequence.Outcome, result []byte) error {
	if err := os.MkdirAll(filepath.Join(dir, "plots"), 0o777); err != nil {
		return err
	}
	errs := []error{compare.WriteFile(filepath.Join(dir, "results.json"), result)}
	for _, s := range file.Sequences {
		svg, err := o.SVG(s.Name)
		if err != nil {
			return err
		}
		errs = append(errs, compare.WriteFile(filepath.Join(dir, "plots", s.FileName()), svg))
	}
	return errors.Join(errs...)
}

var head = []string{"sequence", "step", "instances", "inputs", "method", "points", "error, ms", "±", "sd", "log", "train, CPU s", "trained"}

func print(out io.Writer, rows []sequence.Row, yards []sequence.Yardstick, notes []string) error {
	var cells [][]string
	for _, w := range rows {
		trained := ""
		if w.Assignments > 0 {
			trained = fmt.Sprintf("%d of %d", w.New, w.Assignments)
		}
		cells = append(cells, []string{w.Sequence, fmt.Sprint(w.Step), fmt.Sprint(w.Instances), fmt.Sprint(w.Inputs), w.Method, fmt.Sprint(w.Points),
			fmt.Sprintf("%.3g", w.MAE), fmt.Sprintf("%.2g", w.CI), fmt.Sprintf("%.3f", w.SD), fmt.Sprintf("%.3f", w.Log), fmt.Sprintf("%.3g", w.CPU), trained})
	}
	if err := cli.Table(out, head, cells); err != nil {
		return err
	}
	for _, y := range yards {
		for _, a := range y.Against {
			fmt.Fprintf(out, "%s, step %d: composed on %d samples is off by %.3g ms, %s on %d by %.3g: a difference of %+.3g (%+.3g to %+.3g; above 0: composed is better)\n",
				strings.Map(cli.Printable, y.Sequence), y.Step, y.Few, y.Composed, a.Method, y.Many, a.MAE, a.Lower, a.Low, a.High)
		}
	}
	for _, n := range notes {
		fmt.Fprintln(out, strings.Map(cli.Printable, n))
	}
	return nil
}
