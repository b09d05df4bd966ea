package tail

import "math"

// scaling brings inputs to mean 0 and deviation 1 in training, each for itself. What is missing becomes 0, the mean, and so
// does what never varied: from it nothing was learned.
type scaling struct {
	History []affine // services × channels
	Latency []affine // by Percentiles, of compressed latencies
	Cores   []affine // by ServiceID
	Next    []affine // by ServiceID, of what is proposed: see Proposed
}

// affine is (x - Mean) · Per.
type affine struct{ Mean, Per float32 }

func (a affine) of(x float64) float32 {
	if x != x {
		return 0
	}
	return (float32(x) - a.Mean) * a.Per
}

// moments are those of numbers that are not missing.
type moments struct{ n, mean, m2, low, high float64 }

func (m *moments) add(x float64) {
	if x != x {
		return
	}
	if m.n == 0 {
		m.low, m.high = x, x
	}
	m.low, m.high = min(m.low, x), max(m.high, x)
	m.n++
	d := x - m.mean
	m.mean += d / m.n
	m.m2 += d * (x - m.mean)
}

// sd is the standard deviation; 0 where nothing was seen.
func (m *moments) sd() float64 { return math.Sqrt(m.m2 / max(m.n, 1)) }

func (m *moments) affine() affine {
	a := affine{Mean: float32(m.mean)}
	if sd := m.sd(); sd > 1e-9*math.Abs(m.mean) && sd > 1e-12 {
		a.Per = float32(1 / sd)
	}
	return a
}

// leastCores is what a proposal of less is taken for, so that what is used can be divided by it.
const leastCores = 0.01

// proposed is how models see cores that are proposed for a service that has used so many. A utilisation above 1 counts as its
// logarithm more: by how much it is too high matters less than that it is.
func (p Proposed) proposed(cores, used float64) float64 {
	if p == ProposedCores {
		return cores
	}
	u := used / max(cores, leastCores)
	if u > 1 {
		u = 1 + math.Log(u)
	}
	return u
}

// compress brings latencies that the network looks at to a scale on which an overload of seconds does not dwarf what is
// below the objective: y up to the reference, then as its logarithm.
func compress(y, reference float64) float64 {
	if !(y > reference) {
		return y
	}
	return reference * (1 + math.Log(y/reference))
}
