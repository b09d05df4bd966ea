// Package insights is the command that says what in an application's design invites violations, from a history and exemplar traces.
package insights

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/model/diagnose/insight"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store/exemplar"
	"foresail.dev/telemetry/store/seal"
)

// Job is what is read and how it is told.
type Job struct {
	Since  string // a time, how long before the newest snapshot, or "oldest"
	Traces string // folder of exemplar traces; empty: none
	Key    seal.Key
	Config insight.Config
	JSON   bool
	Out    io.Writer
	Err    io.Writer
}

// Row is one insight in the result.
type Row struct {
	Application string             `json:"application"`
	Kind        insight.Kind       `json:"kind"`
	Endpoint    string             `json:"endpoint,omitempty"`
	Service     string             `json:"service,omitempty"`
	Operation   string             `json:"operation,omitempty"`
	From        string             `json:"from,omitempty"`
	Callee      string             `json:"callee,omitempty"`
	Ring        []string           `json:"ring,omitempty"`
	Resource    string             `json:"resource,omitempty"`
	Windows     int                `json:"windows"`
	Episodes    int                `json:"episodes"`
	Requests    float64            `json:"requests"`
	First       time.Time          `json:"first"`
	Last        time.Time          `json:"last"`
	Evidence    map[string]float64 `json:"evidence"`
	Notes       []string           `json:"notes,omitempty"`
	Trace       string             `json:"trace,omitempty"`
	Change      string             `json:"change"`
}

// detail is what does not fit in rows.
type detail struct {
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Observed  float64    `json:"observed_s"`
	Calm      float64    `json:"calm_s"`
	Traces    int        `json:"sampled_traces"`
	Endpoints []endpoint `json:"endpoints"`
	Missing   []string   `json:"missing"`
}

type endpoint struct {
	Endpoint  string  `json:"endpoint"`
	Objective string  `json:"objective"`
	Windows   int     `json:"windows"`
	Violated  int     `json:"violated"`
	Episodes  int     `json:"episodes"`
	Requests  float64 `json:"requests"`
	Late      float64 `json:"late"`
}

// Run finds insights in a history, and tells them.
func (j *Job) Run(ctx context.Context, h history.Readable) error {
	if j.Config.MinWindows == 0 {
		return cli.Usagef("--min-windows 0: give a number above 0, or -1 for what cost nothing yet, too")
	}
	shown := cli.NewProgress(j.Err)
	app, report, err := j.find(ctx, h, func(at time.Time) { shown.At(-1, "at "+at.Format(time.DateTime)) })
	shown.End()
	if err != nil {
		return err
	}
	if j.JSON {
		return cli.PrintJSON(j.Out, result(app, report))
	}
	return j.print(report)
}

// find finds them; progress hears how far it is.
func (j *Job) find(ctx context.Context, h history.Readable, progress func(at time.Time)) (*foresail.App, *insight.Report, error) {
	r := history.Range{From: j.Since, To: "0s"}
	all, err := r.Snapshots(ctx, h)
	if err != nil {
		return nil, nil, err
	}
	app := h.App()
	f := insight.New(app, j.Config)
	oldest, newest := h.Range()
	from, err := history.Moment("since", j.Since, oldest, newest)
	if err != nil {
		return nil, nil, err
	}
	if err := j.traces(f, app, from); err != nil {
		return nil, nil, err
	}
	for s, err := range all {
		if err != nil {
			return nil, nil, err
		}
		f.Add(s)
		progress(s.End)
	}
	report := f.Report()
	if report.Observed == 0 {
		return nil, nil, errNothing
	}
	return app, report, nil
}

var errNothing = errors.New("the history has no snapshot in which anything was observed since then: give an earlier --since")

