package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/exemplar"
)

// importSinks are where an import goes besides what it prints.
type importSinks struct {
	history  *store.Store
	recorder *store.Recorder
	lost     error // why the first snapshot was not kept
	kept     int   // snapshots told to the history

	traces *exemplar.Store
	picker *exemplar.Picker
}

// errHistory ends an import whose history takes no more.
var errHistory = errors.New("the history does not take what is imported")

// open opens what the flags name and tells o.
func (in *importer) open(o *source.Options) (*importSinks, error) {
	s := &importSinks{}
	if in.history != "" {
		h, err := store.Open(in.history, store.Options{})
		if err != nil {
			return nil, usagef("--history: %w", err)
		}
		s.history = h
		s.recorder = store.NewRecorder(h, store.RecorderOptions{Hold: foresail.RevisionLimit, Wait: true, Trouble: func(err error, _ int) {
			if s.lost == nil {
				s.lost = err
			}
		}})
		o.Snapshots = func(app *foresail.App, snap *foresail.Snapshot) error {
			if refused, _ := s.recorder.Lost(); refused > 0 {
				return errHistory // why is known when the recorder has ended
			}
			s.kept++
			s.recorder.Observe(app, snap)
			return nil
		}
	}
	if in.traces != "" {
		t, err := exemplar.Open(in.traces, exemplar.Limits{})
		if err != nil {
			return nil, errors.Join(usagef("--traces: %w", err), s.close())
		}
		s.traces, s.picker = t, exemplar.NewPicker(t, in.application, exemplar.Choice{Seed: in.seed})
		o.Spans = s.picker.Add
	}
	return s, nil
}

// finish writes what is left, and says what did not get there.
func (s *importSinks) finish() error {
	if s.picker != nil {
		if err := s.picker.Close(); err != nil {
			return err
		}
	}
	return s.endHistory()
}

// endHistory waits for the recorder, which may be told so again.
func (s *importSinks) endHistory() error {
	if s.recorder == nil {
		return nil
	}
	s.recorder.Close()
	if refused, _ := s.recorder.Lost(); refused > 0 {
		return fmt.Errorf("%d snapshots are not in the history: %w", refused, s.lost)
	}
	return nil
}

// close closes what is open. After an error of the history it says why.
func (s *importSinks) close() error {
	var errs []error
	if s.recorder != nil {
		errs = append(errs, s.endHistory(), s.history.Close())
		s.recorder = nil
	}
	if s.traces != nil {
		errs = append(errs, s.traces.Close())
	}
	return errors.Join(errs...)
}

// importDetail is what the result of an import holds beside its rows.
type importDetail struct {
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

func detailOf(sum *source.Summary, s *importSinks) importDetail {
	d := importDetail{Stats: sum.Assembler, Traces: sum.Traces, Inferred: sum.Inferred, Unreadable: sum.Faults.Count, Notes: sum.Notes}
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

// printImport prints a summary for people.
func printImport(w io.Writer, sum *source.Summary, s *importSinks) error {
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
		if err := importTable(w, sum.Rows()); err != nil {
			return err
		}
	}
	for _, n := range sum.Notes {
		fmt.Fprintln(w, n)
	}
	if sum.Faults.Count > 0 {
		fmt.Fprintln(w, sum.Faults.String())
	}
	if s.history != nil {
		fmt.Fprintf(w, "%d snapshots are in the history\n", s.kept)
		if lost := sum.Windows.Dropped.TooLate; lost > 0 {
			fmt.Fprintf(w, "%d spans are not: they stand too far from their place in time\n", lost)
		}
	}
	if s.traces != nil {
		fmt.Fprintf(w, "%d exemplar traces were written\n", s.traces.Stats().Traces)
	}
	return nil
}

// importTable prints rows; columns that nothing is known of are left out.
func importTable(w io.Writer, rows []source.Row) error {
	head := []string{"kind", "name", "spans", "calls", "errors", "mean ms", "p50 ms", "p99 ms", "replicas", "cores", "MiB"}
	var cells [][]string
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
	return table(w, head, cells)
}

func all(rows [][]string, is func([]string) bool) bool {
	for _, r := range rows {
		if !is(r) {
			return false
		}
	}
	return true
}
