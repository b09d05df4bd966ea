package exemplar

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
	"foresail.dev/telemetry/store/seal"
)

// Query says which traces to read. Fields that are zero don't narrow it.
type Query struct {
	Application string
	From, To    time.Time // the root ended in [From, To)
	ID          foresail.TraceID
	Kept        Kept     // kept for any of these reasons
	Key         seal.Key // of an encrypted store
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
			if f.sealed() && q.Key.IsZero() {
				yield(Stored{}, ErrSealed)
				return
			}
			if f.sealed() && f.growing() && f.size < seal.HeaderSize {
				continue // it is being created
			}
			one := q
			if !f.sealed() {
				one.Key = seal.Key{} // folders of what is not encrypted have plain names
			}
			if !one.mayHold(f) {
				continue
			}
			if err := f.read(dir, &one, skipped, yield); err != nil {
				if err != errStop {
					yield(Stored{}, err)
				}
				return
			}
		}
	}
}

var errStop = errors.New("the reader wants no more")

func (q *Query) mayHold(f *file) bool {
	return (q.Application == "" || f.app == folder(q.Application, q.Key)) &&
		(q.From.IsZero() || f.hour.Add(time.Hour).After(q.From)) && (q.To.IsZero() || f.hour.Before(q.To))
}

func (q *Query) wants(t *Trace) bool {
	end := t.Root().End
	return (q.ID == foresail.TraceID{} || t.ID() == q.ID) && (q.Kept == 0 || t.Kept&q.Kept != 0) &&
		(q.From.IsZero() || !end.Before(q.From)) && (q.To.IsZero() || end.Before(q.To))
}

func (f *file) read(dir string, q *Query, skipped *source.Faults, yield func(Stored, error) bool) error {
	in, f, err := f.openNow(dir)
	if err != nil || in == nil {
		return err
	}
	defer in.Close()
	if skipped != nil {
		skipped.File = filepath.Join(f.app, f.name())
	}
	line := func(n int, b []byte) error {
		t, err := decode(b)
		if err != nil {
			skipped.Add(n, fmt.Errorf("no trace: %w", err))
			return nil
		}
		if t.Application == "" && !f.sealed() {
			t.Application = application(f.app)
		}
		if q.wants(&t.Trace) && !yield(t, nil) {
			return errStop
		}
		return nil
	}
	if f.sealed() && f.growing() {
		n := 0
		return seal.ReadJournal(in, q.Key, f.under(), func(b []byte) error { n++; return line(n, b) })
	}
	var from io.Reader = in
	if f.sealed() {
		if from, _, _, err = seal.NewReader(in, q.Key, f.under()); err != nil {
			return err
		}
	}
	text, err := source.Open(from)
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
		if err := line(lines.Number(), lines.Line()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		skipped.Add(lines.Number(), err)
	}
	return nil
}

// openNow opens the file as it is now, which the second result says: since it was listed the writer may have compressed it, or
// deleted it, which gives nil.
func (f *file) openNow(dir string) (*os.File, *file, error) {
	now := *f
	endings := []string{f.ending, gzipped, zstded}
	if f.sealed() {
		endings = []string{f.ending, gzipped + sealed, zstded + sealed}
	}
	for _, now.ending = range endings {
		in, err := os.Open(now.path(dir))
		if err == nil || !os.IsNotExist(err) {
			return in, &now, err
		}
	}
	return nil, &now, nil
}
