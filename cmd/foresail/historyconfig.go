package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/loop"
	"foresail.dev/telemetry/store"
)

// historyConfig is "history" of foresail.yaml: where snapshots are kept, and for how long.
type historyConfig struct {
	Dir       string        `yaml:"dir"`                       // empty: none are kept
	Every     time.Duration `yaml:"every" rule:"max=1h"`       // length of the snapshots that are kept
	Retention time.Duration `yaml:"retention" rule:"min=0"`    // of them
	Minutes   time.Duration `yaml:"minutes" rule:"min=0"`      // how long those of a minute are kept
	Size      appfile.Bytes `yaml:"size"`                      // 0: not bounded
	Sync      time.Duration `yaml:"sync" rule:"min=0,max=24h"` // how often the log is forced to disk; 0: after each snapshot
	KeyFile   string        `yaml:"key_file"`                  // empty: not encrypted

	wait bool // a slow disk makes the run wait, instead of losing snapshots
}

func defaultHistory() historyConfig {
	return historyConfig{Every: time.Second, Retention: store.DefaultRetention, Minutes: store.DefaultMinutes, Sync: store.DefaultSync}
}

// historyIn is the history that --history names.
func historyIn(dir string) historyConfig {
	c := defaultHistory()
	c.Dir = dir
	return c
}

// keeping is a history that a run fills.
type keeping struct {
	store    *store.Store
	recorder *store.Recorder
	err      io.Writer
	began    time.Time
}

// keep opens the history of a run; nil where none is kept. Where late is set, what comes late is waited for.
func (c historyConfig) keep(app *foresail.App, late bool, errors io.Writer) (*keeping, error) {
	if c.Dir == "" {
		return nil, nil
	}
	key, err := readKey(c.KeyFile)
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
	ro := store.RecorderOptions{Every: c.Every, Wait: c.wait}
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
	return &keeping{store: s, recorder: store.NewRecorder(s, ro), err: errors, began: time.Now().UTC()}, nil
}

// takes refuses a history that is there already of the time that a simulation begins at.
func (k *keeping) takes(start time.Time) error {
	if k == nil || !k.store.Free().After(start) {
		return nil
	}
	return usagef("--history: it is kept until %s already, and the simulation begins at %s: give another directory", k.store.Free().Format(time.RFC3339), start.Format(time.RFC3339))
}

// start is when a simulation that would start at t does: not before the history that is there ends.
func (k *keeping) start(t time.Time) time.Time {
	if k == nil {
		return t
	}
	k.began = later(t, k.store.Free().Add(time.Second-1).Truncate(time.Second))
	return k.began
}

// events put what is observed into the history.
func (k *keeping) events() loop.Events {
	if k == nil {
		return loop.Events{}
	}
	return loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) { k.recorder.Observe(h.App(), s) }}
}

// past gives a loop what was observed before, up to the minute and the second in which the run began, so that a manager does not start
// with nothing. A gap comes as stale snapshots.
func (k *keeping) past(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
	return pastOf(k.store, k.began, needs)
}

// pastOf is what a history has of the time before a run began.
func pastOf(h store.History, began time.Time, needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
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

// close keeps what is still held, and says what was lost.
func (k *keeping) close() error {
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
