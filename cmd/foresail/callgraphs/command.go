package callgraphs

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
)

// flags are the command's.
type flags struct {
	data, key, format string
	r                 history.Range
	shares, tail      bool
	percentile        float64
	json              bool
}

// New is foresail callgraph; others are commands below it.
func New(others ...*cobra.Command) *cobra.Command {
	var f flags
	_, names := formats()
	c := &cobra.Command{
		Use:   "callgraph (--data DIR | --format FORMAT FILE...)",
		Short: "Prints which call graphs requests take, their shares and latencies, and who makes their tail",
		Long: `Reads the call graphs that a run kept in its history, or finds them in traces that other programs wrote, and prints for each
endpoint which there are, how many requests took each, and how long they lasted; with --shares how that changed over time,
with --tail which services the slowest requests wait for. Of traces no application file is needed: services and endpoints are
found in them. Traces with missing spans are left out, and told. See docs/formats/callgraph.md.`,
		Example: `  foresail callgraph --data history --from 24h
  foresail callgraph --data history --from 6h --step 10m --shares
  foresail callgraph --format jaeger traces.json.gz --tail`,
		Args: func(c *cobra.Command, args []string) error { return f.check(c, args, names) },
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.data, "data", "d", "", "directory of a history store")
	fl.StringVar(&f.key, "key-file", "", "file with the store's key, or env:NAME, where it is encrypted")
	fl.StringVar(&f.format, "format", "", "read files instead, which hold traces of this format: "+names)
	fl.StringVar(&f.r.From, "from", "oldest", `of a history, the start: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m; "oldest": everything`)
	fl.StringVar(&f.r.To, "to", "0s", "of a history, the end, likewise; 0s: the newest")
	fl.DurationVar(&f.r.Step, "step", time.Minute, "with --shares, length of what one row covers")
	fl.StringSliceVar(&f.r.Endpoints, "endpoint", nil, "only these endpoints (several: repeat it, or separate by commas)")
	fl.BoolVar(&f.shares, "shares", false, "print shares over time instead")
	fl.BoolVar(&f.tail, "tail", false, "print which services the slowest requests wait for instead")
	fl.Float64Var(&f.percentile, "percentile", 0, "with --tail, the requests beyond this percentile are meant; 0: the objective's, or 95")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	c.AddCommand(others...)
	return c
}

// check tells everything that is wrong at once.
func (f *flags) check(c *cobra.Command, args []string, names string) error {
	var wrong []string
	say := func(is bool, format string, a ...any) {
		if is {
			wrong = append(wrong, fmt.Sprintf(format, a...))
		}
	}
	fl := c.Flags()
	switch {
	case f.data == "" && f.format == "" && len(args) == 0:
		say(true, "give --data with the directory of a history, or --format and files")
	case f.format == "" && len(args) > 0:
		say(true, "%s: say with --format what files hold: %s", strings.Join(args, " "), names)
	}
	say(f.format != "" && !known(f.format), "--format %s: give one that holds spans: %s", f.format, names)
	say(f.data != "" && f.format != "", "--data and --format name two places to read from: give one")
	say(f.format != "" && len(args) == 0, "--format %s: give one file of traces or more, or - for standard input", f.format)
	for _, name := range []string{"from", "to", "key-file"} {
		say(f.format != "" && fl.Changed(name), "--%s is of a history; files are read as a whole", name)
	}
	say(f.shares && f.tail, "--shares and --tail are two results: give one")
	say(fl.Changed("step") && !f.shares, "--step is for --shares")
	say(f.r.Step < 100*time.Millisecond || f.r.Step > 24*time.Hour, "--step %v: give a time from 100ms to 24h", f.r.Step)
	say(f.format != "" && f.r.Step > time.Hour, "--step %v: of files give up to 1h", f.r.Step)
	say(fl.Changed("percentile") && !f.tail, "--percentile is for --tail")
	say(!(f.percentile >= 0 && f.percentile < 100), "--percentile %g: give one above 0 and below 100, like 99", f.percentile)
	if len(wrong) > 0 {
		return cli.Usagef("%s; see %q", strings.Join(wrong, "; "), c.CommandPath()+" --help")
	}
	return nil
}

func (f *flags) run(c *cobra.Command, args []string) error {
	shown := cli.NewProgress(c.ErrOrStderr())
	set, err := f.read(c, args, shown)
	shown.End()
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	if f.shares {
		if f.json {
			res := cli.NewResult("callgraph-shares", nil, set.Shares())
			res.Detail = Detail{From: set.from, To: set.to, Notes: set.Notes, Endpoints: []Endpoint{}}
			return cli.PrintJSON(out, res)
		}
		if err := set.PrintShares(out); err != nil {
			return err
		}
		return printNotes(out, set.Notes)
	}
	d := set.Details(f.percentile / 100)
	if f.json {
		name, rows := "callgraph", any(set.Rows())
		if f.tail {
			name, rows = "callgraph-tail", d.tailRows()
		}
		res := cli.NewResult(name, nil, rows)
		res.Detail = d
		return cli.PrintJSON(out, res)
	}
	print := d.Print
	if f.tail {
		print = d.PrintTail
	}
	if err := print(out); err != nil {
		return err
	}
	return printNotes(out, d.Notes)
}

func (f *flags) read(c *cobra.Command, args []string, shown *cli.Progress) (set *Set, err error) {
	if f.format != "" {
		return fromFiles(f.format, args, c.InOrStdin(), f.r.Endpoints, f.r.Step, f.shares, func(name string, n int64) {
			shown.At(0, fmt.Sprintf("%s: %d MB", name, n/1e6))
		})
	}
	s, err := history.Open(f.data, f.key, c.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fromHistory(c.Context(), s, &f.r, f.shares, func(at time.Time) { shown.At(-1, "at "+at.Format(time.DateTime)) })
}
