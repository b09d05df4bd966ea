package series

import (
	"github.com/prometheus/prometheus/model/histogram"

	"foresail.dev/sketch"
)

// maxGap is the longest run of empty buckets that is written out: a new span costs as much.
const maxGap = 2

// Histogram is a sketch as a native float histogram; nil is empty. It shares nothing with s.
func Histogram(s *sketch.Sketch) *histogram.FloatHistogram {
	h := &histogram.FloatHistogram{Schema: sketch.Schema, Count: s.Count(), Sum: s.Sum()}
	if s.Count() == 0 {
		return h
	}
	h.ZeroCount = s.Zero()
	h.PositiveBuckets = make([]float64, 0, s.Room())
	last := 0
	for i, n := range s.Buckets() {
		gap := i - last - 1
		switch k := len(h.PositiveSpans) - 1; {
		case k < 0:
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(i), Length: 1})
		case gap <= maxGap:
			for range gap {
				h.PositiveBuckets = append(h.PositiveBuckets, 0)
			}
			h.PositiveSpans[k].Length += uint32(gap + 1)
		default:
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: int32(gap), Length: 1})
		}
		h.PositiveBuckets = append(h.PositiveBuckets, n)
		last = i
	}
	return h
}

// Gained is the sketch of what was counted between two states of a cumulative histogram, of which base is the earlier; nil
// where there was nothing. Where a bucket fell, or base is nil, the histogram began anew: all of h counts. Histograms of another
// schema are not told apart from those of sketch.Schema, so bring them there first; negative buckets are left out.
func Gained(base, h *histogram.FloatHistogram) *sketch.Sketch {
	if base != nil && (h.Count < base.Count || h.ZeroCount < base.ZeroCount) {
		base = nil
	}
	s := sketch.New()
	if !gain(s, base, h) {
		s = sketch.New()
		gain(s, nil, h)
	}
	if s.Count() == 0 {
		return nil
	}
	return s
}

// gain adds to s what h has more than base; false: a bucket of h has less.
func gain(s *sketch.Sketch, base, h *histogram.FloatHistogram) bool {
	sum, zero := h.Sum, h.ZeroCount
	var old buckets
	if base != nil {
		sum -= base.Sum
		zero -= base.ZeroCount
		old = newBuckets(base)
	}
	var room [160]gained
	more := room[:0]
	old.next()
	now := newBuckets(h)
	for now.next() {
		for old.ok && old.index < now.index {
			if old.value() > 0 {
				return false
			}
			old.next()
		}
		n := now.value()
		if old.ok && old.index == now.index {
			n -= old.value()
			old.next()
		}
		if n < 0 {
			return false
		}
		if n > 0 {
			more = append(more, gained{now.index, n})
		}
	}
	for ; old.ok; old.next() {
		if old.value() > 0 {
			return false
		}
	}
	s.AddN(0, zero)
	if len(more) == 0 {
		return true
	}
	s.Grow(more[0].index, more[len(more)-1].index)
	sum = max(sum, 0)
	for _, m := range more {
		s.AddBucket(m.index, m.n, sum) // the whole sum with the first bucket: a sketch keeps it for all
		sum = 0
	}
	return true
}

// gained is what a bucket has more than before.
type gained struct {
	index int
	n     float64
}

// buckets walks the positive buckets of a histogram.
type buckets struct {
	spans  []histogram.Span
	counts []float64
	index  int // of the bucket it is at
	at     int // its number among counts
	left   uint32
	ok     bool
}

func newBuckets(h *histogram.FloatHistogram) buckets {
	return buckets{spans: h.PositiveSpans, counts: h.PositiveBuckets, at: -1, index: -1}
}

func (b *buckets) value() float64 { return b.counts[b.at] }

func (b *buckets) next() bool {
	b.index++
	for b.left == 0 {
		if len(b.spans) == 0 {
			b.ok = false
			return false
		}
		b.index += int(b.spans[0].Offset)
		b.left = b.spans[0].Length
		b.spans = b.spans[1:]
	}
	b.left--
	b.at++
	b.ok = b.at < len(b.counts)
	return b.ok
}
