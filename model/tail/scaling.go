package tail

import "math"

// scaling brings inputs to mean 0 and deviation 1 in training, each for itself. What is missing becomes 0, the mean, and so
// does what never varied: from it nothing was learned.
type scaling struct {
	History []affine // services × channels
	Latency []affine // by Percentiles, of compressed latencies
	Cores   []affine // by ServiceID
	Next    []affine // services × inputs, of what is proposed: see Proposed
}

// affine is (x - Mean) · Per.
type affine struct{ Mean, Per float32 }

func (a affine) of(x float64) float32 {
	if x != x {
		return 0
	}
	return max(min((float32(x)-a.Mean)*a.Per, far), -far)
}

// far is how many deviations from the mean an input is taken for at most. What hardly varied in training, such as the memory
// of a simulated service, lies hundreds of them away on another machine, and a network knows nothing of such places: it
// answered with seconds.
const far = 8

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

// inputs is how many numbers the network sees of what is proposed for a service; 0: there is no such way.
func (p Proposed) inputs() int {
	switch p {
	case ProposedCores, ProposedUtilisation:
		return 1
	case ProposedState:
		return 3
	default:
		return 0
	}
}

// see writes what the network sees of cores that are proposed, by ServiceID, for services that have used so many and have so
// much in flight; what trees see of a service comes first of its numbers. It returns the service with the highest
// utilisation. A utilisation above 1 counts as its logarithm more: by how much it is too high matters less than that it is.
func (p Proposed) see(out, cores, used, inFlight []float64) (tightest int) {
	if p == ProposedCores {
		copy(out, cores)
		return 0
	}
	n := p.inputs()
	most := math.Inf(-1)
	for i, c := range cores {
		u := used[i] / max(c, leastCores)
		if u > 1 {
			u = 1 + math.Log(u)
		}
		if out[i*n] = u; u > most {
			most, tightest = u, i
		}
	}
	if p == ProposedState {
		for i := range cores {
			out[i*n+1], out[i*n+2] = math.Log1p(max(inFlight[i], 0)), out[tightest*n]
		}
	}
	return tightest
}

// compress brings latencies that the network looks at to a scale on which an overload of seconds does not dwarf what is
// below the objective: y up to the reference, then as its logarithm.
func compress(y, reference float64) float64 {
	if !(y > reference) {
		return y
	}
	return reference * (1 + math.Log(y/reference))
}
