package shares

import "math"

// blendWeights finds the weights, not negative and together one, for which a blend of experts is off by least: they minimise
// wᵀGw/n + (shrink·G₀₀/n²)·|w - e|², where G (k × k) is the sums of products of what experts were off by in n windows, and e the first
// expert alone. Weights under least are then left out. Where there were no windows, or the first was off by nothing, they are e.
func blendWeights(g []float64, k int, n, shrink, least float64, w []float64) {
	clear(w)
	w[0] = 1
	if n <= 0 || g[0] <= 0 {
		return
	}
	penalty := shrink * g[0] / n
	// Weight goes from the expert with the steepest way up to that with the steepest way down, as far as is best, until no such
	// move helps: the problem is convex, so that is the least.
	at := func(i, j int) float64 {
		q := g[i*k+j]
		if i == j {
			q += penalty
		}
		return q
	}
	grad := func(i int) (d float64) {
		for j, v := range w {
			d += at(i, j) * v
		}
		if i == 0 {
			d -= penalty
		}
		return d
	}
	for range 50 * k {
		down, up := 0, -1
		lo, hi := math.Inf(1), math.Inf(-1)
		for i := range k {
			d := grad(i)
			if d < lo {
				lo, down = d, i
			}
			if w[i] > 0 && d > hi {
				hi, up = d, i
			}
		}
		if up < 0 || up == down || hi-lo <= 1e-9*g[0] {
			break
		}
		step := w[up]
		if curve := at(down, down) + at(up, up) - 2*at(down, up); curve > 0 {
			step = min(step, (hi-lo)/curve)
		}
		w[down] += step
		if w[up] -= step; w[up] < 1e-12 {
			w[up] = 0
		}
	}
	sum := 0.0
	for i, v := range w {
		if v < least {
			w[i] = 0
		}
		sum += w[i]
	}
	for i := range w {
		w[i] /= sum
	}
}
