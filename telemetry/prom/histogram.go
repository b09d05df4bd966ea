package prom

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"

	"foresail.dev/sketch"
)

// bucket holds n values in (lo, hi].
type bucket struct{ lo, hi, n float64 }

// hist is a histogram as it came: cumulative over time, its buckets in order.
type hist struct {
	buckets []bucket
	count   float64
	sum     float64
	summed  bool // the sum is known
	linear  bool // buckets have bounds of somebody's choice: values spread evenly within them
}

// maxBuckets bounds what one histogram may hold; a native one of the finest schema over six orders of magnitude has 5,000.
const maxBuckets = 20_000

// fromNative reads a native histogram; an error tells what no histogram is.
func fromNative(h *model.SampleHistogram) (*hist, error) {
	if h == nil {
		return nil, fmt.Errorf("a number where a native histogram was expected")
	}
	if len(h.Buckets) > maxBuckets {
		return nil, fmt.Errorf("a histogram of %d buckets", len(h.Buckets))
	}
	out := &hist{count: float64(h.Count), sum: float64(h.Sum), summed: likely(float64(h.Sum))}
	if !(out.count >= 0) || !likely(out.count) {
		return nil, fmt.Errorf("a histogram that counts %v values", out.count)
	}
	judged := false
	for _, b := range h.Buckets {
		if b == nil {
			return nil, fmt.Errorf("a histogram with a bucket missing")
		}
		x := bucket{float64(b.Lower), float64(b.Upper), float64(b.Count)}
		if !(x.lo <= x.hi) || !(x.n >= 0) || !likely(x.n) {
			return nil, fmt.Errorf("a histogram with the bucket %v", *b)
		}
		if math.IsInf(x.lo, -1) && x.hi > 0 {
			x.lo = 0 // the first of bounds of somebody's choice
		}
		out.buckets = append(out.buckets, x)
		if x.lo >= 0 && x.hi > 1e-8 && x.n > 0 && !judged { // all of one are of the same sort
			out.linear, judged = x.lo == 0 || !exponential(x.lo, x.hi), true
		}
	}
	slices.SortFunc(out.buckets, byBound)
	return out, nil
}

func byBound(a, b bucket) int {
	switch {
	case a.hi < b.hi:
		return -1
	case a.hi > b.hi:
		return 1
	case a.lo < b.lo:
		return -1
	case a.lo > b.lo:
		return 1
	}
	return 0
}

// likely reports whether a value is one that may be counted or measured: a number of less than a quintillion.
func likely(v float64) bool { return v > -1e18 && v < 1e18 }

// exponential reports whether bounds are those of a standard schema: 2^(2^-schema) apart, schema from -4 to 8.
func exponential(lo, hi float64) bool {
	if math.IsInf(hi, 0) {
		return false
	}
	schema := -math.Log2(math.Log2(hi / lo))
	return math.Abs(schema-math.Round(schema)) < 1e-3 && schema > -5 && schema < 9
}

// fromClassic reads a classic histogram: how many values are at most each bound; or VictoriaMetrics' own, how many lie in
// each range.
func fromClassic(le, ranges map[string]float64) (*hist, error) {
	out := &hist{linear: true}
	if len(le) == 0 {
		for r, n := range ranges {
			low, high, ok := strings.Cut(r, "...")
			lo, err1 := strconv.ParseFloat(low, 64)
			hi, err2 := strconv.ParseFloat(high, 64)
			if !ok || err1 != nil || err2 != nil || !(lo < hi) {
				return nil, fmt.Errorf("a bucket of the range %q", r)
			}
			out.buckets = append(out.buckets, bucket{lo, hi, n})
			out.count += n
		}
		out.linear = false // they are spaced evenly on the logarithmic scale
		slices.SortFunc(out.buckets, byBound)
		return out, nil
	}
	for bound, n := range le {
		hi, err := strconv.ParseFloat(bound, 64)
		if err != nil || math.IsNaN(hi) {
			return nil, fmt.Errorf("a bucket with the bound %q", bound)
		}
		out.buckets = append(out.buckets, bucket{hi: hi, n: n})
	}
	slices.SortFunc(out.buckets, byBound)
	last, lo := 0.0, math.Inf(-1)
	if out.buckets[0].hi > 0 {
		lo = 0
	}
	for i := range out.buckets {
		b := &out.buckets[i]
		total := max(b.n, last) // scrapes may tear: a bucket never holds less than those below it
		b.n, b.lo = total-last, lo
		last, lo = total, b.hi
	}
	out.count = last
	return out, nil
}

