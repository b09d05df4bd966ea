package store

import (
	"iter"
	"time"

	"foresail.dev"
)

// Cells merges snapshots, which come oldest first, as History.Snapshots does: those that start in one cell of step, aligned to the clock,
// become one, and a cell between from and to without any a stale one, unless app is nil.
func Cells(app *foresail.App, from, to time.Time, step time.Duration, all iter.Seq2[*foresail.Snapshot, error]) iter.Seq2[*foresail.Snapshot, error] {
	return cells(app, from, to, step, all)
}
