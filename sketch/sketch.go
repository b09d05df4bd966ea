// Package sketch holds a latency sketch: a histogram with fixed exponential buckets that merge without loss.
//
// The buckets are those of a Prometheus native histogram of schema 4, which are those of an OpenTelemetry exponential
// histogram of scale 4: bucket i holds values in (2^((i-1)/16), 2^(i/16)], so a bucket is 4.4 % wide. A quantile is
// interpolated in its bucket on the logarithmic scale: never off by more than the bucket's width, and by less than half
// of it, 2.2 %, where values are spread as latencies are. OpenTelemetry numbers the same bucket i-1. Zero and
// negative values count in the zero bucket. Counts are float64, since spans that were sampled count for more than one.
package sketch

import (
	"iter"
	"math"
)

// Schema is the native-histogram schema (OpenTelemetry: scale) of every sketch: 2^Schema buckets per power of two.
const Schema = 4

// perOctave is the number of buckets per power of two.
const perOctave = 1 << Schema

// MinIndex and MaxIndex bound the buckets: from about 1 ns to about 12 days when values are seconds. What is beyond
// counts in the outermost bucket, so a hostile value can't grow a sketch.
const (
	MinIndex = -30 * perOctave
	MaxIndex = 20 * perOctave
)

// Sketch is a histogram with fixed exponential buckets. The zero value is empty and ready.
type Sketch struct {
	count  float64
	sum    float64
	zero   float64
	offset int       // index of counts[0]
	counts []float64 // first and last are in use, or it is empty
}

// New returns an empty sketch.
func New() *Sketch { return &Sketch{} }

// upper holds the upper bounds of the buckets of one octave, as fractions in (0.5, 1].
var upper = func() (u [perOctave]float64) {
	for i := range u {
		u[i] = math.Exp2(float64(i+1)/perOctave) / 2
	}
	u[perOctave-1] = 1
	return u
}()

// first[m] is the first bucket of the octave that can hold a fraction whose mantissa starts with the six bits m.
var first = func() (f [64]uint8) {
	for m := range f {
		lo := 0.5 + float64(m)/128
		for f[m] < perOctave-1 && upper[f[m]] < lo {
			f[m]++
		}
	}
	return f
}()

// Index is the bucket that v belongs to, v > 0.
func Index(v float64) int {
	bits := math.Float64bits(v)
	exp := int(bits>>52&0x7ff) - 1022
	if exp == -1022 { // subnormal
		return MinIndex
	}
	frac := math.Float64frombits(bits&^(0x7ff<<52) | 1022<<52) // in [0.5, 1)
	if frac == 0.5 {                                           // a power of two closes the bucket below
		return clampIndex((exp - 1) * perOctave)
	}
	i := int(first[bits>>46&63])
	for frac > upper[i] {
		i++
	}
	return clampIndex((exp-1)*perOctave + i + 1)
}

func clampIndex(i int) int { return min(max(i, MinIndex), MaxIndex) }

// UpperBound is the largest value of bucket i.
func UpperBound(i int) float64 { return math.Exp2(float64(i) / perOctave) }

// Add counts one value. A value that is not a number is ignored.
func (s *Sketch) Add(v float64) { s.AddN(v, 1) }

// AddN counts a value n times; n need not be whole. Nothing happens unless n > 0 and both are finite numbers.
func (s *Sketch) AddN(v, n float64) {
	if !(n > 0) || math.IsInf(n, 0) || math.IsNaN(v) || math.IsInf(v, 0) {
		return
	}
	s.count += n
	if v <= 0 {
		s.zero += n
		return
	}
	s.sum += v * n
	*s.bucket(Index(v)) += n
}

// AddBucket counts n values in bucket i with the given sum of values; it is how histograms from outside come in.
// Index 0 of the zero bucket is AddN(0, n).
func (s *Sketch) AddBucket(i int, n, sum float64) {
	if !(n > 0) || math.IsInf(n, 0) || math.IsNaN(sum) || math.IsInf(sum, 0) {
		return
	}
	s.count += n
	s.sum += sum
	*s.bucket(clampIndex(i)) += n
}

// Grow makes room in an empty sketch for buckets lo to hi, so that they can be added without allocating again.
func (s *Sketch) Grow(lo, hi int) {
	if n := clampIndex(hi) - clampIndex(lo) + 1; len(s.counts) == 0 && n > cap(s.counts) {
		s.counts = make([]float64, 0, n)
	}
}