// since is what came to the histogram since it was p; nil: all of it. A histogram that counts less than before was reset.
// Bounds may have changed: what p held is taken from where it lay.
func (h *hist) since(p *hist) *hist {
	if p == nil || h.count < p.count {
		return h
	}
	out := &hist{count: h.count - p.count, linear: h.linear, buckets: make([]bucket, 0, len(h.buckets))}
	if out.summed = h.summed && p.summed && h.sum >= p.sum; out.summed {
		out.sum = h.sum - p.sum
	}
	left, first := 0.0, 0
	for _, b := range h.buckets {
		for first < len(p.buckets) && p.buckets[first].hi <= b.lo && p.buckets[first].hi < b.hi {
			first++
		}
		for i := first; i < len(p.buckets) && p.buckets[i].lo < b.hi; i++ {
			b.n -= p.buckets[i].n * overlap(p.buckets[i], b, p.linear)
		}
		if b.n > h.count*1e-12 {
			out.buckets = append(out.buckets, b)
			left += b.n
		}
	}
	if left > 0 && math.Abs(left-out.count) > 1e-9*out.count { // torn, or of other bounds than before
		for i := range out.buckets {
			out.buckets[i].n *= out.count / left
		}
	}
	return out
}

// overlap is which share of a's values lies in b.
func overlap(a, b bucket, linear bool) float64 {
	const near = 1e-9 // bounds come as decimal numbers
	lo, hi := max(a.lo, b.lo), min(a.hi, b.hi)
	same := func(x, y float64) bool { return x == y || math.Abs(x-y) <= near*math.Abs(x) }
	switch {
	case same(a.lo, lo) && same(a.hi, hi):
		return 1
	case !(lo < hi) || same(lo, hi):
		return 0
	case math.IsInf(a.lo, 0) || math.IsInf(a.hi, 0):
		return 1 // where they lie is not known: as far out as may be
	case linear || a.lo <= 0:
		return (hi - lo) / (a.hi - a.lo)
	}
	return math.Log(hi/lo) / math.Log(a.hi/a.lo)
}

// above is how many values are over v.
func (h *hist) above(v float64) (n float64) {
	for _, b := range h.buckets {
		if b.hi > v {
			n += b.n * overlap(b, bucket{lo: max(v, b.lo), hi: b.hi}, h.linear)
		}
	}
	return n
}

// addTo adds the values to a sketch, each multiplied by scale.
func (h *hist) addTo(s *sketch.Sketch, scale float64) {
	type part struct {
		index  int
		n, sum float64
	}
	var parts []part
	zeros, total := 0.0, 0.0
	put := func(index int, n float64) {
		index = min(max(index, sketch.MinIndex), sketch.MaxIndex)
		mid := sketch.UpperBound(index) * math.Exp2(-0.5/16)
		parts = append(parts, part{index, n, n * mid})
		total += n * mid
	}
	for _, b := range h.buckets {
		if !(b.n > 0) {
			continue
		}
		lo, hi := b.lo*scale, b.hi*scale
		switch {
		case hi <= 0 || lo < 0 && !math.IsInf(hi, 1): // the zero bucket of a native histogram, or nothing that lasts
			zeros += b.n
		case math.IsInf(hi, 1): // over the last bound
			put(sketch.Index(max(lo, 1e-9))+1, b.n)
		default:
			spread(lo, hi, b.n, h.linear || lo == 0, put)
		}
	}
	factor := 1.0
	if h.summed && total > 0 && h.sum > 0 {
		factor = h.sum * scale / total
	}
	s.AddN(0, zeros)
	for _, p := range parts {
		s.AddBucket(p.index, p.n, p.sum*factor)
	}
}

// spread hands n values of (lo, hi] to the sketch's buckets, evenly on the linear or the logarithmic scale. What is finer
// than they are lies in one of them.
func spread(lo, hi, n float64, linear bool, put func(int, float64)) {
	const edge = 1e-9
	floor := hi / 64 // below, a linear spread has next to nothing
	rest := 0.0
	if lo < floor && linear {
		rest = n * (floor - lo) / (hi - lo)
		lo, n = floor, n-rest
	}
	first, last := sketch.Index(lo*(1+edge)), sketch.Index(hi*(1-edge))
	if first >= last {
		put(first, n+rest)
		return
	}
	if rest > 0 {
		put(first, rest)
	}
	at := lo
	for i := first; i <= last; i++ {
		to := hi
		if i < last {
			to = sketch.UpperBound(i)
		}
		share := 0.0
		if linear {
			share = (to - at) / (hi - lo)
		} else {
			share = math.Log(to/at) / math.Log(hi/lo)
		}
		if share > 0 {
			put(i, n*share)
		}
		at = to
	}
}

// ends reports whether a bucket ends at v.
func (h *hist) ends(v float64) bool {
	return slices.ContainsFunc(h.buckets, func(b bucket) bool { return math.Abs(b.hi-v) <= 1e-9*v })
}

// error is by how much a quantile near v may be off, as a share of v: half the width of its bucket, and at least the
// sketch's own. Infinite where v is over the last bound.
func (h *hist) error(v float64) float64 {
	own := math.Exp2(1.0/16) - 1
	for _, b := range h.buckets {
		if v <= b.hi && v > b.lo {
			if math.IsInf(b.hi, 1) {
				break
			}
			return max((b.hi-max(b.lo, 0))/v, own) / 2
		}
	}
	if h.linear {
		return math.Inf(1)
	}
	return own / 2
}
