// Package history is what the command line does with a history store: a run fills one, and the commands of "foresail history" read it.
package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/loop"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// Config is "history" of foresail.yaml: where snapshots are kept, and for how long.
type Config struct {
	Dir       string        `yaml:"dir"`                       // empty: none are kept
	Every     time.Duration `yaml:"every" rule:"max=1h"`       // length of the snapshots that are kept
	Retention time.Duration `yaml:"retention" rule:"min=0"`    // of them
	Minutes   time.Duration `yaml:"minutes" rule:"min=0"`      // how long those of a minute are kept
	Size      appfile.Bytes `yaml:"size"`                      // 0: not bounded
	Sync      time.Duration `yaml:"sync" rule:"min=0,max=24h"` // how often the log is forced to disk; 0: after each snapshot
	KeyFile   string        `yaml:"key_file"`                  // empty: not encrypted

	Wait bool `yaml:"-"` // a slow disk makes the run wait, instead of losing snapshots
}

// Default is what is in effect where a file says nothing.
func Default() Config {
	return Config{Every: time.Second, Retention: store.DefaultRetention, Minutes: store.DefaultMinutes, Sync: store.DefaultSync}
}

// At is the history that --history names.
func At(dir string) Config {
	c := Default()
	c.Dir = dir
	return c
}

// In makes names of files those relative to a directory.
func (c *Config) In(dir string) {
	for _, name := range []*string{&c.Dir, &c.KeyFile} {
		if *name != "" && !filepath.IsAbs(*name) && !strings.HasPrefix(*name, seal.EnvPrefix) {
			*name = filepath.Join(dir, *name)
		}
	}
}

// Keeping is a history that a run fills.
type Keeping struct {
	store    *store.Store
	recorder *store.Recorder
	err      io.Writer
	began    time.Time
}

// Keep opens the history of a run; nil where none is kept. Where late is set, what comes late is waited for.
func (c Config) Keep(app *foresail.App, late bool, errors io.Writer) (*Keeping, error) {
	if c.Dir == "" {
		return nil, nil
	}
	key, err := ReadKey(c.KeyFile)
	if err != nil {
		return nil, err
	}
	tell := func(err error) { fmt.Fprintln(errors, err) }
	o := store.Options{App: app, Retention: c.Retention, Minutes: c.Minutes, Size: int64(c.Size), Sync: c.Sync, Key: key, Trouble: tell}
	if c.Sync == 0 {
		o.Sync = -1
	}
	s, err := store.Open(c.Dir, o)
	if err != nil {
		return nil, badStore(err)
	}
	ro := store.RecorderOptions{Every: c.Every, Wait: c.Wait}
	if late {
		ro.Hold = foresail.RevisionLimit
	}
	ro.Trouble = func(why error, lost int) {
		if why != nil {
			tell(why)
			return
		}
		fmt.Fprintf(errors, "history: snapshots are kept again; %d are lost\n", lost)
	}
	return &Keeping{store: s, recorder: store.NewRecorder(s, ro), err: errors, began: time.Now().UTC()}, nil
}

// Takes refuses a history that is there already of the time that a simulation begins at.
func (k *Keeping) Takes(start time.Time) error {
	if k == nil || !k.store.Free().After(start) {
		return nil
	}
	return cli.Usagef("--history: it is kept until %s already, and the simulation begins at %s: give another directory", k.store.Free().Format(time.RFC3339), start.Format(time.RFC3339))
}

// Start is when a simulation that would start at t does: not before the history that is there ends.
func (k *Keeping) Start(t time.Time) time.Time {
	if k == nil {
		return t
	}
	k.began = later(t, k.store.Free().Add(time.Second-1).Truncate(time.Second))
	return k.began
}

// Readable is what is kept so far.
func (k *Keeping) Readable() Readable { return k.store }

// Events put what is observed into the history.
func (k *Keeping) Events() loop.Events {
	if k == nil {
		return loop.Events{}
	}
	return loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { k.recorder.Observe(h.App(), s) }}
}

// Backfill puts in what is known from elsewhere of the time since the history ended, oldest first.
func (k *Keeping) Backfill(app *foresail.App, past []*foresail.Snapshot) {
	free := k.store.Free()
	for _, s := range past {
		if s.Start.Before(free) {
			continue
		}
		if err := k.store.Append(app, s); err != nil {
			fmt.Fprintf(k.err, "history: what is known of the time from %s on is not kept: %v\n", s.Start.Format(time.RFC3339), err)
			return
		}
	}
}

// Recall gives a loop what was observed before, up to the minute and the second in which the run began, so that a manager does not start
// with nothing. A gap comes as stale snapshots.
func (k *Keeping) Recall(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return Recall(k.store, k.began, needs)
}

// Recall is what a history, wherever it is, has of the time before a run began.
func Recall(h store.History, began time.Time, needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return func(yield func(*foresail.Snapshot, error) bool) {
		oldest, newest := h.Range()
		if newest.IsZero() {
			return
		}
		for _, part := range []struct {
			step time.Duration
			n    int
		}{{time.Minute, min(needs.Minutes, foresail.MaxMinutes)}, {time.Second, min(needs.Seconds, foresail.MaxSeconds)}} {
			to := began.Truncate(part.step)
			from := later(to.Add(-time.Duration(part.n)*part.step), oldest.Truncate(part.step))
			if !from.Before(to) || !from.Before(newest) {
				continue
			}
			for s, err := range h.Snapshots(context.Background(), from, to, part.step) {
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

// Close keeps what is still held, and says what was lost.
func (k *Keeping) Close() error {
	if k == nil {
		return nil
	}
	k.recorder.Close()
	err := k.store.Close()
	if refused, dropped := k.recorder.Lost(); refused+dropped > 0 {
		fmt.Fprintf(k.err, "history: %d snapshots were refused by the store, and %d dropped since it was slow\n", refused, dropped)
	}
	if err != nil {
		return errors.Join(errors.New("the history did not close"), err)
	}
	return nil
}
