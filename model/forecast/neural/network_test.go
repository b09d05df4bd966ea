package neural

import (
	"fmt"
	"math"
	"testing"

	"foresail.dev/ml/nn"
)

var shapes = map[string]shape{
	"seq2seq": {n: 5, m: 3, hidden: 4},
	"dubnn":   {n: 5, m: 3, hidden: 4, gaussian: true, dropout: 0.3},
	"madu":    {n: 5, m: 3, hidden: 4, gaussian: true, attends: true},
}

// The gradient of every weight of a whole network, against central differences.
func TestGradientsOfNetworks(t *testing.T) {
	for name, s := range shapes {
		t.Run(name, func(t *testing.T) {
			const batch = 2
			r := nn.NewRand(1, 0)
			w := newNetwork[float64](s, r)
			for _, p := range w.params {
				for i := range p.W {
					p.W[i] += 0.2 * r.NormFloat64()
				}
			}
			x := nn.Batch[float64]{Rows: s.n * batch, Cols: features, Data: make([]float64, s.n*batch*features)}
			target := make([]float64, s.m*batch)
			for _, v := range [][]float64{x.Data, target} {
				for i := range v {
					v[i] = r.NormFloat64()
				}
			}
			loss := func() float64 {
				*w.r = *nn.NewRand(2, 0)
				w.forward(x, batch, s.m, true)
				return w.loss(target)
			}
			loss()
			w.backward(w.dmu, w.dsigma)
			for _, p := range w.params {
				for i := range p.W {
					const h = 1e-5
					was := p.W[i]
					p.W[i] = was + h
					up := loss()
					p.W[i] = was - h
					down := loss()
					p.W[i] = was
					if want := (up - down) / (2 * h); math.Abs(p.G[i]-want) > 1e-7+1e-5*math.Abs(want) {
						t.Fatalf("gradient of %s[%d] is %v, differences say %v", p.Name, i, p.G[i], want)
					}
				}
			}
		})
	}
}

// trainStep is one step of training, as Train does it.
func trainStep(s shape, batch int) func() {
	r := nn.NewRand(1, 0)
	w := newNetwork[float32](s, r)
	opt := &nn.Adam[float32]{Rate: 1e-3}
	x := nn.Batch[float32]{Rows: s.n * batch, Cols: features, Data: make([]float32, s.n*batch*features)}
	target := make([]float32, s.m*batch)
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	return func() {
		w.forward(x, batch, s.m, true)
		w.loss(target)
		w.backward(w.dmu, w.dsigma)
		nn.Clip(w.params, clip)
		opt.Step(w.params)
	}
}

func TestAStepAllocatesNothing(t *testing.T) {
	for name, s := range shapes {
		step := trainStep(s, 4)
		step()
		if n := testing.AllocsPerRun(5, step); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

const clip = 5

// One step of training Madu's network: n = 60, m = 5, 32 cells. hack/pytorch runs it beside PyTorch.
func BenchmarkMaduTrainStep(b *testing.B) {
	for _, batch := range []int{32, 128} {
		b.Run(fmt.Sprint("batch", batch), func(b *testing.B) {
			step := trainStep(shape{n: 60, m: 5, hidden: 32, gaussian: true, attends: true}, batch)
			step()
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
		})
	}
}

func BenchmarkMaduInfer(b *testing.B) {
	s := shape{n: 60, m: 5, hidden: 32, gaussian: true, attends: true}
	w := newNetwork[float32](s, nn.NewRand(1, 0))
	x := nn.Batch[float32]{Rows: s.n, Cols: features, Data: make([]float32, s.n*features)}
	b.ReportAllocs()
	for b.Loop() {
		w.forward(x, 1, s.m, false)
	}
}
