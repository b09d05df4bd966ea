package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"foresail.dev"
	"foresail.dev/telemetry/series"
)

// level is one database: snapshots of one resolution.
type level struct {
	dir     string
	options tsdb.Options
	trouble func(error)
	db      *tsdb.DB
	encoder *series.Encoder

	first time.Time // start of the oldest snapshot; zero: none
	last  time.Time // end of the newest; zero: none
	free  int64     // ms: nothing may be written before this
}

func newLevel(dir string, keep, block time.Duration, size int64, trouble func(error)) *level {
	o := *tsdb.DefaultOptions()
	o.RetentionDuration = keep.Milliseconds()
	o.MaxBytes = size
	o.MinBlockDuration = block.Milliseconds()
	o.MaxBlockDuration = max(min(keep/10, 31*24*time.Hour), block).Milliseconds()
	o.WALCompression = compression.Zstd
	o.StripeSize = 512
	o.NoLockfile = true // the store has its own
	return &level{dir: dir, options: o, trouble: trouble}
}

// open mends the log and opens the database.
func (l *level) open() error {
	mended, err := mendLog(l.wal())
	if err != nil {
		return fmt.Errorf("%s: %w", l.wal(), err)
	}
	if mended != "" {
		l.trouble(errors.New(mended))
	}
	o := l.options
	db, err := tsdb.Open(l.dir, slog.New(teller{l.trouble, l.dir}), nil, &o, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", l.dir, err)
	}
	l.db, l.encoder, l.free = db, series.NewEncoder(), math.MinInt64
	if err := l.locate(); err != nil {
		return errors.Join(err, l.close())
	}
	return nil
}

func (l *level) wal() string { return filepath.Join(l.dir, "wal") }

// close ends the database. It writes chunks of which the log has a copy, and panics where it can't, as on a full disk.
func (l *level) close() (err error) {
	if l.db == nil {
		return nil
	}
	db := l.db
	l.db = nil
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%s: closing: %v", l.dir, v)
		}
	}()
	return db.Close()
}

// locate finds the oldest and the newest snapshot, and from when on samples may be written: a process that ended early may have
// left some that no snapshot has.
func (l *level) locate() error {
	oldest, newest := int64(math.MaxInt64), int64(math.MinInt64)
	for _, b := range l.db.Blocks() {
		oldest, newest = min(oldest, b.MinTime()), max(newest, b.MaxTime()-1)
	}
	if h := l.db.Head(); h.MaxTime() != math.MinInt64 {
		oldest, newest = min(oldest, h.MinTime()), max(newest, h.MaxTime())
		l.free = h.MaxTime()
	}
	if oldest > newest {
		return nil
	}
	for reach := time.Hour.Milliseconds(); ; reach *= 24 { // the ends are rarely far from the edges
		at, err := l.intervals(context.Background(), max(newest-reach, oldest), newest)
		if err != nil {
			return err
		}
		if len(at) > 0 {
			l.last = time.UnixMilli(at[len(at)-1].End).UTC()
			break
		}
		if newest-reach <= oldest {
			return nil
		}
	}
	l.free = max(l.free, l.last.UnixMilli())
	for reach := time.Hour.Milliseconds(); ; reach *= 24 {
		at, err := l.intervals(context.Background(), oldest, min(oldest+reach, newest))
		if err != nil {
			return err
		}
		if len(at) > 0 {
			l.first = time.UnixMilli(at[0].Start).UTC()
			return nil
		}
	}
}

// begin is the start of the oldest snapshot, which what is no longer kept has moved. The first sample of a snapshot that
// follows none is a millisecond after its start.
func (l *level) begin() time.Time {
	if b := l.db.Blocks(); len(b) > 0 && l.first.UnixMilli() < b[0].MinTime()-1 && !l.first.IsZero() {
		return time.UnixMilli(b[0].MinTime() - 1).UTC()
	}
	return l.first
}

// intervals are those of the snapshots that end in [from, to], ascending.
func (l *level) intervals(ctx context.Context, from, to int64) (out []series.Interval, err error) {
	err = l.each(ctx, from, to, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, series.SnapshotSeries)},
		func(labels.Labels) (samples, bool) {
			return samples{float: func(t int64, v float64) { out = append(out, series.IntervalOf(t, v)) }}, true
		})
	return out, err
}

// append writes a snapshot: the samples first, then the one that completes it.
func (l *level) append(app *foresail.App, s *foresail.Snapshot) error {
	all, err := l.encoder.Encode(app, s)
	if err != nil {
		return err
	}
	for _, part := range [][]series.Sample{all[:len(all)-1], all[len(all)-1:]} {
		if err := l.commit(part); err != nil {
			l.encoder.Reset()
			return err
		}
	}
	l.last, l.free = s.End, s.End.UnixMilli()
	if l.first.IsZero() {
		l.first = s.Start
	}
	return nil
}

func (l *level) commit(samples []series.Sample) error {
	a := l.db.Appender(context.Background())
	for i := range samples {
		sm := &samples[i]
		var ref storage.SeriesRef
		var err error
		if sm.H != nil {
			ref, err = a.AppendHistogram(storage.SeriesRef(sm.Ref), sm.Labels, sm.T, nil, sm.H)
		} else {
			ref, err = a.Append(storage.SeriesRef(sm.Ref), sm.Labels, sm.T, sm.V)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s at %s: %w", sm.Labels, time.UnixMilli(sm.T).UTC().Format(time.RFC3339Nano), err), a.Rollback())
		}
		sm.Ref = uint64(ref)
	}
	if err := a.Commit(); err != nil {
		return &writeError{err}
	}
	return nil
}

// writeError is an error after which the log may end in the middle of a record.
type writeError struct{ error }

func (e *writeError) Unwrap() error { return e.error }

// teller passes warnings and errors of the database on.
type teller struct {
	tell func(error)
	dir  string
}

func (t teller) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }
func (t teller) WithAttrs([]slog.Attr) slog.Handler           { return t }
func (t teller) WithGroup(string) slog.Handler                { return t }

// Handle tells what went wrong, in one line.
func (t teller) Handle(_ context.Context, r slog.Record) error {
	text := fmt.Sprintf("history in %s: %s", t.dir, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		text += fmt.Sprintf(", %s %v", a.Key, a.Value)
		return true
	})
	t.tell(errors.New(text))
	return nil
}
