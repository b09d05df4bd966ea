package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"foresail.dev"
)

// History keeps snapshots, here or elsewhere. It may be read while it is written; it is written by one goroutine at a time.
type History interface {
	// Append keeps a final snapshot of app, which must not begin before the newest ended. Once it returns nil the
	// snapshot is kept; on an error it is not, and the next may be tried.
	Append(app *foresail.App, s *foresail.Snapshot) error

	// Snapshots yields what was observed in [from, to), oldest first, numbered as in the newest application. With step 0
	// snapshots come as they were appended; else those that start in one cell of step, aligned to the clock, are merged, and a
	// cell without any comes as a stale one. Where only longer snapshots are kept, they come instead. An error ends it.
	Snapshots(ctx context.Context, from, to time.Time, step time.Duration) iter.Seq2[*foresail.Snapshot, error]

	// Range is the start of the oldest and the end of the newest snapshot; zero where there is none.
	Range() (from, to time.Time)

	// Close ends it. What was appended stays.
	Close() error
}

var _ History = (*Store)(nil)

// Errors of a store.
var (
	// ErrOverlap is returned by Append for a snapshot that begins before the newest ended.
	ErrOverlap = errors.New("the history is already there")
	// ErrApplication is returned for an application other than the one that the store is of.
	ErrApplication = errors.New("the store is of another application")
	// ErrVersion is returned when a newer program wrote the store.
	ErrVersion = errors.New("a newer foresail wrote this store")
	// ErrNoStore is returned where there is none.
	ErrNoStore = errors.New("no history store")
	// ErrUnwritable is returned by Append between a failure to write and the next try.
	ErrUnwritable = errors.New("the store could not be written")
	// ErrSealed is returned for a store that is encrypted, without its key.
	ErrSealed = errors.New("the store is encrypted: give its key")
)
