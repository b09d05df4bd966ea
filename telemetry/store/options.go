package store

import (
	"fmt"
	"time"

	"foresail.dev"
)

// Options of a store. The zero value has the defaults.
type Options struct {
	// App numbers services in what is read before anything is appended; nil: the newest that the store knows.
	App *foresail.App
	// Retention is how long snapshots are kept as they were appended; 0: DefaultRetention.
	Retention time.Duration
	// Minutes is how long those of a minute are kept; 0: DefaultMinutes.
	Minutes time.Duration
	// Size bounds the bytes of what is compacted, of both databases; the oldest goes first. What is not compacted yet, a few
	// hours, comes on top. 0: not bounded.
	Size int64
	// Sync is how often, at most, what was appended is forced to disk; 0: DefaultSync, negative: after each Append.
	Sync time.Duration
	// Reserve is how much room must be left on the disk for a snapshot to be taken; 0: DefaultReserve. The database, which
	// compacts beside, ends the process where it finds none at all.
	Reserve int64
	// Key encrypts the store at rest; empty: it is not encrypted.
	Key []byte
	// Trouble is told what went wrong and did not end anything: a torn log that was mended, a compaction that failed. nil: nobody.
	// It may be called from any goroutine.
	Trouble func(error)

	// For tests.
	block time.Duration                   // length of the shortest block; 0: defaultBlock
	room  func(dir string) (int64, error) // bytes left on the disk
}

// Defaults of Options.
const (
	DefaultRetention = 2 * 24 * time.Hour
	DefaultMinutes   = 90 * 24 * time.Hour
	DefaultSync      = 10 * time.Second
	DefaultReserve   = 256 << 20
	DefaultRetry     = 5 * time.Second // from a failure to write to the next try
)

// defaultBlock is how much a database holds in memory and in its log before it makes a block of it, once half as much again
// is there.
const defaultBlock = time.Hour

func (o Options) withDefaults() (Options, error) {
	if o.Retention < 0 || o.Minutes < 0 || o.Size < 0 || o.Reserve < 0 {
		return o, fmt.Errorf("retention %v and %v, size %d, reserve %d: none may be negative", o.Retention, o.Minutes, o.Size, o.Reserve)
	}
	if o.Retention == 0 {
		o.Retention = DefaultRetention
	}
	if o.Minutes == 0 {
		o.Minutes = DefaultMinutes
	}
	o.Minutes = max(o.Minutes, o.Retention)
	if o.Sync == 0 {
		o.Sync = DefaultSync
	}
	if o.block == 0 {
		o.block = defaultBlock
	}
	if o.Reserve == 0 {
		o.Reserve = DefaultReserve
	}
	if o.room == nil {
		o.room = room
	}
	if o.Trouble == nil {
		o.Trouble = func(error) {}
	}
	return o, nil
}
