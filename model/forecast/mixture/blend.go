package mixture

import "math"

// How experts are mixed, and how their mixture is with the plainest of them: what is left of a loss after a step, and the
// power of the least loss over another that is its weight.
const (
	memory, sharp           = 0.995, 40.0
	hedgeMemory, hedgeSharp = 0.99, 20.0
)

// doubt is that of n losses those of an expert that learns count by 1 + doubt/n, since it may have learnt noise.
const doubt = 4.0

// blend mixes experts by their recent mean absolute errors, for each step ahead apart: weights are (least/loss)^sharp. So
// the best counts most, the nearly best nearly as much, and who does badly now may come back.
type blend struct {
	losses        [][]float64 // [step][expert]
	n             []int       // by step
	learn         int         // how many of the experts, the last ones, learn from the series
	memory, sharp float64
	doubted       []float64
}

// newBlend mixes experts for m steps.
func newBlend(m, experts, learn int) *blend {
	return &blend{n: make([]int, m), losses: grid(m, experts), learn: learn, doubted: make([]float64, experts), memory: memory, sharp: sharp}
}

// newHedge mixes a mixture with experts that can't have learnt noise, by what each was worth of late: where the series
// leaves the ways it had, the last value is right before any weight within the mixture has moved.
func newHedge(m, experts int) *blend {
	b := newBlend(m, experts, 0)
	b.memory, b.sharp = hedgeMemory, hedgeSharp
	return b
}

// judge takes in a load that came after predictions, [expert][step], were made: k+1 steps after.
func (b *blend) judge(k int, predictions [][]float64, load float64) {
	b.n[k]++
	a := max(1-b.memory, 1/float64(b.n[k]))
	for e := range b.losses[k] {
		b.losses[k][e] += a * (math.Abs(load-predictions[e][k]) - b.losses[k][e])
	}
}

// of mixes what the experts say of step k; without any loss yet it is the first one's word.
func (b *blend) of(k int, predictions [][]float64) float64 {
	losses := b.doubted
	copy(losses, b.losses[k])
	for e := len(losses) - b.learn; e < len(losses); e++ {
		losses[e] *= 1 + doubt/float64(max(b.n[k], 1))
	}
	best := 0
	for e, l := range losses {
		if l < losses[best] {
			best = e
		}
	}
	least := losses[best]
	if least <= 0 {
		return predictions[best][k]
	}
	sum, total := 0.0, 0.0
	for e, l := range losses {
		if w := math.Pow(least/l, b.sharp); w > 1e-4 {
			sum += w * predictions[e][k]
			total += w
		}
	}
	return sum / total
}

func grid(n, m int) [][]float64 {
	all := make([]float64, n*m)
	out := make([][]float64, n)
	for i := range out {
		out[i] = all[i*m : (i+1)*m : (i+1)*m]
	}
	return out
}
