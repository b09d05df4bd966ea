package compare

import (
	"math"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// estimate is a mean with half the width of its 95 % interval, mean ± half; half is nil for a single value.
type estimate struct {
	mean float64
	half *float64
}

// estimated is the mean of independent values with Student's interval: t(0.975, n-1) · s / √n. values is not empty.
func estimated(values []float64) estimate {
	mean, sd := stat.MeanStdDev(values, nil)
	n := float64(len(values))
	if n < 2 {
		return estimate{mean: mean}
	}
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	return estimate{mean, ptr(t * sd / math.Sqrt(n))}
}

// paired is the mean of a - b, value by value: for runs with the same seed what both share falls out.
func paired(a, b []float64) estimate {
	diff := make([]float64, len(a))
	for i := range a {
		diff[i] = a[i] - b[i]
	}
	return estimated(diff)
}

// below reports whether the whole interval lies under zero.
func (e estimate) below() bool { return e.half != nil && e.mean+*e.half < 0 }