// bucket makes room for bucket i.
func (s *Sketch) bucket(i int) *float64 {
	switch n := len(s.counts); {
	case n == 0:
		s.offset = i
		s.counts = append(s.counts, 0)
	case i < s.offset:
		grow := s.offset - i
		s.counts = append(s.counts, make([]float64, grow)...)
		copy(s.counts[grow:], s.counts[:n])
		clear(s.counts[:grow])
		s.offset = i
	case i >= s.offset+n:
		for len(s.counts) <= i-s.offset {
			s.counts = append(s.counts, 0)
		}
	}
	return &s.counts[i-s.offset]
}

// Merge adds what t holds. t is not changed.
func (s *Sketch) Merge(t *Sketch) {
	if t == nil || t.count == 0 {
		return
	}
	s.count += t.count
	s.sum += t.sum
	s.zero += t.zero
	if len(t.counts) == 0 {
		return
	}
	s.bucket(t.offset)
	s.bucket(t.offset + len(t.counts) - 1)
	dst := s.counts[t.offset-s.offset:]
	for i, n := range t.counts {
		dst[i] += n
	}
}

// Clone is an independent copy.
func (s *Sketch) Clone() *Sketch {
	c := *s
	c.counts = append([]float64(nil), s.counts...)
	return &c
}

// Room is how many counts a copy of the sketch needs room for.
func (s *Sketch) Room() int { return len(s.counts) }

// CopyTo makes dst an independent copy whose counts lie at the front of room, Room long at least, and returns the rest of
// room. It is for whoever copies many sketches at once, into one piece of memory.
func (s *Sketch) CopyTo(dst *Sketch, room []float64) (rest []float64) {
	n := len(s.counts)
	*dst = *s
	dst.counts = room[:n:n]
	copy(dst.counts, s.counts)
	return room[n:]
}

// Reset empties the sketch and keeps its memory.
func (s *Sketch) Reset() { *s = Sketch{counts: s.counts[:0]} }

// Count is how many values were added; 0 for a nil sketch.
func (s *Sketch) Count() float64 {
	if s == nil {
		return 0
	}
	return s.count
}

// Sum is the sum of all values; 0 for a nil sketch.
func (s *Sketch) Sum() float64 {
	if s == nil {
		return 0
	}
	return s.sum
}

// Zero is the count of the zero bucket.
func (s *Sketch) Zero() float64 { return s.zero }

// Mean is the mean value; NaN when the sketch is empty.
func (s *Sketch) Mean() float64 { return s.Sum() / s.Count() }

// Buckets yields every bucket in use with its index and count, ascending, the zero bucket left out.
func (s *Sketch) Buckets() iter.Seq2[int, float64] {
	return func(yield func(int, float64) bool) {
		for i, n := range s.counts {
			if n > 0 && !yield(s.offset+i, n) {
				return
			}
		}
	}
}

// Quantile is the value below which a share q of all values lies, interpolated within its bucket on the logarithmic
// scale; NaN when the sketch is empty or nil, or q is outside 0..1.
func (s *Sketch) Quantile(q float64) float64 {
	if s == nil || s.count <= 0 || !(q >= 0 && q <= 1) {
		return math.NaN()
	}
	rank := q * s.count
	if rank <= s.zero && s.zero > 0 {
		return 0
	}
	seen := s.zero
	last := math.NaN()
	for i, n := range s.counts {
		if n <= 0 {
			continue
		}
		last = UpperBound(s.offset + i)
		if seen+n >= rank {
			within := math.Max(rank-seen, 0) / n
			return math.Exp2((float64(s.offset+i-1) + within) / perOctave)
		}
		seen += n
	}
	return last
}

// CountAbove estimates how many values are larger than v, v > 0, interpolated within v's bucket on the logarithmic scale.
func (s *Sketch) CountAbove(v float64) float64 {
	if s == nil || v <= 0 {
		return s.Count()
	}
	at := Index(v)
	above := 0.0
	for i := max(at-s.offset, 0); i < len(s.counts); i++ {
		n := s.counts[i]
		if s.offset+i == at {
			n *= math.Min(math.Max(float64(at)-math.Log2(v)*perOctave, 0), 1)
		}
		above += n
	}
	return above
}