// traces gives the finder what is kept of requests. Those that were kept at random stand for all; others are examples.
func (j *Job) traces(f *insight.Finder, app *foresail.App, from time.Time) error {
	if j.Traces == "" {
		return nil
	}
	if info, err := os.Stat(j.Traces); err != nil || !info.IsDir() {
		return cli.Usagef("%s: no folder of traces: name one with --traces, or leave it out", j.Traces)
	}
	var skipped source.Faults
	for t, err := range exemplar.Read(j.Traces, exemplar.Query{Application: app.Name, From: from, Key: j.Key}, &skipped) {
		if errors.Is(err, exemplar.ErrSealed) {
			return cli.Usagef("%s: %w", j.Traces, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", j.Traces, err)
		}
		f.AddTrace(t.Spans, t.Kept&exemplar.Random != 0)
	}
	if skipped.Count > 0 {
		fmt.Fprintln(j.Err, skipped.String())
	}
	return nil
}

// result is what --json prints, and the page shows.
func result(app *foresail.App, r *insight.Report) cli.Result {
	rows := []Row{}
	for i := range r.Insights {
		in := &r.Insights[i]
		row := Row{Application: app.Name, Kind: in.Kind, Endpoint: in.Endpoint, Service: in.Service, Operation: in.Operation, From: in.From, Callee: in.Callee, Ring: in.Ring,
			Resource: in.Resource, Windows: in.Windows, Episodes: in.Episodes, Requests: in.Requests, First: in.First, Last: in.Last, Evidence: map[string]float64{}, Notes: in.Notes, Trace: id(in), Change: in.Change}
		for _, n := range in.Numbers {
			row.Evidence[n.Name] = n.Value
		}
		rows = append(rows, row)
	}
	d := detail{From: r.From, To: r.To, Observed: r.Observed.Seconds(), Calm: r.Calm.Seconds(), Traces: r.Traces, Endpoints: []endpoint{}, Missing: append([]string{}, r.Missing...)}
	for _, e := range r.Endpoints {
		d.Endpoints = append(d.Endpoints, endpoint{e.Name, e.Objective.String(), e.Windows, e.Violated, e.Episodes, e.Requests, e.Late})
	}
	out := cli.NewResult("insights", nil, rows)
	out.Detail = d
	return out
}

func id(in *insight.Insight) string {
	if in.Trace == (foresail.TraceID{}) {
		return ""
	}
	return hex.EncodeToString(in.Trace[:])
}

func (j *Job) print(r *insight.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "from %s to %s: observed %v, calm %v, %d sampled traces\n", r.From.Format(time.DateTime), r.To.Format(time.DateTime), r.Observed, r.Calm, r.Traces)
	for _, e := range r.Endpoints {
		fmt.Fprintf(&b, "%s, %s: %d of %d windows violated in %d episodes; %.0f of %.0f requests late\n", e.Name, e.Objective.String(), e.Violated, e.Windows, e.Episodes, e.Late, e.Requests)
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "missing: %s\n", m)
	}
	if len(r.Insights) == 0 {
		b.WriteString("nothing was found that took part in enough violations\n")
	}
	for i := range r.Insights {
		in := &r.Insights[i]
		fmt.Fprintf(&b, "\n%d. %s\n   %d violated windows, %d episodes; %.0f requests, %s to %s\n  ", i+1, title(in), in.Windows, in.Episodes, in.Requests, in.First.Format(time.DateTime), in.Last.Format(time.DateTime))
		for _, n := range in.Numbers {
			fmt.Fprintf(&b, " %s %.4g;", n.Name, n.Value)
		}
		b.WriteString("\n")
		for _, n := range in.Notes {
			fmt.Fprintf(&b, "   note: %s\n", n)
		}
		if t := id(in); t != "" {
			fmt.Fprintf(&b, "   trace %s\n", t)
		}
		fmt.Fprintf(&b, "   change: %s\n", in.Change)
	}
	for line := range strings.Lines(b.String()) { // names come from outside
		if _, err := fmt.Fprintln(j.Out, strings.Map(cli.Printable, strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

// title says in a line what an insight is.
func title(in *insight.Insight) string {
	s := string(in.Kind)
	for _, part := range []struct{ word, name string }{{"endpoint", in.Endpoint}, {"in", in.Service}, {"operation", in.Operation}, {"called by", in.From}, {"to", in.Callee},
		{"ring", strings.Join(in.Ring, " -> ")}, {"resource", in.Resource}} {
		if part.name != "" {
			s += ", " + part.word + " " + part.name
		}
	}
	return s
}
