package profile

import (
	"cmp"
	"math"
	"slices"

	"foresail.dev/sketch"
)

// Sample is a set of own times in seconds, ascending, each with how often it was observed.
type Sample struct {
	cells []cell
	n     float64
	// told is how many own times were really observed, at least, where each counts for several.
	told float64
}

// cell is n own times of which nothing is known but that they are in (lo, hi]; where lo is hi it is known what they are.
type cell struct{ lo, hi, n float64 }

// mid stands for the own times of a cell. In a sketch's bucket, which is 4.4 % wide, they are spread on the logarithmic scale.
func (c cell) mid() float64 {
	if c.lo <= 0 || c.lo == c.hi {
		return (c.lo + c.hi) / 2
	}
	return (c.hi - c.lo) / math.Log(c.hi/c.lo)
}

// Of makes a sample of single own times. Those that are not above zero, or not finite, are left out, as in Derm's artefact.
func Of(seconds []float64) Sample {
	var s Sample
	for _, v := range seconds {
		if v > 0 && !math.IsInf(v, 0) {
			s.cells = append(s.cells, cell{v, v, 1})
		}
	}
	slices.SortFunc(s.cells, func(a, b cell) int { return cmp.Compare(a.lo, b.lo) })
	s.n = float64(len(s.cells))
	s.told = s.n
	return s
}

// OfSketch makes a sample of a sketch: own times are known to a bucket. What is in its zero bucket is left out.
func OfSketch(k *sketch.Sketch) Sample {
	var s Sample
	if k == nil {
		return s
	}
	for i, n := range k.Buckets() {
		s.cells = append(s.cells, cell{sketch.UpperBound(i - 1), sketch.UpperBound(i), n})
		s.n += n
	}
	s.told = told(k)
	return s
}

// told is how many own times a sketch was made of, at least, where traces are sampled and each counts for several: for as many as
// the emptiest bucket holds, or a hundred.
func told(k *sketch.Sketch) float64 {
	least := 100.0
	for _, n := range k.Buckets() {
		least = min(least, n)
	}
	return k.Count() / max(least, 1)
}

// Count is how many own times there are.
func (s Sample) Count() float64 { return s.n }

// moments are the mean of own time in seconds and its variance in seconds squared.
func (s Sample) moments() (mean, variance float64) {
	for _, c := range s.cells {
		mean += c.n * c.mid()
	}
	mean /= s.n
	for _, c := range s.cells {
		d := c.mid() - mean
		w := c.hi - c.lo
		variance += c.n * (d*d + w*w/12)
	}
	return mean, variance / s.n
}

// least is the least own time in seconds, the largest the last.
func (s Sample) least() float64   { return s.cells[0].first() }
func (s Sample) largest() float64 { return s.cells[len(s.cells)-1].last() }

// first and last are where the least and the largest of n own times spread over a cell are expected.
func (c cell) first() float64 { return c.lo + (c.hi-c.lo)/(c.n+1) }
func (c cell) last() float64  { return c.hi - (c.hi-c.lo)/(c.n+1) }
