package network

import (
	"math"
	"testing"

	"foresail.dev/ml/nn"
)

// Gradients of the hybrid's own layers are those that finite differences give, of weights and of inputs, also where a lane stands for
// several services and the last for fewer.
func TestGradientsOfLanes(t *testing.T) {
	r := nn.NewRand(3, 3)
	for _, per := range []int{1, 2} {
		const h, w, c, rows = 3, 4, 2, 2
		classes := w*per - (per - 1) + 1
		m := image[float64]{h: h, w: w, c: c, r: r}
		m.residual(true)
		m.residual(false)
		head := newHead[float64](w, 3, per, classes, 0, r)
		for _, p := range head.Params() {
			for i := range p.W {
				p.W[i] += 0.3 * r.NormFloat64() // none is zero
			}
		}
		net := append(m.layers, &lanes[float64]{h: h, w: w, c: c}, &nn.Sequence[float64]{LSTM: nn.NewLSTM[float64]("lstm", c, 3, r), Steps: h}, head)
		x := nn.Batch[float64]{Rows: rows, Cols: h * w * c, Data: make([]float64, rows*h*w*c)}
		for i := range x.Data {
			x.Data[i] = r.NormFloat64()
		}
		target := nn.Batch[float64]{Rows: rows, Cols: classes, Data: make([]float64, rows*classes)}
		target.Row(0)[0], target.Row(1)[classes-1] = 1, 1
		dy := nn.Batch[float64]{Rows: rows, Cols: classes, Data: make([]float64, rows*classes)}
		loss := func() float64 { return nn.CrossEntropy(net.Forward(x, true), target, dy) }
		loss()
		dx := append([]float64(nil), net.Backward(dy).Data...)
		check := func(name string, v []float64, g []float64) {
			const step = 1e-6
			for i := range v {
				was := v[i]
				v[i] = was + step
				up := loss()
				v[i] = was - step
				down := loss()
				v[i] = was
				if want := (up - down) / (2 * step); math.Abs(want-g[i]) > 1e-5*(1+math.Abs(want)) {
					t.Errorf("%d services a lane: %s[%d] has the gradient %g, differences give %g", per, name, i, g[i], want)
				}
			}
		}
		check("x", x.Data, dx)
		for _, p := range net.Params() {
			check(p.Name, p.W, append([]float64(nil), p.G...))
		}
	}
}
