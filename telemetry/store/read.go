package store

import (
	"context"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"foresail.dev"
	"foresail.dev/telemetry/series"
)

// samples takes the samples of one series; float or hist may be nil. A histogram stays as it is until the next was taken.
type samples struct {
	float func(t int64, v float64)
	hist  func(t int64, h *histogram.FloatHistogram)
}

// each walks the samples in [from, to] of all series that match, series by series. take says who wants those of a series, and
// false where nobody does.
func (l *level) each(ctx context.Context, from, to int64, match []*labels.Matcher, take func(labels.Labels) (samples, bool)) error {
	q, err := l.db.Querier(from, to)
	if err != nil {
		return err
	}
	defer q.Close()
	set := q.Select(ctx, false, &storage.SelectHints{Start: from, End: to}, match...)
	var it chunkenc.Iterator
	last, next := &histogram.FloatHistogram{}, &histogram.FloatHistogram{} // who takes them keeps one until the next
	for set.Next() {
		one := set.At()
		to, ok := take(one.Labels())
		if !ok {
			continue
		}
		it = one.Iterator(it)
		for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
			switch {
			case kind == chunkenc.ValFloat && to.float != nil:
				to.float(it.At())
			case kind == chunkenc.ValFloatHistogram && to.hist != nil:
				last, next = next, last
				to.hist(it.AtFloatHistogram(last))
			}
		}
		if err := it.Err(); err != nil {
			return fmt.Errorf("%s: %w", one.Labels(), err)
		}
	}
	return set.Err()
}

// batch is how many snapshots are decoded at once.
const batch = 240

// snapshots yields what was observed from on and before to, in this database, as it was appended. Torn is told how many could not
// be read back since their counters' bases are no longer kept.
func (l *level) snapshots(ctx context.Context, app *foresail.App, from, to time.Time, torn func(int)) iter.Seq2[*foresail.Snapshot, error] {
	return func(yield func(*foresail.Snapshot, error) bool) {
		first := l.begin()
		if l.last.IsZero() || !from.Before(l.last) || !first.Before(to) {
			return
		}
		lo, hi := max(from.UnixMilli(), first.UnixMilli()), min(to.UnixMilli(), l.last.UnixMilli())
		for at := lo; at <= hi; { // an hour of what ends at a time, since the list of a quarter of a year is long
			next := min(at+time.Hour.Milliseconds(), hi+longest)
			all, err := l.intervals(ctx, at, next-1)
			if err != nil {
				yield(nil, err)
				return
			}
			at = next
			for len(all) > 0 {
				n := min(len(all), batch)
				times := make([]series.Interval, 0, n)
				for _, t := range all[:n] {
					if t.Start >= from.UnixMilli() && t.Start < to.UnixMilli() {
						times = append(times, t)
					}
				}
				all = all[n:]
				if len(times) == 0 {
					continue
				}
				got, missing, err := l.decode(ctx, app, times)
				if err != nil {
					yield(nil, err)
					return
				}
				if missing > 0 && torn != nil {
					torn(missing)
				}
				for _, s := range got {
					if !yield(s, nil) {
						return
					}
				}
			}
		}
	}
}

// longest is more than any snapshot lasts, in milliseconds: those that start before the end of a range end by then.
const longest = int64(24 * time.Hour / time.Millisecond)

func (l *level) decode(ctx context.Context, app *foresail.App, times []series.Interval) ([]*foresail.Snapshot, int, error) {
	w := series.NewWindow(app, times)
	err := l.each(ctx, times[0].Start, times[len(times)-1].End, []*labels.Matcher{ofApplication(app)}, func(ls labels.Labels) (samples, bool) {
		c := w.Column(ls)
		if c == nil {
			return samples{}, false
		}
		if c.Histogram() {
			return samples{hist: c.FloatHistogram}, true
		}
		return samples{float: c.Float}, true
	})
	if err != nil {
		return nil, 0, err
	}
	got, torn := w.Snapshots()
	return got, torn, nil
}

func ofApplication(app *foresail.App) *labels.Matcher {
	return labels.MustNewMatcher(labels.MatchEqual, "application", series.Text(app.Name))
}

// cells merges snapshots that start in one cell of step, and puts a stale one where a cell between from and to has none, unless
// app is nil.
func cells(app *foresail.App, from, to time.Time, step time.Duration, all iter.Seq2[*foresail.Snapshot, error]) iter.Seq2[*foresail.Snapshot, error] {
	return func(yield func(*foresail.Snapshot, error) bool) {
		var parts []*foresail.Snapshot
		next := from.Truncate(step) // the first cell that nothing was yielded for
		flush := func(until time.Time) bool {
			if len(parts) > 0 {
				s := foresail.Merge(parts...)
				parts = parts[:0]
				next = s.Start.Truncate(step).Add(step)
				if s.End.After(next) { // longer than a step
					next = s.End.Add(step - 1).Truncate(step)
				}
				if !yield(s, nil) {
					return false
				}
			}
			for ; app != nil && next.Before(until); next = next.Add(step) {
				if !yield(silence(app, next, step), nil) {
					return false
				}
			}
			return true
		}
		for s, err := range all {
			if err != nil {
				yield(nil, err)
				return
			}
			cell := s.Start.Truncate(step)
			if len(parts) > 0 && parts[0].Start.Truncate(step).Equal(cell) {
				parts = append(parts, s)
				continue
			}
			if !flush(cell) {
				return
			}
			parts = append(parts, s)
		}
		flush(to)
	}
}

// silence is the snapshot of an interval that nothing is known of.
func silence(app *foresail.App, start time.Time, d time.Duration) *foresail.Snapshot {
	return &foresail.Snapshot{Start: start, End: start.Add(d), Generation: app.Generation, Stale: true,
		Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints))}
}

// ends are the earliest and the latest moment that milliseconds since 1970 are asked for.
var (
	earliest = time.UnixMilli(0).UTC()
	latest   = time.UnixMilli(math.MaxInt64 / 1_000_000).UTC()
)

func within(t time.Time) time.Time {
	switch {
	case t.Before(earliest):
		return earliest
	case t.After(latest):
		return latest
	}
	return t
}
