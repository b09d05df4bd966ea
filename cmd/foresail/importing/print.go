package importing

import (
	"fmt"
	"io"
	"time"

	"foresail.dev/telemetry"
	"foresail.dev/telemetry/source"
)

// Detail is what the result of an import holds beside its rows.
type Detail struct {
	telemetry.Stats          // what became of the spans
	Traces          int      `json:"traces"`
	Inferred        int      `json:"inferred"` // spans without a kind
	Unreadable      int      `json:"unreadable"`
	Faults          []string `json:"faults,omitempty"` // the first few that could not be read
	Notes           []string `json:"notes,omitempty"`
	Snapshots       *int     `json:"snapshots,omitempty"` // written into the history
	Exemplars       *uint64  `json:"exemplars,omitempty"` // traces written
	Start           string   `json:"start,omitempty"`
	End             string   `json:"end,omitempty"`
}

func detailOf(sum *source.Summary, s *sinks) Detail {
	d := Detail{Stats: sum.Assembler, Traces: sum.Traces, Inferred: sum.Inferred, Unreadable: sum.Faults.Count, Notes: sum.Notes}
	for _, f := range sum.Faults.First {
		d.Faults = append(d.Faults, f.String())
	}
	if s.history != nil {
		d.Snapshots = &s.kept
	}
	if s.traces != nil {
		n := s.traces.Stats().Traces
		d.Exemplars = &n
	}
	if !sum.Start.IsZero() {
		d.Start, d.End = sum.Start.UTC().Format(time.RFC3339Nano), sum.End.UTC().Format(time.RFC3339Nano)
	}
	return d
}

// Head says in a line or two what was read; what follows it, a table of rows or nothing, is Table's.
func (r *Result) Head(w io.Writer) {
	sum := r.Summary
	switch {
	case sum.Spans > 0:
		more := ""
		if sum.ManyTraces {
			more = "at least "
		}
		fmt.Fprintf(w, "%s%d traces, %d spans (%d without a kind)", more, sum.Traces, sum.Spans, sum.Inferred)
		if sum.Snapshots > 0 {
			fmt.Fprintf(w, ", metrics of %d intervals", sum.Snapshots)
		}
	case sum.Snapshots > 0:
		fmt.Fprintf(w, "metrics of %d intervals", sum.Snapshots)
	default:
		fmt.Fprintln(w, "no spans")
	}
	if !sum.Start.IsZero() {
		fmt.Fprintf(w, ", %s to %s\n\n", sum.Start.UTC().Format(time.RFC3339), sum.End.UTC().Format(time.RFC3339))
	}
}

// Tail says what is amiss and what was written.
func (r *Result) Tail(w io.Writer) {
	for _, n := range r.Summary.Notes {
		fmt.Fprintln(w, n)
	}
	if r.Summary.Faults.Count > 0 {
		fmt.Fprintln(w, r.Summary.Faults.String())
	}
	if n := r.Detail.Snapshots; n != nil {
		fmt.Fprintf(w, "%d snapshots are in the history\n", *n)
		if lost := r.Summary.Windows.Dropped.TooLate; lost > 0 {
			fmt.Fprintf(w, "%d spans are not: they stand too far from their place in time\n", lost)
		}
	}
	if n := r.Detail.Exemplars; n != nil {
		fmt.Fprintf(w, "%d exemplar traces were written\n", *n)
	}
}

// Table is rows for people: a head and cells. Columns that nothing is known of are left out.
func Table(rows []source.Row) (head []string, cells [][]string) {
	head = []string{"kind", "name", "spans", "calls", "errors", "mean ms", "p50 ms", "p99 ms", "replicas", "cores", "MiB"}
	for _, r := range rows {
		name, calls := r.Service, r.Calls
		switch r.Kind {
		case "edge":
			name = r.From + " → " + r.To
		case "endpoint":
			name, calls = r.Endpoint, r.Requests
		}
		if r.Memory != nil {
			mib := *r.Memory / (1 << 20)
			r.Memory = &mib
		}
		cells = append(cells, []string{r.Kind, name, opt("%d", r.Spans), opt("%.0f", calls), opt("%.0f", r.Errors),
			opt("%.3f", r.Mean), opt("%.3f", r.P50), opt("%.3f", r.P99), opt("%.1f", r.Replicas), opt("%.3f", r.Cores), opt("%.0f", r.Memory)})
	}
	for k := len(head) - 1; k >= 8; k-- {
		if all(cells, func(row []string) bool { return row[k] == "—" }) {
			head = append(head[:k:k], head[k+1:]...)
			for i := range cells {
				cells[i] = append(cells[i][:k], cells[i][k+1:]...)
			}
		}
	}
	return head, cells
}

func all(rows [][]string, is func([]string) bool) bool {
	for _, r := range rows {
		if !is(r) {
			return false
		}
	}
	return true
}

// opt formats a value that may be absent.
func opt[T any](format string, v *T) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf(format, *v)
}
