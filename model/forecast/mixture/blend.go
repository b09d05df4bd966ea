package mixture

import "math"

const (
	memory = 0.995 // what is left of a loss after a step
	sharp  = 25.0  // the power of the least loss over an expert's that is its weight
	doubt  = 4.0   // of n losses: those of an expert that learns count by 1 + doubt/n, since it may have learnt noise
)

// blend mixes experts by their recent mean absolute errors, for each step ahead apart: weights are (least/loss)^sharp. So
// the best counts most, the nearly best nearly as much, and who does badly now may come back.
type blend struct {
	losses  [][]float64 // [step][expert]
	n       []int       // by step
	learn   int         // how many of the experts, the last ones, learn from the series
	doubted []float64
}

func newBlend(m, experts, learn int) *blend {
	return &blend{n: make([]int, m), losses: grid(m, experts), learn: learn, doubted: make([]float64, experts)}
}

// judge takes in a load that came after predictions, [expert][step], were made: k+1 steps after.
func (b *blend) judge(k int, predictions [][]float64, load float64) {
	b.n[k]++
	a := max(1-memory, 1/float64(b.n[k]))
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
		if w := math.Pow(least/l, sharp); w > 1e-4 {
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
