package profile

import (
	"math"
	"slices"

	"foresail.dev/model/callgraph/dist"
)

// rounds of expectation and maximisation; they end before when the likelihood hardly grows.
const rounds = 60

// fitPhases fits a mixture with the given orders by expectation and maximisation, from a start that splits the
// sample at its quantiles. Own times at the shift count as a thousandth of the mean above it: there the density of more than
// one exponential is zero.
func fitPhases(s Sample, shift float64, orders []int) (dist.Stage, bool) {
	mean, _ := s.moments()
	above := mean - shift
	if !(above > 0) {
		return dist.Stage{}, false
	}
	x, logs := make([]float64, len(s.cells)), make([]float64, len(s.cells))
	for i, c := range s.cells {
		x[i] = max(c.mid()-shift, above/1000)
		logs[i] = math.Log(x[i])
	}
	p := dist.Stage{Shift: shift, Parts: start(s, x, orders)}
	resp := make([]float64, len(orders))
	last := math.Inf(-1)
	for range rounds {
		var n, sum [4]float64
		var at [4]float64 // of each part, what of ln(weight·density) doesn't depend on x
		for j, b := range p.Parts {
			gamma, _ := math.Lgamma(float64(b.Order))
			at[j] = math.Log(b.Weight) + float64(b.Order)*math.Log(b.Rate) - gamma
		}
		like := 0.0
		for i, c := range s.cells {
			top := math.Inf(-1)
			for j, b := range p.Parts {
				resp[j] = at[j] + float64(b.Order-1)*logs[i] - b.Rate*x[i]
				top = max(top, resp[j])
			}
			total := 0.0
			for j := range resp {
				resp[j] = math.Exp(resp[j] - top)
				total += resp[j]
			}
			like += c.n * (top + math.Log(total))
			for j := range resp {
				w := c.n * resp[j] / total
				n[j] += w
				sum[j] += w * x[i]
			}
		}
		for j := range p.Parts {
			if !(n[j] > 1e-6*s.n) || !(sum[j] > 0) {
				return dist.Stage{}, false // a part that has died: fewer would do
			}
			p.Parts[j].Weight = n[j] / s.n
			p.Parts[j].Rate = float64(p.Parts[j].Order) * n[j] / sum[j]
		}
		if math.IsNaN(like) || like-last < 1e-5*s.n {
			return p, !math.IsNaN(like)
		}
		last = like
	}
	return p, true
}

// start gives the k-th part the own times of a part of the sample: half of the sample for the first, half of the rest for the
// next, the rest for the last.
func start(s Sample, x []float64, orders []int) []dist.Part {
	out := make([]dist.Part, len(orders))
	i, left := 0, s.n
	used := 0.0
	for j := range orders {
		part := left / 2
		if j == len(orders)-1 {
			part = left
		}
		n, sum := 0.0, 0.0
		for part > 0 && i < len(x) {
			take := min(part, s.cells[i].n-used)
			n, sum = n+take, sum+take*x[i]
			part -= take
			used += take
			if used >= s.cells[i].n {
				i, used = i+1, 0
			}
		}
		left -= n
		out[j] = dist.Part{Weight: max(n, 1e-3) / s.n, Order: orders[j], Rate: float64(orders[j]) * max(n, 1e-3) / max(sum, 1e-12)}
	}
	return out
}

// mixtures are the orders that are tried: one part, two as hyperexponential, and a body with a tail.
var mixtures = func() (m [][]int) {
	for _, k := range []int{2, 3, 4, 6, 9, 16} {
		m = append(m, []int{k})
	}
	for _, k := range []int{1, 2, 4, 9, 25} {
		for _, l := range []int{1, 3, 9} {
			m = append(m, []int{k, l})
		}
	}
	return slices.Clip(m)
}()
