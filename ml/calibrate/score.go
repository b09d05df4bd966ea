package calibrate

import "math"

// Brier is the mean squared difference of probabilities and classes (Brier, 1950): 0 is perfect, 0.25 is what one half
// for everything gets. It is NaN without rows, and panics where y is shorter than p.
func Brier(p, y []float64) float64 {
	sum := 0.0
	for i, v := range p {
		sum += (v - y[i]) * (v - y[i])
	}
	return sum / float64(len(p))
}

// Error is the expected calibration error (Naeini et al., AAAI 2015): rows are put in bins of equal width by their
// probability, and it is by how much the mean probability of a bin and its share of class 1 differ, on average by rows. It
// is NaN without rows; bins must be above 0.
func Error(p, y []float64, bins int) float64 {
	type bin struct{ p, y float64 }
	sums := make([]bin, bins)
	for i, v := range p {
		b := &sums[min(max(int(v*float64(bins)), 0), bins-1)]
		b.p += v
		b.y += y[i]
	}
	off := 0.0
	for _, b := range sums {
		off += math.Abs(b.p - b.y)
	}
	return off / float64(len(p))
}
