// Package fitting is "foresail twin".
package fitting

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/appfile/write"
	"foresail.dev/cluster/sim/twin"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/snapshotfile"
	"foresail.dev/telemetry/otlp"
)

// twinRow is one operation in the result of twin.
type twinRow struct {
	Application string  `json:"application"`
	Service     string  `json:"service"`
	Operation   string  `json:"operation"`
	Visits      int     `json:"visits"`
	CPU         float64 `json:"cpu_ms"`
	Own         float64 `json:"own_ms"`
	Shapes      int     `json:"shapes"`
}

type twinFlags struct {
	app, spans, snapshots, out, users, comment string
	json                                       bool
}

// New is the command.
func New() *cobra.Command {
	var f twinFlags
	c := &cobra.Command{
		Use:   "twin -f APPLICATION --spans SPANS --snapshots SNAPSHOTS -o FITTED",
		Short: "Fits a simulated application to what was observed of a real one",
		Long: `Fits an application file to the spans and snapshots of a run: who calls whom, in which order, how often, how much CPU each
operation uses, how long it waits for a disk, how large its messages are, and what each message costs besides.

Of the given application, names, bounds, allocations, workers, queues, pools, start-up times, timeouts and objectives are
kept. What its operations do is not looked at: a file whose operations are empty serves as well.`,
		Example: `  foresail testbed -f hotel-reservation --load load.yaml --duration 2m --spans spans.jsonl --snapshots snaps.jsonl
  foresail twin -f hotel-reservation --spans spans.jsonl --snapshots snaps.jsonl -o fitted.yaml`,
		Args: cli.Needs("file", "spans", "snapshots", "output"),
		RunE: func(c *cobra.Command, _ []string) error { return fitTwin(c, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.app, "file", "f", "", "application: a file, or the name of a built-in one (see 'foresail apps')")
	fl.StringVar(&f.spans, "spans", "", "spans of the run, as OTLP JSON lines")
	fl.StringVar(&f.snapshots, "snapshots", "", "snapshots of the run, one JSON object a line")
	fl.StringVarP(&f.out, "output", "o", "", "application file to write")
	fl.StringVar(&f.users, "users", users.Service, "service name of the spans that users report; empty: they report none")
	fl.StringVar(&f.comment, "comment", "", "lines to put on top of the file")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

func fitTwin(c *cobra.Command, f twinFlags) error {
	given, err := appfile.ReadApp(f.app)
	if err != nil {
		return cli.Usage(err)
	}
	in := twin.Given(given, f.users)
	if in.Snapshots, err = snapshotfile.Read(f.snapshots, given.App); err != nil {
		return cli.Usage(err)
	}
	if in.Spans, err = readSpans(f.spans); err != nil {
		return err
	}
	fitted, report, err := twin.Fit(in)
	if err != nil {
		return cli.Usage(err)
	}
	name := *fitted.App
	name.Name += "-fitted"
	fitted.App = &name
	comment := ""
	if f.comment != "" {
		comment = f.comment + "\n"
	}
	about := write.About{
		Comment: comment + fmt.Sprintf("Fitted by foresail twin to %d spans and %s of snapshots of %s.", len(in.Spans),
			in.Snapshots[len(in.Snapshots)-1].End.Sub(in.Snapshots[0].Start), given.App.Name),
		Note: "call structure, demands, message sizes and overheads are fitted; names, bounds, allocations, limits and objectives are the given application's",
	}
	data, err := write.Marshal(fitted, about)
	if err != nil {
		return fmt.Errorf("what was fitted is no application: %w", err)
	}
	if err := os.WriteFile(f.out, data, 0o644); err != nil {
		return cli.Usage(err)
	}
	return printTwin(c, f, given.App, fitted, report)
}

func readSpans(path string) ([]foresail.Span, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cli.Usage(err)
	}
	defer f.Close()
	var out []foresail.Span
	_, err = otlp.ReadJSONLines(f, func(spans []foresail.Span) error {
		out = append(out, spans...)
		return nil
	})
	if err != nil {
		return nil, cli.Usagef("%s: %w", path, err)
	}
	return out, nil
}

func printTwin(c *cobra.Command, f twinFlags, app *foresail.App, fitted *foresail.Blueprint, r *twin.Report) error {
	rows := make([]twinRow, 0, len(r.Operations))
	var cells [][]string
	for _, o := range r.Operations {
		row := twinRow{Application: app.Name, Service: o.Service, Operation: o.Operation, Visits: o.Visits,
			CPU: cli.Round(o.CPU * 1e3), Own: cli.Round(o.Own * 1e3), Shapes: o.Shapes}
		rows = append(rows, row)
		cells = append(cells, []string{row.Service + "." + row.Operation, fmt.Sprint(row.Visits), fmt.Sprintf("%.3f", row.CPU), fmt.Sprintf("%.3f", row.Own), fmt.Sprint(row.Shapes)})
	}
	if f.json {
		res := cli.NewResult("twin", nil, rows)
		res.Detail = struct {
			Skipped  int               `json:"spans_skipped"`
			Unclean  int               `json:"visits_unclean"`
			Overhead foresail.Overhead `json:"overhead_ns"`
		}{r.Skipped, r.Unclean, fitted.Overhead}
		return cli.PrintJSON(c.OutOrStdout(), res)
	}
	if err := cli.Table(c.OutOrStdout(), []string{"operation", "visits", "cpu ms", "own ms", "shapes"}, cells); err != nil {
		return err
	}
	o := fitted.Overhead
	_, err := fmt.Fprintf(c.OutOrStdout(), "\neach message: %v of its caller's CPU, %v of its callee's, %v on its way; users add %v to a request\n%s is written\n",
		o.Caller, o.Callee, o.Network, o.Users, f.out)
	return err
}
