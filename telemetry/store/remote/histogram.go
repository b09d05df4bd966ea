package remote

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev/sketch"
	"foresail.dev/telemetry/series"
)

// native is a histogram as the API writes it, in the buckets of a sketch.
func native(h *model.SampleHistogram) *histogram.FloatHistogram {
	counts := map[int]float64{}
	zero := 0.0
	for _, b := range h.Buckets {
		if b.Upper <= 0 || b.Lower < 0 {
			zero += float64(b.Count)
		} else {
			counts[index(float64(b.Upper))] += float64(b.Count)
		}
	}
	return build(counts, zero, float64(h.Count), float64(h.Sum))
}

// index is the bucket of a sketch whose upper bound is nearest: bounds come back rounded.
func index(upper float64) int { return int(math.Round(math.Log2(upper) * (1 << sketch.Schema))) }

// build is a native histogram of some buckets.
func build(counts map[int]float64, zero, count, sum float64) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: sketch.Schema, Count: count, Sum: sum, ZeroCount: zero}
	next := 0
	for _, i := range slices.Sorted(maps.Keys(counts)) {
		if n := len(h.PositiveSpans); n > 0 && i == next {
			h.PositiveSpans[n-1].Length++
		} else {
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(i - next), Length: 1})
		}
		h.PositiveBuckets = append(h.PositiveBuckets, counts[i])
		next = i + 1
	}
	return h
}

// buckets gathers histograms that the server keeps as a series for each bucket.
type buckets struct {
	of map[string]*bucketed
}

// bucketed is one such histogram: at each moment what its series said.
type bucketed struct {
	labels labels.Labels // without what tells its series apart
	at     map[int64]*moment
}

type moment struct {
	ranges     map[int]float64 // by bucket: of vmrange
	below      map[float64]float64
	zero       float64
	count, sum float64
	complete   bool // there is a count
}

// takes keeps a series of a bucketed histogram; false: it is none.
func (b *buckets) takes(l labels.Labels, s *model.SampleStream) bool {
	name := l.Get(model.MetricNameLabel)
	base, suffix := name, ""
	for _, x := range []string{"_bucket", "_count", "_sum"} {
		if cut, ok := strings.CutSuffix(name, x); ok {
			if d, known := series.Lookup(cut); known && d.Kind == series.NativeHistogram {
				base, suffix = cut, x
			}
		}
	}
	if suffix == "" {
		return false
	}
	nb := labels.NewBuilder(l)
	own := nb.Set(model.MetricNameLabel, base).Del("le", "vmrange").Labels()
	if b.of == nil {
		b.of = map[string]*bucketed{}
	}
	h := b.of[own.String()]
	if h == nil {
		h = &bucketed{labels: own, at: map[int64]*moment{}}
		b.of[own.String()] = h
	}
	put := putter(l, suffix)
	for _, p := range s.Values {
		m := h.at[int64(p.Timestamp)]
		if m == nil {
			m = &moment{ranges: map[int]float64{}, below: map[float64]float64{}}
			h.at[int64(p.Timestamp)] = m
		}
		put(m, float64(p.Value))
	}
	return true
}

// putter says what a series tells of a moment.
func putter(l labels.Labels, suffix string) func(*moment, float64) {
	switch suffix {
	case "_count":
		return func(m *moment, v float64) { m.count, m.complete = v, true }
	case "_sum":
		return func(m *moment, v float64) { m.sum = v }
	}
	if r := l.Get("vmrange"); r != "" {
		_, upper, _ := strings.Cut(r, "...")
		u, err := strconv.ParseFloat(upper, 64)
		switch {
		case err != nil || math.IsInf(u, 0) || math.IsNaN(u):
			return func(*moment, float64) {}
		case u <= 0:
			return func(m *moment, v float64) { m.zero += v }
		}
		i := index(u)
		return func(m *moment, v float64) { m.ranges[i] += v }
	}
	le, err := strconv.ParseFloat(l.Get("le"), 64)
	if err != nil || math.IsInf(le, 0) || math.IsNaN(le) {
		return func(*moment, float64) {}
	}
	return func(m *moment, v float64) { m.below[le] = v }
}

// put gives the window the histograms, in the order of time.
func (b *buckets) put(w *series.Window) {
	for _, h := range b.of {
		c := w.Column(h.labels)
		if c == nil {
			continue
		}
		before := moment{ranges: map[int]float64{}}
		for _, t := range slices.SortedFunc(maps.Keys(h.at), cmp.Compare[int64]) {
			if m := h.at[t]; m.complete {
				m.since(&before)
				c.FloatHistogram(t, build(m.ranges, m.zero, m.count, m.sum))
				before = *m
			}
		}
	}
}

// since turns counts below bounds into counts between them, and leaves out what is rounding since the moment before: a bucket that
// seems to have fallen by that would look as if everything had been counted anew.
func (m *moment) since(before *moment) {
	last := 0.0
	for _, le := range slices.Sorted(maps.Keys(m.below)) {
		n := m.below[le] - last
		last = m.below[le]
		if le <= 0 {
			m.zero += n
		} else {
			m.ranges[index(le)] += n
		}
	}
	for i, n := range m.ranges {
		if n = steady(before.ranges[i], n, m.count); n > 0 {
			m.ranges[i] = n
		} else {
			delete(m.ranges, i)
		}
	}
	m.zero = max(steady(before.zero, m.zero, m.count), 0)
	m.count = steady(before.count, m.count, m.count)
	m.sum = steady(before.sum, m.sum, m.sum)
}

// rounding is the share of a total that a server may round off: VictoriaMetrics keeps 12 digits at least.
const rounding = 1e-11

// steady is the next value of what only grows: the one before, where both differ by the rounding of total alone.
func steady(before, now, total float64) float64 {
	if math.Abs(now-before) <= rounding*math.Abs(total) {
		return before
	}
	return now
}
