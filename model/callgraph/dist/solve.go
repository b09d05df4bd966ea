package dist

import "math"

// Solve is where a survival function falls to 1-p between lo and hi (which may be +Inf), from a first guess on: by Newton's
// method on ln P(T > t) above the median, on ln P(T <= t) below, in which tails are nearly straight, kept within what is known
// of where it is. at gives P(T > t) and the density, which may be 0 where there is none.
func Solve(lo, hi, guess, p float64, at func(t float64) (above, density float64)) float64 {
	t := guess
	if !(t > lo && t < hi) {
		t = lo + 1
		if !math.IsInf(hi, 1) {
			t = lo + (hi-lo)/2
		}
	}
	for range 200 {
		above, density := at(t)
		var step float64
		if p > 0.5 {
			step = above * math.Log(above/(1-p)) / density
		} else {
			step = (1 - above) * math.Log(p/(1-above)) / density
		}
		if above > 1-p {
			lo = math.Max(lo, t)
		} else {
			hi = math.Min(hi, t)
		}
		next := t + step
		if math.Abs(step) <= 1e-8*math.Abs(t) { // the error left is about its square
			return math.Max(next, 0)
		}
		if !(next > lo && next < hi) {
			if math.IsInf(hi, 1) {
				next = lo + 2*math.Max(t-lo, (guess-lo)/2) + 1e-12
				if !(next > t) {
					next = 2*t + 1e-12
				}
			} else {
				next = lo + (hi-lo)/2
			}
		}
		if !math.IsInf(hi, 1) && hi-lo <= 1e-13*hi {
			return hi
		}
		t = next
	}
	return t
}
