package nn

import (
	"fmt"
	"math"
	"testing"
)

// checkGradients holds the gradients that back leaves in the weights and returns for x against central differences, in
// double precision. loss goes forward from fresh random numbers each time; back follows a call of loss.
func checkGradients(t *testing.T, params []*Param[float64], x []float64, loss func() float64, back func() []float64) {
	t.Helper()
	for _, p := range params {
		clear(p.G)
	}
	loss()
	dx := append([]float64(nil), back()...)
	check := func(name string, w, g []float64) {
		t.Helper()
		const h = 1e-5
		for i := range w {
			was := w[i]
			w[i] = was + h
			up := loss()
			w[i] = was - h
			down := loss()
			w[i] = was
			want := (up - down) / (2 * h)
			if math.Abs(g[i]-want) > 1e-7+1e-5*math.Abs(want) {
				t.Errorf("gradient of %s[%d] is %v, differences say %v", name, i, g[i], want)
				return
			}
		}
	}
	for _, p := range params {
		if p.G != nil {
			check(p.Name, p.W, append([]float64(nil), p.G...))
		}
	}
	if x != nil {
		check("input", x, dx)
	}
}

func normals(n int, r *Rand) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

func TestGradientsOfLayers(t *testing.T) {
	r := NewRand(1, 1)
	image := ConvShape{H: 5, W: 4, C: 2, Filters: 3, KernelH: 3, KernelW: 2}
	strided := image
	strided.StrideH, strided.Top, strided.Left, strided.Right = 2, 1, 2, 1
	fixed := NewBatchNorm[float64]("bn", 3)
	fixed.FixScale = true
	frozen := NewBatchNorm[float64]("bn", 3)
	frozen.Frozen = true
	// Weights away from where they begin, so that no gradient is right by symmetry.
	shaken := func(l Layer[float64]) Layer[float64] {
		for _, p := range l.Params() {
			for i := range p.W {
				p.W[i] += 0.1 * r.NormFloat64()
			}
		}
		return l
	}
	draw := NewRand(7, 7)
	cases := []struct {
		name     string
		in, rows int
		layer    Layer[float64]
	}{
		{"dense", 4, 3, NewDense[float64]("d", 4, 5, r)},
		{"dense, no bias", 4, 3, NewDenseUnbiased[float64]("d", 4, 5, r)},
		{"conv, valid", 40, 2, NewConv2D[float64]("c", image, true, r)},
		{"conv, same", 40, 2, NewConv2D[float64]("c", image.Same(), false, r)},
		{"conv, strided", 40, 2, NewConv2D[float64]("c", strided, true, r)},
		{"mean over pixels", 12, 2, &MeanPool[float64]{Pixels: 4, Channels: 3}},
		{"batch norm", 6, 4, NewBatchNorm[float64]("bn", 3)},
		{"batch norm without scale", 6, 4, fixed},
		{"batch norm with kept statistics", 6, 4, frozen},
		{"relu", 6, 3, &Activation[float64]{Func: ReLU}},
		{"sigmoid", 6, 3, &Activation[float64]{Func: Sigmoid}},
		{"tanh", 6, 3, &Activation[float64]{Func: Tanh}},
		{"softplus", 6, 3, &Activation[float64]{Func: Softplus}},
		{"softmax", 5, 3, &Softmax[float64]{}},
		{"dropout", 6, 3, &Dropout[float64]{P: 0.4, Rand: draw}},
		{"lstm", 12, 3, &Sequence[float64]{LSTM: NewLSTM[float64]("l", 3, 5, r), Steps: 4}},
		{"lstm of lstm", 12, 3, Sequential[float64]{
			&Sequence[float64]{LSTM: NewLSTM[float64]("1", 3, 5, r), Steps: 4, Every: true},
			&Sequence[float64]{LSTM: NewLSTM[float64]("2", 5, 4, r), Steps: 4}}},
		{"several", 40, 3, Sequential[float64]{
			NewConv2D[float64]("c", image.Same(), false, r), NewBatchNorm[float64]("bn", 3), &Activation[float64]{Func: Tanh},
			&Sequence[float64]{LSTM: NewLSTM[float64]("l", 12, 2, r), Steps: 5}, NewDense[float64]("d", 2, 2, r)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			shaken(c.layer)
			x := Batch[float64]{c.rows, c.in, normals(c.rows*c.in, r)}
			out := c.layer.Forward(x, true)
			target, dy := normals(len(out.Data), r), make([]float64, len(out.Data))
			rows, cols := out.Rows, out.Cols
			loss := func() float64 {
				*draw = *NewRand(7, 7)
				return MSE(c.layer.Forward(x, true).Data, target, dy)
			}
			checkGradients(t, c.layer.Params(), x.Data, loss, func() []float64 {
				return c.layer.Backward(Batch[float64]{rows, cols, dy}).Data
			})
		})
	}
}

