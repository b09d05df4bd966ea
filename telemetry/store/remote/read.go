package remote

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev"
	"foresail.dev/telemetry/series"
	"foresail.dev/telemetry/store"
)

// How much is asked for at once: the intervals of an hour, and of those few enough that an answer with every histogram stays
// within some tens of megabytes. Tests ask for less.
var (
	listed = int64(time.Hour / time.Millisecond)
	batch  = 60
)

// every selects the series of snapshots by name; those of a classic or a vmrange histogram have a suffix.
var every = sync.OnceValue(func() string {
	var names []string
	for _, d := range series.Table() {
		names = append(names, d.Name)
		if d.Kind == series.NativeHistogram {
			names = append(names, d.Name+"_bucket", d.Name+"_count", d.Name+"_sum")
		}
	}
	return strings.Join(names, "|")
})

// Snapshots yields what was observed, see store.History.
func (h *History) Snapshots(ctx context.Context, from, to time.Time, step time.Duration) iter.Seq2[*foresail.Snapshot, error] {
	if h.reader == nil {
		return func(yield func(*foresail.Snapshot, error) bool) {
			yield(nil, errors.New("remote history: it can't be read: no URL to read from was given"))
		}
	}
	h.mu.Lock()
	app, first, last := h.app, h.first, h.last
	h.mu.Unlock()
	if from.Before(first) {
		from = first
	}
	if to.After(last) {
		to = last
	}
	all := h.asAppended(ctx, app, from, to)
	if step <= 0 || first.IsZero() {
		return all
	}
	return store.Cells(app, from, to, step, all)
}

func (h *History) asAppended(ctx context.Context, app *foresail.App, from, to time.Time) iter.Seq2[*foresail.Snapshot, error] {
	return func(yield func(*foresail.Snapshot, error) bool) {
		lo, hi := from.UnixMilli(), to.UnixMilli()
		for at := lo; at < hi; at += listed {
			all, err := h.reader.intervals(ctx, at, min(at+listed, hi))
			if err != nil {
				yield(nil, fmt.Errorf("remote history: %w", err))
				return
			}
			all = slices.DeleteFunc(all, func(t series.Interval) bool { return t.Start < lo })
			for times := range slices.Chunk(all, batch) {
				got, err := h.reader.decode(ctx, app, times)
				if err != nil {
					yield(nil, fmt.Errorf("remote history: %w", err))
					return
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

// decode reads the snapshots of some intervals.
func (r *reader) decode(ctx context.Context, app *foresail.App, times []series.Interval) ([]*foresail.Snapshot, error) {
	m, err := r.raw(ctx, fmt.Sprintf("{__name__=~%s,%s}", quoted(every()), r.matchers), times[0].Start-1, times[len(times)-1].End)
	if err != nil {
		return nil, err
	}
	w := series.NewWindow(app, times)
	var rest buckets
	for _, s := range m {
		l := fromModel(s.Metric)
		if rest.takes(l, s) {
			continue
		}
		c := w.Column(l)
		if c == nil {
			continue
		}
		if c.Histogram() {
			for _, p := range s.Histograms {
				c.FloatHistogram(int64(p.Timestamp), native(p.Histogram))
			}
			continue
		}
		d, _ := series.Lookup(string(s.Metric[model.MetricNameLabel]))
		before := 0.0
		for _, p := range s.Values {
			v := float64(p.Value)
			if d.Kind == series.Counter && v < before { // unless it began anew
				v = steady(before, v, v)
			}
			c.Float(int64(p.Timestamp), v)
			before = v
		}
	}
	rest.put(w)
	got, torn := w.Snapshots()
	if len(got) == 0 && torn > 0 && torn == len(times) {
		return nil, fmt.Errorf("%d snapshots lack what their counters begin with: were samples dropped or downsampled?", torn)
	}
	return got, nil
}

func fromModel(m model.Metric) labels.Labels {
	b := labels.NewScratchBuilder(len(m))
	for name, v := range m {
		b.Add(string(name), string(v))
	}
	b.Sort()
	return b.Labels()
}
