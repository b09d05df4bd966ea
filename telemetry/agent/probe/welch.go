package probe

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Higher is the chance that values differ by as much as on lies above off where nothing but chance makes them differ, by Welch's
// one-sided t test; 1 where there are too few values to tell.
func Higher(on, off []float64) float64 { return welch(on, off) }

// welch is the one-sided p value of Welch's t test: how likely means differ by as much as on lies above off where they
// are the same. Variances may differ. It is 1 where either has fewer than two values or neither varies and on is not above.
func welch(on, off []float64) float64 {
	if len(on) < 2 || len(off) < 2 {
		return 1
	}
	a, va := stat.MeanVariance(on, nil)
	b, vb := stat.MeanVariance(off, nil)
	na, nb := float64(len(on)), float64(len(off))
	sa, sb := va/na, vb/nb
	if sa+sb == 0 {
		if a > b {
			return 0
		}
		return 1
	}
	t := (a - b) / math.Sqrt(sa+sb)
	df := (sa + sb) * (sa + sb) / (sa*sa/(na-1) + sb*sb/(nb-1)) // Welch and Satterthwaite
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}