func TestGradientsOfAttention(t *testing.T) {
	for _, stochastic := range []bool{false, true} {
		t.Run(fmt.Sprint("stochastic ", stochastic), func(t *testing.T) {
			const positions, hidden, width, batch, steps = 4, 3, 5, 2, 3
			r := NewRand(1, 2)
			draw := NewRand(3, 3)
			a := NewAttention[float64]("a", positions, hidden, width, stochastic, draw)
			for _, p := range a.Params() {
				copy(p.W, normals(len(p.W), r))
			}
			h := Batch[float64]{positions * batch, hidden, normals(positions*batch*hidden, r)}
			queries := normals(steps*batch*hidden, r)
			target, dy := normals(steps*batch*hidden, r), make([]float64, steps*batch*hidden)
			contexts, dq := make([]float64, len(target)), make([]float64, len(target))
			n := batch * hidden
			loss := func() float64 {
				*draw = *NewRand(3, 3)
				a.Begin(steps, batch, h, true)
				for s := range steps {
					copy(contexts[s*n:], a.Step(s, Batch[float64]{batch, hidden, queries[s*n : (s+1)*n]}).Data)
				}
				return MSE(contexts, target, dy)
			}
			back := func() []float64 {
				a.BackBegin()
				for s := steps - 1; s >= 0; s-- {
					copy(dq[s*n:], a.BackStep(s, dy[s*n:(s+1)*n]).Data)
				}
				return a.BackEnd().Data
			}
			checkGradients(t, a.Params(), h.Data, loss, back)
			checkGradients(t, nil, queries, loss, func() []float64 { back(); return dq })
		})
	}
}

// The state goes in and comes out, both ways, and the dropout mask lies on every step.
func TestGradientsOfALSTMsState(t *testing.T) {
	const steps, batch, in, hidden = 3, 2, 2, 4
	r := NewRand(5, 1)
	l := NewLSTM[float64]("l", in, hidden, r)
	n := batch * hidden
	h0, c0, mask := normals(n, r), normals(n, r), make([]float64, n)
	DropoutMask(mask, 0.3, r)
	x := Batch[float64]{steps * batch, in, normals(steps*batch*in, r)}
	target, dh, dc := normals(2*n, r), make([]float64, n), make([]float64, n)
	loss := func() float64 {
		l.Begin(steps, batch, h0, c0, mask)
		for s := range steps {
			l.Step(s, x.Rowset(s*batch, (s+1)*batch))
		}
		h, c := l.State(steps - 1)
		return MSE(h.Data, target[:n], dh) + MSE(c.Data, target[n:], dc)
	}
	var atH, atC, atX []float64
	back := func() {
		l.BackBegin(dh, dc)
		atX = make([]float64, len(x.Data))
		for s := steps - 1; s >= 0; s-- {
			copy(atX[s*batch*in:], l.BackStep(s, nil, true).Data)
		}
		atH, atC = l.BackEnd()
	}
	checkGradients(t, l.Params(), h0, loss, func() []float64 { back(); return atH })
	checkGradients(t, nil, c0, loss, func() []float64 { back(); return atC })
	checkGradients(t, nil, x.Data, loss, func() []float64 { back(); return atX })
}

func TestGradientsOfLosses(t *testing.T) {
	r := NewRand(2, 2)
	const n = 6
	y, other, target := normals(n, r), normals(n, r), normals(n, r)
	for i := range other {
		other[i] = 0.3 + math.Abs(other[i])
	}
	probabilities := Batch[float64]{2, 3, []float64{0, 1, 0, 0.2, 0.3, 0.5}}
	labels := []float64{0, 1, 0.5, 1, 0, 0}
	dy, dOther := make([]float64, n), make([]float64, n)
	cases := []struct {
		name string
		loss func() float64
		x    []float64
		dx   []float64
	}{
		{"mse", func() float64 { return MSE(y, target, dy) }, y, dy},
		{"gaussian, mean", func() float64 { return Gaussian(y, other, target, dy, dOther) }, y, dy},
		{"gaussian, sigma", func() float64 { return Gaussian(y, other, target, dy, dOther) }, other, dOther},
		{"cross entropy", func() float64 {
			return CrossEntropy(Batch[float64]{2, 3, y}, probabilities, Batch[float64]{2, 3, dy})
		}, y, dy},
		{"logistic", func() float64 { return Logistic(y, labels, dy, 3) }, y, dy},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			checkGradients(t, nil, c.x, c.loss, func() []float64 { return c.dx })
		})
	}
}
