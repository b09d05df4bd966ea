package store

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev/telemetry/series"
)

// Report is what a check of a store found.
type Report struct {
	Application string        `json:"application"`
	Levels      []LevelReport `json:"levels"`
	Problems    []string      `json:"problems"` // what should not be; empty: the store is sound
	Notes       []string      `json:"notes"`    // what may be, and is worth knowing
}

// LevelReport is what a check found in one of the store's databases.
type LevelReport struct {
	Name      string    `json:"name"`
	Snapshots int       `json:"snapshots"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Gaps      int       `json:"gaps"`                // between snapshots
	Missing   float64   `json:"missing_seconds"`     // in gaps, together
	Longest   float64   `json:"longest_gap_seconds"` // of them
	Series    int       `json:"series"`
	Samples   int       `json:"samples"`
	Resets    int       `json:"resets"`     // counters that began at zero again, as when a writer starts
	Torn      int       `json:"torn"`       // snapshots that can't be read back: the oldest, where what it follows is no longer kept
	Blocks    int       `json:"blocks"`     // compacted
	Bytes     int64     `json:"bytes"`      // on disk, log included
	LogBytes  int64     `json:"log_bytes"`  // of them in the log
	TornBytes int64     `json:"torn_bytes"` // at the log's end, of a record that was not written to its end
}

// Levels says what the store's databases hold, without reading it: from, to, blocks and bytes.
func (s *Store) Levels() (out []LevelReport) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i, l := range []*level{s.fine, s.minutes} {
		if l.db != nil {
			r := s.outline(i, l)
			r.From, r.To = l.begin(), l.last
			out = append(out, r)
		}
	}
	return out
}

// outline is what is known of a database from its files.
func (s *Store) outline(i int, l *level) LevelReport {
	name := []string{samplesDir, minutesDir}[i]
	dir := filepath.Join(s.dir, name)
	return LevelReport{Name: name, Blocks: len(l.db.Blocks()), Bytes: usedBytes(dir), LogBytes: usedBytes(filepath.Join(dir, "wal"))}
}

// Check reads everything that the store holds, with its checksums: blocks, the log, every snapshot; and whether counters only
// grow. An error means that the check itself could not be done.
func (s *Store) Check(ctx context.Context) (*Report, error) {
	s.mu.RLock()
	app, levels := s.app, []*level{s.fine, s.minutes}
	r := &Report{Application: s.meta.Application, Problems: []string{}, Notes: []string{}}
	s.mu.RUnlock()
	for i, l := range levels {
		if l.db == nil {
			return r, ErrUnwritable
		}
		one := s.outline(i, l)
		problem := func(format string, args ...any) {
			if len(r.Problems) < 100 {
				r.Problems = append(r.Problems, one.Name+": "+fmt.Sprintf(format, args...))
			}
		}
		if s.sandbox != "" { // the log of a store that is open is whole but for its end
			t, err := inspectLog(filepath.Join(s.dir, one.Name, "wal"))
			switch {
			case err != nil:
				problem("the log can't be read: %v", err)
			case t != nil && t.later:
				problem("the log is damaged at byte %d of segment %d, and there is more behind it", t.good, t.segment)
			case t != nil:
				one.TornBytes = t.lost
				r.Notes = append(r.Notes, fmt.Sprintf("%s: the log is whole up to byte %d of segment %d; the %d bytes of a record that was not written to its end are cut off when the store opens for writing", one.Name, t.good, t.segment, t.lost))
			}
		}
		if err := one.samples(ctx, l, problem); err != nil {
			problem("%v", err)
		}
		if app != nil {
			one.snapshots(ctx, s, l, problem)
		}
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if one.Torn > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %d snapshots can't be read back, since what they follow is no longer kept", one.Name, one.Torn))
		}
		r.Levels = append(r.Levels, one)
	}
	return r, nil
}

// samples reads every sample.
func (r *LevelReport) samples(ctx context.Context, l *level, problem func(string, ...any)) error {
	any := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, ".+")
	return l.each(ctx, math.MinInt64, math.MaxInt64, []*labels.Matcher{any}, func(ls labels.Labels) (samples, bool) {
		name := ls.Get(model.MetricNameLabel)
		d, known := series.Lookup(name)
		if !known && strings.HasPrefix(name, "foresail_") {
			problem("a series that this program does not know: %s", ls)
		}
		r.Series++
		last := 0.0
		grows := func(t int64, v float64) {
			r.Samples++
			if d.Kind == series.Gauge {
				return
			}
			if v < last {
				if r.Resets++; v != 0 {
					problem("%s fell from %v to %v at %s", ls, last, v, time.UnixMilli(t).UTC().Format(time.RFC3339Nano))
				}
			}
			last = v
		}
		return samples{float: grows, hist: func(t int64, h *histogram.FloatHistogram) {
			if err := h.Validate(); err != nil {
				problem("%s at %s: %v", ls, time.UnixMilli(t).UTC().Format(time.RFC3339Nano), err)
			}
			grows(t, h.Count)
		}}, true
	})
}

// snapshots reads every snapshot back.
func (r *LevelReport) snapshots(ctx context.Context, s *Store, l *level, problem func(string, ...any)) {
	var end time.Time
	for sn, err := range l.snapshots(ctx, s.app, earliest, latest, func(n int) { r.Torn += n }) {
		if err != nil {
			problem("%v", err)
			return
		}
		r.Snapshots++
		switch gap := sn.Start.Sub(end); {
		case r.From.IsZero():
			r.From = sn.Start
		case gap < 0:
			problem("the snapshot from %s on begins before the one before it ended, at %s", sn.Start.Format(time.RFC3339Nano), end.Format(time.RFC3339Nano))
		case gap > 0:
			r.Gaps++
			r.Missing += gap.Seconds()
			r.Longest = max(r.Longest, gap.Seconds())
		}
		end = sn.End
	}
	r.To = end
	if r.Torn > batch { // more than the edge of what is kept
		problem("%d snapshots can't be read back: counters lack what they had reached before", r.Torn)
	}
}
