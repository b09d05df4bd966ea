package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Noise multiplies a curve by lognormal numbers with mean 1, one for each step, independent of each other.
type Noise struct {
	CV   float64       // their standard deviation; 0: no noise
	Step time.Duration // how long each holds; 0 means a second
	Seed uint64        // another draws other numbers
}

// What is drawn for an instant is derived from the seed and the number of its cell alone, so that a curve can be asked
// for any instant, in any order, and always says the same.

func (n *Noise) factor(at time.Duration) float64 {
	step := n.Step
	if step <= 0 {
		step = time.Second
	}
	var r rand.PCG
	r.Seed(n.Seed, uint64(at/step))
	z := normal(&r)
	variance := math.Log1p(n.CV * n.CV)
	return math.Exp(math.Sqrt(variance)*z - variance/2)
}

// normal is one normal number of two uniform ones: Box and Muller's transform.
func normal(r *rand.PCG) float64 {
	return math.Sqrt(-2*math.Log(1-uniform(r))) * math.Cos(2*math.Pi*uniform(r))
}

// uniform is within [0, 1).
func uniform(r *rand.PCG) float64 { return float64(r.Uint64()>>11) * 0x1p-53 }

// inBurst looks for a burst that began at most Width ago. Time is cut into cells of length Every, and each holds a
// Poisson number of bursts with mean 1 at instants drawn evenly: together that is a Poisson process.
func (s *Segment) inBurst(at time.Duration) bool {
	if s.Every <= 0 || s.Width <= 0 {
		return false
	}
	cell := int64(at / s.Every)
	for c := max(cell-1, 0); c <= cell; c++ {
		var r rand.PCG
		r.Seed(s.Seed, uint64(c))
		for range poisson1(uniform(&r)) {
			start := time.Duration(c)*s.Every + time.Duration(uniform(&r)*float64(s.Every))
			if at >= start && at < start+s.Width {
				return true
			}
		}
	}
	return false
}

// poisson1 is the quantile u of a Poisson distribution with mean 1.
func poisson1(u float64) (k int) {
	for p := math.Exp(-1); u >= p && k < 20; { // more than 20 come once in 1e19
		u -= p
		k++
		p /= float64(k)
	}
	return k
}
