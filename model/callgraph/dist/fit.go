package dist

import (
	"fmt"
	"math"
)

// Moments is a stage with the given mean (s) and variance (s²), shift included, and, where one can be found, the third
// central moment (s³; NaN where unknown). What varies less than an exponential becomes an Erlang distribution, its order
// to the nearest, above a shift; what varies more a mixture of two exponentials.
// It fails where the mean is not above the shift or the variance is below 0.
func Moments(shift, mean, variance, third float64) (Stage, error) {
	m := mean - shift
	switch {
	case !(shift >= 0), !(m >= 0), !(variance >= 0), math.IsInf(m, 0), math.IsInf(variance, 0):
		return Stage{}, fmt.Errorf("shift %g s, mean %g s, variance %g s²: a mean is at least the shift, a variance at least 0", shift, mean, variance)
	case m == 0 || variance <= m*m/MaxOrder:
		return Fixed(mean), nil
	}
	scv := variance / (m * m)
	if math.Abs(scv-1) < 1e-9 {
		return Exponential(shift, 1/m), nil
	}
	if scv < 1 { // the last of the order's exponentials is one too many with the weight q
		k := math.Ceil(1 / scv)
		q := (k*scv - math.Sqrt(k*(1+scv)-k*k*scv)) / (1 + scv)
		if k > MaxOrder || !(q >= 0 && q <= 1) {
			return Fixed(mean), nil
		}
		rate := (k - q) / m
		if q < 1e-12 {
			return Stage{Shift: shift, Parts: []Part{{1, int(k), rate}}}, nil
		}
		return Stage{Shift: shift, Parts: []Part{{q, int(k) - 1, rate}, {1 - q, int(k), rate}}}, nil
	}
	m2 := variance + m*m
	m3 := third + 3*m*m2 - 2*m*m*m
	if m3 > 1.5*m2*m2/m { // what three moments of a mixture of two exponentials can be
		// With x the mean of either: Σw x = m, Σw x² = m2/2, Σw x³ = m3/6, so both are roots of x² - a x + b.
		u2, u3 := m2/2, m3/6
		a := (u3 - m*u2) / (u2 - m*m)
		b := a*m - u2
		root := math.Sqrt(math.Max(a*a/4-b, 0))
		x1, x2 := a/2+root, a/2-root
		if w := (m - x2) / (x1 - x2); x2 > 0 && w > 0 && w < 1 {
			return Stage{Shift: shift, Parts: []Part{{w, 1, 1 / x1}, {1 - w, 1, 1 / x2}}}, nil
		}
	}
	w := (1 + math.Sqrt((scv-1)/(scv+1))) / 2 // balanced: both parts make half of the mean
	return Stage{Shift: shift, Parts: []Part{{w, 1, 2 * w / m}, {1 - w, 1, 2 * (1 - w) / m}}}, nil
}
