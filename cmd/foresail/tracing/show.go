package tracing

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"foresail.dev"
	"foresail.dev/telemetry/store/exemplar"
)

// Slowest are the n slowest.
func Slowest(all []exemplar.Stored, n int) []exemplar.Stored {
	slices.SortStableFunc(all, func(a, b exemplar.Stored) int { return cmp.Compare(b.Duration(), a.Duration()) })
	return all[:min(n, len(all))]
}

// Row is one trace, or one span of it, in the result.
type Row struct {
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

func rowOf(app string, s *foresail.Span) Row {
	return Row{Application: app, Trace: fmt.Sprintf("%x", s.Trace), Service: s.Service, Replica: s.Replica, Operation: s.Operation,
		Start: s.Start.UTC().Format(time.RFC3339Nano), Milliseconds: float64(s.End.Sub(s.Start)) / 1e6, Failed: s.Failed}
}

// Rows are one row for each trace, or, where spans are wanted, for each span.
func Rows(found []exemplar.Stored, spans bool) []Row {
	rows := []Row{}
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

// Table is traces for people: a head and cells.
func Table(found []exemplar.Stored) (head []string, cells [][]string) {
	for i := range found {
		t := &found[i]
		failed := ""
		if t.Failed() {
			failed = "failed"
		}
		id := t.ID()
		cells = append(cells, []string{t.Application, t.Root().Start.UTC().Format("2006-01-02T15:04:05.000Z"), hex.EncodeToString(id[:]), t.Root().Service + " " + t.Root().Operation,
			strconv.Itoa(len(t.Spans)), t.Kept.String(), failed, fmt.Sprintf("%.3f", t.Duration().Seconds()*1000)})
	}
	return []string{"application", "start", "trace", "request", "spans", "kept", "", "ms"}, cells
}

// PrintTree prints a trace: each span beneath its parent, with when it started after the root, how long it took, and a bar.
func PrintTree(w io.Writer, t *exemplar.Stored) error {
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

// printable replaces what would act on a terminal: names come from outside.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return unicode.ReplacementChar
	}
	return r
}
