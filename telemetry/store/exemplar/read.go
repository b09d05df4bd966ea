package exemplar

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// Query says which traces to read. Fields that are zero don't narrow it.
type Query struct {
	Application string
	From, To    time.Time // the root ended in [From, To)
	ID          foresail.TraceID
	Kept        Kept // kept for any of these reasons
}

// Stored is a trace with the application that it is of.
type Stored struct {
	Application string
	Trace
}

// Read reads traces from a store's folder, hour by hour, oldest first; within an hour they come as they were written. It
// may be read while another process writes. What can't be read is noted in skipped, which may be nil: torn lines among it.
func Read(dir string, q Query, skipped *source.Faults) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		files, _, err := list(dir)
		if err != nil {
			yield(Stored{}, err)
			return
		}
		for i := range files {
			f := &files[i]
			if !q.mayHold(f) {
				continue
			}
			if err := f.read(dir, &q, skipped, yield); err != nil {
				if err != errStop {
					yield(Stored{}, err)
				}
				return
			}
		}
	}
}

// Applications are those a store has traces of, in order of name.
func Applications(dir string) ([]string, error) {
	files, _, err := list(dir)
	var out []string
	for i := range files {
		out = append(out, application(files[i].app))
	}
	slices.Sort(out)
	return slices.Compact(out), err
}

var errStop = errors.New("the reader wants no more")

func (q *Query) mayHold(f *file) bool {
	return (q.Application == "" || f.app == folder(q.Application)) &&
		(q.From.IsZero() || f.hour.Add(time.Hour).After(q.From)) && (q.To.IsZero() || f.hour.Before(q.To))
}

func (q *Query) wants(t *Trace) bool {
	end := t.Root().End
	return (q.ID == foresail.TraceID{} || t.ID() == q.ID) && (q.Kept == 0 || t.Kept&q.Kept != 0) &&
		(q.From.IsZero() || !end.Before(q.From)) && (q.To.IsZero() || end.Before(q.To))
}

func (f *file) read(dir string, q *Query, skipped *source.Faults, yield func(Stored, error) bool) error {
	in, err := f.openNow(dir)
	if err != nil || in == nil {
		return err
	}
	defer in.Close()
	if skipped != nil {
		skipped.File = filepath.Join(f.app, f.name())
	}
	text, err := source.Open(in)
	if err != nil {
		skipped.Add(0, err)
		return nil
	}
	defer text.Close()
	lines := source.NewLines(text, 0, skipped)
	for lines.Next() {
		if lines.Torn() {
			skipped.Add(lines.Number(), errors.New("the line is torn: it was being written when the writer ended"))
			break
		}
		t, err := decode(lines.Line())
		if err != nil {
			skipped.Add(lines.Number(), fmt.Errorf("no trace: %w", err))
			continue
		}
		if q.wants(&t) && !yield(Stored{application(f.app), t}, nil) {
			return errStop
		}
	}
	if err := lines.Err(); err != nil {
		skipped.Add(lines.Number(), err)
	}
	return nil
}

// openNow opens the file as it is now: since it was listed the writer may have compressed it, or deleted it, which gives
// nil.
func (f *file) openNow(dir string) (*os.File, error) {
	for _, e := range []string{f.ending, gzipped, zstded} {
		g := *f
		g.ending = e
		in, err := os.Open(g.path(dir))
		if err == nil || !os.IsNotExist(err) {
			return in, err
		}
	}
	return nil, nil
}
