package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/snapshotfile"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
)

// recorder writes what a run shows: snapshots, and spans. A file without a name is not written.
type recorder struct {
	snapshots *cli.Lines
	mu        sync.Mutex // of what follows: a testbed's spans come from many goroutines
	spans     *os.File
	spanErr   error
}

// sameFile refuses one name for both files.
func sameFile(snapshots, spans string) error {
	if spans != "" && spans == snapshots {
		return cli.Usagef("--spans and --snapshots name the same file %s: give two", spans)
	}
	return nil
}

func (r *recorder) open(snapshots, spans string) (err error) {
	if snapshots != "" {
		if r.snapshots, err = cli.CreateLines(snapshots); err != nil {
			return err
		}
	}
	if spans != "" {
		if r.spans, err = os.Create(spans); err != nil {
			return errors.Join(cli.Usage(err), r.close())
		}
	}
	return nil
}

// trace writes the spans of one request, or of one batch.
func (r *recorder) trace(spans []foresail.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans != nil && r.spanErr == nil {
		r.spanErr = otlp.WriteJSONLines(r.spans, spans)
	}
}

// snapshot writes one of the application as it is now.
func (r *recorder) snapshot(app *foresail.App, s *foresail.Snapshot) {
	if r.snapshots != nil {
		r.snapshots.Write(snapshotfile.Of(app, s))
	}
}

// close reports the first file that did not get everything.
func (r *recorder) close() (err error) {
	if r.snapshots != nil {
		err = r.snapshots.Close()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.spans != nil {
		cerr := r.spans.Close()
		r.spans = nil
		for _, e := range []error{r.spanErr, cerr} {
			if err == nil {
				err = e
			}
		}
	}
	if err != nil {
		return fmt.Errorf("the files are not complete: %w", err)
	}
	return nil
}

// tee gives spans to the assemblers and to who else wants them.
type tee struct {
	*telemetry.Shards
	also func([]foresail.Span)
}

// AddBatch is the assemblers', after the spans were copied for the other.
func (t tee) AddBatch(received time.Time, b *telemetry.Batch) telemetry.Result {
	t.also(b.Spans())
	return t.Shards.AddBatch(received, b)
}
