package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store/exemplar"
)

// tracesFlags are those of foresail traces.
type tracesFlags struct {
	application, from, to, id, kept string
	limit                           int
	json                            bool
}

func newTraces() *cobra.Command {
	var f tracesFlags
	c := &cobra.Command{
		Use:   "traces FOLDER",
		Short: "Lists exemplar traces, the slowest first, or prints one as a tree",
		Long: `Lists the exemplar traces that are kept in a folder (traces: of foresail.yaml, --traces of testbed and import), the slowest
first, or prints one of them as a tree with times. It may be used while a run writes them.`,
		Example: "  foresail traces traces --from 2026-11-27T21:00:00Z --limit 5\n  foresail traces traces --trace 5b8efff798038103d269b633813fc60c",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usagef("give the folder that the traces are in")
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
	fl.IntVar(&f.limit, "limit", 20, "list at most so many; 0: all")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

// query checks the flags.
func (f *tracesFlags) query() (q exemplar.Query, err error) {
	q.Application = f.application
	for _, t := range []struct {
		flag, text string
		to         *time.Time
	}{{"--from", f.from, &q.From}, {"--to", f.to, &q.To}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(time.RFC3339, t.text); err != nil {
			return q, usagef("%s %q: give a time such as 2026-11-27T21:00:00Z", t.flag, t.text)
		}
	}
	switch f.kept {
	case "":
	case "slowest":
		q.Kept = exemplar.Slowest
	case "random":
		q.Kept = exemplar.Random
	default:
		return q, usagef("--kept %q: give slowest or random", f.kept)
	}
	if f.id != "" {
		if q.ID, err = exemplar.ParseID(f.id); err != nil {
			return q, usagef("--trace: %w", err)
		}
	}
	if f.limit < 0 {
		return q, usagef("--limit %d: give a number, or 0 for all", f.limit)
	}
	return q, nil
}

func (f *tracesFlags) run(c *cobra.Command, dir string) error {
	q, err := f.query()
	if err != nil {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return usagef("%s: no folder of traces", dir)
	}
	var found []exemplar.Stored
	var skipped source.Faults
	for t, err := range exemplar.Read(dir, q, &skipped) {
		if err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
		found = append(found, t)
		if f.limit > 0 && len(found) >= 4096+2*f.limit { // more than are listed need not be held
			found = slowest(found, f.limit)
		}
	}
	if skipped.Count > 0 {
		fmt.Fprintln(c.ErrOrStderr(), skipped.String())
	}
	if f.id != "" && len(found) == 0 {
		return fmt.Errorf("no trace %s is kept in %s", f.id, dir)
	}
	if f.limit > 0 {
		found = slowest(found, f.limit)
	} else {
		found = slowest(found, len(found))
	}
	if f.json {
		return printJSON(c.OutOrStdout(), newResult("traces", nil, traceRows(found, f.id != "")))
	}
	if f.id == "" {
		return printTraces(c.OutOrStdout(), found)
	}
	var errs []error
	for i := range found {
		errs = append(errs, printTree(c.OutOrStdout(), &found[i]))
	}
	return errors.Join(errs...)
}

func slowest(all []exemplar.Stored, n int) []exemplar.Stored {
	slices.SortStableFunc(all, func(a, b exemplar.Stored) int { return cmp.Compare(b.Duration(), a.Duration()) })
	return all[:min(n, len(all))]
}

// traceRow is one trace, or one span of it, in the result.
type traceRow struct {
	Application  string  `json:"application"`
	Trace        string  `json:"trace"`
	Span         string  `json:"span,omitempty"`
	Parent       string  `json:"parent,omitempty"`
	Kept         string  `json:"kept,omitempty"`
	Service      string  `json:"service"`
	Replica      string  `json:"replica,omitempty"`
	Operation    string  `json:"operation"`
	Start        string  `json:"start"`
	Milliseconds float64 `json:"ms"`
	Failed       bool    `json:"failed"`
	Spans        *int    `json:"spans,omitempty"`
}

func rowOf(app string, s *foresail.Span) traceRow {
	return traceRow{Application: app, Trace: fmt.Sprintf("%x", s.Trace), Service: s.Service, Replica: s.Replica, Operation: s.Operation,
		Start: s.Start.UTC().Format(time.RFC3339Nano), Milliseconds: float64(s.End.Sub(s.Start)) / 1e6, Failed: s.Failed}
}

// traceRows are one row for each trace, or, where spans are wanted, for each span.
func traceRows(found []exemplar.Stored, spans bool) []traceRow {
	rows := []traceRow{}
	for i := range found {
		t := &found[i]
		if !spans {
			r := rowOf(t.Application, t.Root())
			n := len(t.Spans)
			r.Kept, r.Spans = t.Kept.String(), &n
			rows = append(rows, r)
			continue
		}
		for k := range t.Spans {
			s := &t.Spans[k]
			r := rowOf(t.Application, s)
			r.Span = fmt.Sprintf("%x", s.ID)
			if s.Parent != (foresail.SpanID{}) {
				r.Parent = fmt.Sprintf("%x", s.Parent)
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func printTraces(w io.Writer, found []exemplar.Stored) error {
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "no traces")
		return err
	}
	var cells [][]string
	for i := range found {
		t := &found[i]
		failed := ""
		if t.Failed() {
			failed = "failed"
		}
		cells = append(cells, []string{t.Application, t.Root().Start.UTC().Format("2006-01-02T15:04:05.000Z"), fmt.Sprintf("%x", t.ID()), t.Root().Service + " " + t.Root().Operation,
			fmt.Sprint(len(t.Spans)), t.Kept.String(), failed, fmt.Sprintf("%.3f", t.Duration().Seconds()*1000)})
	}
	return table(w, []string{"application", "start", "trace", "request", "spans", "kept", "", "ms"}, cells)
}

// printTree prints a trace: each span beneath its parent, with when it started after the root, how long it took, and a bar.
func printTree(w io.Writer, t *exemplar.Stored) error {
	fmt.Fprintf(w, "%x  %s  %s  %.3f ms, %d spans, kept as %s\n", t.ID(), t.Application, t.Root().Start.UTC().Format(time.RFC3339Nano),
		t.Duration().Seconds()*1000, len(t.Spans), t.Kept)
	for _, b := range branches(&t.Trace) {
		s := b.span
		failed := ""
		if s.Failed {
			failed = "  failed"
		}
		at := s.Start.Sub(t.Root().Start)
		line := fmt.Sprintf("%10.3f %10.3f  |%s|  %s%s  %s%s", at.Seconds()*1000, s.End.Sub(s.Start).Seconds()*1000,
			bar(at, s.End.Sub(s.Start), t.Duration()), strings.Repeat("  ", b.depth), s.Service, s.Operation, failed)
		if _, err := fmt.Fprintln(w, strings.Map(printable, line)); err != nil {
			return err
		}
	}
	return nil
}

const barWidth = 24

// bar shows when in the whole a span ran.
func bar(at, took, whole time.Duration) string {
	if whole <= 0 {
		return strings.Repeat(" ", barWidth)
	}
	place := func(d time.Duration) int {
		return min(max(int(float64(barWidth)*float64(d)/float64(whole)), 0), barWidth)
	}
	from := min(place(at), barWidth-1)
	to := max(place(at+took), from+1)
	return strings.Repeat(" ", from) + strings.Repeat("=", to-from) + strings.Repeat(" ", barWidth-to)
}

// branch is a span at its depth in the tree.
type branch struct {
	span  *foresail.Span
	depth int
}

// branches are the spans in the order of the tree: the root's, then of those whose parent is not there. Spans that are each
// other's parents come last.
func branches(t *exemplar.Trace) []branch {
	children := map[foresail.SpanID][]*foresail.Span{}
	known := map[foresail.SpanID]bool{}
	for i := range t.Spans {
		known[t.Spans[i].ID] = true
		children[t.Spans[i].Parent] = append(children[t.Spans[i].Parent], &t.Spans[i])
	}
	var out []branch
	seen := map[*foresail.Span]bool{}
	var walk func(s *foresail.Span, depth int)
	walk = func(s *foresail.Span, depth int) {
		if seen[s] {
			return
		}
		seen[s] = true
		out = append(out, branch{s, depth})
		for _, c := range children[s.ID] {
			walk(c, min(depth+1, 40))
		}
	}
	walk(t.Root(), 0)
	for _, whole := range []bool{false, true} {
		for i := range t.Spans {
			if s := &t.Spans[i]; whole || !known[s.Parent] {
				walk(s, 0)
			}
		}
	}
	return out
}
