package profile

import (
	"errors"
	"math"

	"foresail.dev/model/callgraph/dist"
)

// ErrSample is returned where a sample can't be fitted.
var ErrSample = errors.New("own times that can't be fitted: there must be at least two that differ, all above zero")

// bins is how many bins the artefact's histogram has.
const bins = 100

// Published is the rule of Derm's artefact (curve_cdf.py): the shift is the least own time; what is above it is counted in
// 100 bins of equal width; of the bins' left edges x and the shares F(x) below them, the rate is that of the least squares of
// F(x) - (1 - exp(-λx)). Of a sample made of a sketch it is approximate, since the least and the largest own time are
// known to a bucket only.
func Published(s Sample) (dist.Stage, error) {
	f, x, ok := s.curve()
	if !ok {
		return dist.Stage{}, ErrSample
	}
	return dist.Exponential(s.least(), leastSquares(x, f)), nil
}

// Likely is the maximum of the likelihood: the shift is the least own time, and 1/rate the mean of what is above it.
func Likely(s Sample) (dist.Stage, error) {
	if len(s.cells) == 0 {
		return dist.Stage{}, ErrSample
	}
	mean, _ := s.moments()
	shift := s.least()
	if !(mean > shift) {
		return dist.Stage{}, ErrSample
	}
	return dist.Exponential(shift, 1/(mean-shift)), nil
}

// curve is the artefact's empirical CDF: shares below the left edges of its bins, and these as seconds above the shift.
func (s Sample) curve() (f, x []float64, ok bool) {
	if len(s.cells) == 0 {
		return nil, nil, false
	}
	shift := s.least()
	width := (s.largest() - shift) / bins
	if !(width > 0) || math.IsInf(width, 0) {
		return nil, nil, false
	}
	var counts [bins]float64
	for _, c := range s.cells {
		spread(&counts, c, shift, width)
	}
	f, x = make([]float64, bins), make([]float64, bins)
	sum := 0.0
	for k, n := range counts {
		f[k], x[k] = sum/s.n, float64(k)*width
		sum += n
	}
	return f, x, true
}

// spread counts a cell in the bins it overlaps.
func spread(counts *[bins]float64, c cell, shift, width float64) {
	at := func(t float64) float64 { return min(max((t-shift)/width, 0), bins) }
	lo, hi := at(c.lo), at(c.hi)
	first := min(int(lo), bins-1)
	if hi <= lo {
		counts[first] += c.n
		return
	}
	for k := first; k < bins && float64(k) < hi; k++ {
		counts[k] += c.n * (min(hi, float64(k+1)) - max(lo, float64(k))) / (hi - lo)
	}
}

// leastSquares is the λ of the least Σ(F - (1 - exp(-λx)))². The sum has one valley where F grows from 0 to 1, but may have
// more where it hardly grows, so that the lowest of a grid of rates is refined.
func leastSquares(x, f []float64) float64 {
	last := x[len(x)-1]
	sum := func(logRate float64) (s float64) {
		rate := math.Exp(logRate)
		for i := range x {
			d := f[i] + math.Expm1(-rate*x[i])
			s += d * d
		}
		return s
	}
	const step = 0.25
	best, least := 0.0, math.Inf(1)
	for l := math.Log(1e-2 / last); l < math.Log(1e4/last); l += step {
		if s := sum(l); s < least {
			best, least = l, s
		}
	}
	return math.Exp(golden(sum, best-step, best+step))
}

// golden is where f is least between lo and hi, to 1e-10 of their distance.
func golden(f func(float64) float64, lo, hi float64) float64 {
	const ratio = 0.6180339887498949
	a, b := hi-ratio*(hi-lo), lo+ratio*(hi-lo)
	fa, fb := f(a), f(b)
	for range 48 {
		if fa < fb {
			hi, b, fb = b, a, fa
			a = hi - ratio*(hi-lo)
			fa = f(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + ratio*(hi-lo)
			fb = f(b)
		}
	}
	return (lo + hi) / 2
}
