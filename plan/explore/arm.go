package explore

import "math"

// hidden is a hidden state: percentiles in quanta of latency, above for those beyond the region of interest, and the rate in
// quanta of it.
type hidden struct{ before, now, rate int32 }

const above = math.MaxInt16

// arm is what is counted for.
type arm struct {
	hidden
	service int32
	milli   int32 // cores
}

// count is how often the objective held and was violated.
type count struct{ sat, viol int32 }

// prior is what both counts begin at.
const prior = 0.1

// interval is the confidence interval of an arm.
func interval(sat, viol float64) float64 {
	n := sat + viol
	p := sat / n
	return math.Sqrt(p*(1-p)) / math.Sqrt(n)
}

// gain is by how much one more try is expected to narrow the interval.
func (c count) gain() float64 {
	s, v := float64(c.sat)+prior, float64(c.viol)+prior
	p := s / (s + v)
	return interval(s, v) - p*interval(s+1, v) - (1-p)*interval(s, v+1)
}

// score is what an operation with a bias is worth.
func (c count) score(bias, utilisation, cores, next float64) float64 {
	s := c.gain() * bias * math.Exp(-0.99*utilisation*cores/next)
	if c.sat < c.viol {
		s *= violationBias
	}
	return s
}

const violationBias = 0.8

// quantised is a latency in whole quanta, rounded up.
func quantised(ms, quantum, roof float64) int32 {
	if !(ms <= roof) {
		return above
	}
	return int32(min(math.Ceil(ms/quantum), above-1))
}

func milli(cores float64) int32 { return int32(min(math.Round(cores*1000), math.MaxInt32)) }
