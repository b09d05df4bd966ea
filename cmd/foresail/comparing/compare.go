// Package comparing is "foresail compare".
package comparing

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/sequencing"
	"foresail.dev/compare"
	"foresail.dev/compare/report"
)

type compareFlags struct {
	file, out, resume string
	workers           int
	json              bool
}

// New is the command; start starts the real processes of an experiment on the testbed.
func New(start func(log io.Writer) compare.Start) *cobra.Command {
	var f compareFlags
	c := &cobra.Command{
		Use:   "compare -f EXPERIMENT",
		Short: "Runs managers side by side: table, plots, HTML report",
		Long: `Runs the managers of an experiment file over its applications, loads and seeds, in simulated time,
as many at once as there are processors, and prints what each holds and how well it keeps the objectives.
With "cluster: testbed" in the file, runs are real processes on this machine, in real time, one at a time.

A file with "sequences" in it compares models of latency instead, while applications are scaled out and services replaced.

With --out, each finished run is kept in that folder, with a Markdown table, plots and an HTML page;
the same command goes on where an earlier one stopped.`,
		Example: `  foresail compare -f examples/baselines-smoke.yaml --out smoke
  foresail compare show smoke`,
		Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error { return compareRun(c, f, start(c.ErrOrStderr())) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "experiment file")
	fl.StringVarP(&f.out, "out", "o", "", "folder that keeps the runs, plots and report; empty: nothing is kept")
	fl.IntVar(&f.workers, "workers", 0, "runs at once; 0: as many as there are processors")
	fl.StringVar(&f.resume, "resume", "same", "which kept runs are used again: same (of this program), any (of any build of it), none")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	c.AddCommand(newCompareShow())
	return c
}

func newCompareShow() *cobra.Command {
	var asJSON bool
	var run string
	c := &cobra.Command{
		Use:   "show DIR",
		Short: "Prints and draws again what a folder keeps",
		Long: `Prints the results of the runs that a folder keeps, finished or not, and writes its table, plots and page again;
with --run, draws that run over time instead, as a whole and service by service.`,
		Example: `  foresail compare show smoke
  foresail compare show smoke --run "hotel-reservation/ramp/hpa/seed 1"`,
		Args: func(c *cobra.Command, args []string) error { return cli.Usage(cobra.ExactArgs(1)(c, args)) },
		RunE: func(c *cobra.Command, args []string) error {
			r, err := compare.Show(args[0])
			if err != nil {
				return cli.Usage(err)
			}
			if run != "" {
				return drawRun(c, r, args[0], run)
			}
			return printComparison(c, r, args[0], asJSON)
		},
	}
	c.Flags().StringVar(&run, "run", "", "draw this run over time, named as progress names it")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func compareRun(c *cobra.Command, f compareFlags, start compare.Start) error {
	reuse, err := compare.ParseReuse(f.resume)
	if err != nil {
		return cli.Usagef("--resume: %w", err)
	}
	if f.workers < 0 {
		return cli.Usagef("--workers %d: give a number from 1 on, or 0 for as many as there are processors", f.workers)
	}
	if sequencing.Is(f.file) {
		return sequencing.Run(c, sequencing.Flags{File: f.file, Out: f.out, Reuse: reuse, Workers: f.workers, JSON: f.json, Program: Build()})
	}
	e, err := compare.Read(f.file)
	if err != nil {
		return cli.Usage(err)
	}
	grid, err := compare.Prepare(e)
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	errw := c.ErrOrStderr()
	watch := newCompareWatch(errw)
	r, err := grid.Run(ctx, compare.Options{Dir: f.out, Workers: f.workers, Program: Build(), Reuse: reuse, Start: start,
		Progress: watch.progress, Told: func(s string) { fmt.Fprintf(errw, "foresail: %s\n", s) }})
	watch.end()
	switch {
	case errors.Is(err, compare.ErrStopped) && f.out != "":
		return fmt.Errorf("stopped after %d of %d runs; they are kept in %s: run the same command again to go on", watch.done, watch.total, f.out)
	case errors.Is(err, compare.ErrStopped):
		return fmt.Errorf("stopped after %d of %d runs; nothing is kept without --out", watch.done, watch.total)
	case err != nil:
		return err
	}
	return printComparison(c, r, f.out, f.json)
}

// printComparison prints results, and writes their files where there is a folder.
func printComparison(c *cobra.Command, r *compare.Results, dir string, asJSON bool) error {
	res := cli.NewResult("compare", nil, r.Rows)
	res.Seeds, res.Detail = r.Seeds, r
	var b bytes.Buffer
	if err := cli.PrintJSON(&b, res); err != nil {
		return err
	}
	h := report.Header{Commit: res.Commit, Machine: res.Machine.String()}
	if dir != "" {
		if _, err := report.Write(dir, r, h, b.Bytes()); err != nil {
			return err
		}
	}
	out := c.OutOrStdout()
	if asJSON {
		_, err := b.WriteTo(out)
		return err
	}
	for i, rows := range r.Groups() {
		if i > 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintf(out, "%s, %s\n", rows[0].Application, rows[0].Load)
		head, cells, below := report.Text(r, rows)
		if err := cli.Table(out, head, cells); err != nil {
			return err
		}
		for _, s := range below {
			fmt.Fprintln(out, strings.Map(cli.Printable, s))
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(out, "\n%s\n", strings.Map(cli.Printable, n))
	}
	if dir != "" {
		fmt.Fprintf(out, "\n%s shows the rest\n", filepath.Join(dir, "report.html"))
	}
	return nil
}

// drawRun writes the pictures of one run, as a whole and service by service, and prints where they are.
func drawRun(c *cobra.Command, r *compare.Results, dir, run string) error {
	i := slices.IndexFunc(r.Runs, func(o *compare.Outcome) bool { return o.String() == run })
	if i < 0 {
		like := "none at all"
		if len(r.Runs) > 0 {
			like = fmt.Sprintf("%d others, like %q", len(r.Runs), r.Runs[0].String())
		}
		return cli.Usagef("%s keeps no run %q, but %s", dir, run, like)
	}
	for _, draw := range []func(*compare.Outcome) (report.Plot, error){report.RunPlot, report.ServicesPlot} {
		p, err := draw(r.Runs[i])
		if err != nil {
			return err
		}
		path := filepath.Join(dir, "plots", p.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return err
		}
		if err := compare.WriteFile(path, p.PNG); err != nil {
			return err
		}
		if _, err = fmt.Fprintln(c.OutOrStdout(), path); err != nil {
			return err
		}
	}
	return nil
}

// compareWatch tells progress: a line that is redrawn on a terminal, a line for each run elsewhere.
type compareWatch struct {
	w           io.Writer
	line        *cli.Progress
	done, total int
}

func newCompareWatch(w io.Writer) *compareWatch { return &compareWatch{w: w, line: cli.NewProgress(w)} }

func (v *compareWatch) progress(p compare.Progress) {
	v.done, v.total = p.Done, p.Total
	if v.line.W != nil {
		if p.Finished != nil && p.Finished.Failed != "" {
			v.line.End()
			fmt.Fprintf(v.w, "foresail: %s failed: %s\n", p.Finished.String(), p.Finished.Failed)
		}
		v.line.At(p.Share, fmt.Sprintf("%d of %d runs", p.Done, p.Total))
		return
	}
	if o := p.Finished; o != nil {
		fmt.Fprintf(v.w, "%d/%d %s: %s; %s left\n", p.Done, p.Total, o.String(), outcomeLine(o), v.left(p.Share))
	}
}

// left is how long the rest will take at the pace so far.
func (v *compareWatch) left(share float64) time.Duration {
	if share <= 0 {
		return 0
	}
	return time.Duration(float64(time.Since(v.line.Began)) * (1 - share) / share).Round(time.Second)
}

func (v *compareWatch) end() { v.line.End() }

// outcomeLine says in a few words how a run ended.
func outcomeLine(o *compare.Outcome) string {
	switch {
	case o.Failed != "":
		return "failed: " + o.Failed
	case o.Cores == nil:
		return "done"
	}
	windows, violated := 0, 0
	for _, e := range o.Endpoints {
		windows, violated = windows+e.Windows, violated+e.Violated
	}
	return fmt.Sprintf("%.2f cores, %d of %d windows in violation", *o.Cores, violated, windows)
}

// Build names this program's own version: its commit where it was built from one as it stands, else its own bytes.
func Build() string {
	if c := cli.Commit(); c != "" && !strings.HasSuffix(c, "-dirty") {
		return c
	}
	name, err := os.Executable()
	if err != nil {
		return ""
	}
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return ""
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))[:16]
}
