package nn

import "foresail.dev/ml/nn/kernel"

// Attention is additive attention over a sequence of n states h_j, as Madu has it (eqs 3 to 6): for a query q at step t
//
//	a_tj = tanh(q·Wa + h_j·Ua)                            (6)
//	s_tj = µ_tj + σ_tj·ε   with µ_tj = Wµj·a_tj + bµj and σ_tj = Wσj·a_tj + bσj, ε ~ N(0, 1)    (3)
//	α_tj = exp(s_tj) / Σ_k exp(s_tk)                      (5)
//
// and the context is Σ_j α_tj·h_j. Each position j has weights of its own, as the paper's indices say. σ_tj may be
// negative: σ·ε is as normal with it. Deterministic attention is s_tj = µ_tj, and so is stochastic attention outside of
// training, where the score is its mean.
//
// It is stepped as LSTM is: Begin, Step, then BackBegin, BackStep and BackEnd.
type Attention[T Float] struct {
	Positions, Hidden, Width int
	Stochastic               bool
	Rand                     *Rand
	wa, ua                   *Param[T] // Hidden × Width
	wmu, bmu, wsig, bsig     *Param[T] // Positions × Width, Positions

	batch, steps int
	train        bool
	h            Batch[T] // all states: those of a position together
	uh, wq       []T
	queries      []T // of all steps
	a            []T // of all steps, positions, examples: Width numbers
	alpha, eps   []T // of all steps, positions, examples
	sigma, sum   []T
	context      []T

	dh, du, dwq, dq, dalpha, dsigma []T
}

// NewAttention makes attention over a number of positions, between states and queries of hidden numbers, with width
// numbers inside. Weights are drawn after Glorot.
func NewAttention[T Float](name string, positions, hidden, width int, stochastic bool, r *Rand) *Attention[T] {
	a := &Attention[T]{Positions: positions, Hidden: hidden, Width: width, Stochastic: stochastic, Rand: r,
		wa: newParam[T](name+".wa", hidden*width), ua: newParam[T](name+".ua", hidden*width),
		wmu: newParam[T](name+".wmu", positions*width), bmu: newParam[T](name+".bmu", positions),
		wsig: newParam[T](name+".wsigma", positions*width), bsig: newParam[T](name+".bsigma", positions)}
	glorot(a.wa.W, hidden, width, r)
	glorot(a.ua.W, hidden, width, r)
	glorot(a.wmu.W, width, 1, r)
	if stochastic {
		glorot(a.wsig.W, width, 1, r)
	}
	return a
}

// Params returns the weights.
func (a *Attention[T]) Params() []*Param[T] {
	p := []*Param[T]{a.wa, a.ua, a.wmu, a.bmu}
	if a.Stochastic {
		p = append(p, a.wsig, a.bsig)
	}
	return p
}

// Begin takes the states, Positions × batch rows, all examples of a position together, for at most steps queries. With
// train, scores are drawn.
func (a *Attention[T]) Begin(steps, batch int, h Batch[T], train bool) {
	h.need(a.Hidden, "Attention")
	if h.Rows != a.Positions*batch {
		panic("nn: Attention is given another number of positions")
	}
	a.steps, a.batch, a.h, a.train = steps, batch, h, train
	n := a.Positions * batch
	uh := growBatch(&a.uh, n, a.Width)
	kernel.Gemm(uh.matrix(), h.matrix(), kernel.Of(a.ua.W, a.Hidden, a.Width), false)
	grow(&a.a, steps*n*a.Width)
	grow(&a.alpha, steps*n)
	grow(&a.eps, steps*n)
	grow(&a.queries, steps*batch*a.Hidden)
	grow(&a.sigma, n)
}

// Step returns the context for the queries of step t.
func (a *Attention[T]) Step(t int, q Batch[T]) Batch[T] {
	q.need(a.Hidden, "Attention")
	copy(a.queries[t*len(q.Data):(t+1)*len(q.Data)], q.Data)
	wq := growBatch(&a.wq, a.batch, a.Width)
	kernel.Gemm(wq.matrix(), q.matrix(), kernel.Of(a.wa.W, a.Hidden, a.Width), false)
	s := a.of(a.alpha, t)
	in := a.of2(a.a, t)
	rows, w := a.batch, a.Width
	for j := range a.Positions {
		part := func(x []T) []T { return x[j*rows : (j+1)*rows] }
		kernel.ScoreForward(rows, w, a.uh[j*rows*w:(j+1)*rows*w], wq.Data, a.wmu.W[j*w:(j+1)*w], a.wsig.W[j*w:(j+1)*w],
			in[j*rows*w:(j+1)*rows*w], part(s), part(a.sigma))
		mu := part(s)
		for i := range mu {
			mu[i] += a.bmu.W[j]
		}
	}
	if a.Stochastic && a.train {
		eps := a.of(a.eps, t)
		for j := range a.Positions {
			b := a.bsig.W[j]
			for i := j * rows; i < (j+1)*rows; i++ {
				eps[i] = T(a.Rand.NormFloat64())
				s[i] += (a.sigma[i] + b) * eps[i]
			}
		}
	}
	a.normalise(s)
	context := growBatch(&a.context, rows, a.Hidden)
	clear(context.Data)
	for j := range a.Positions {
		kernel.RowAxpy(rows, a.Hidden, s[j*rows:(j+1)*rows], a.state(j), context.Data)
	}
	return context
}

// normalise is the softmax over positions, for each example.
func (a *Attention[T]) normalise(s []T) {
	rows := a.batch
	most := grow(&a.sum, rows)
	copy(most, s)
	for j := 1; j < a.Positions; j++ {
		for i, v := range s[j*rows : (j+1)*rows] {
			most[i] = max(most[i], v)
		}
	}
	for j := range a.Positions {
		kernel.Axpy(-1, most, s[j*rows:(j+1)*rows])
	}
	kernel.Exp(s, s)
	sum := most
	clear(sum)
	for j := range a.Positions {
		kernel.Axpy(1, s[j*rows:(j+1)*rows], sum)
	}
	for i := range sum {
		sum[i] = 1 / sum[i]
	}
	for j := range a.Positions {
		multiply(s[j*rows:(j+1)*rows], sum)
	}
}

// BackBegin starts the way back.
func (a *Attention[T]) BackBegin() {
	n := a.Positions * a.batch
	zeroed(&a.dh, n*a.Hidden)
	zeroed(&a.du, n*a.Width)
	grow(&a.dalpha, n)
	grow(&a.dsigma, n)
}

// BackStep takes the gradient of the context of step t and returns that of its queries.
func (a *Attention[T]) BackStep(t int, dcontext []T) Batch[T] {
	rows, w := a.batch, a.Width
	alpha, in := a.of(a.alpha, t), a.of2(a.a, t)
	mean := zeroed(&a.sum, rows)
	for j := range a.Positions {
		ds, al := a.dalpha[j*rows:(j+1)*rows], alpha[j*rows:(j+1)*rows]
		kernel.RowDot(rows, a.Hidden, a.state(j), dcontext, ds)
		kernel.RowAxpy(rows, a.Hidden, al, dcontext, a.dh[j*rows*a.Hidden:(j+1)*rows*a.Hidden])
		for i, v := range al {
			ds[i] *= v
			mean[i] += ds[i]
		}
	}
	dwq := growBatch(&a.dwq, rows, w)
	clear(dwq.Data)
	eps := a.of(a.eps, t)
	drawn := a.Stochastic && a.train
	for j := range a.Positions {
		ds, dsigma := a.dalpha[j*rows:(j+1)*rows], a.dsigma[j*rows:(j+1)*rows]
		var sum, sumSigma T
		for i, v := range alpha[j*rows : (j+1)*rows] {
			ds[i] -= v * mean[i]
			sum += ds[i]
			dsigma[i] = 0
			if drawn {
				dsigma[i] = ds[i] * eps[j*rows+i]
				sumSigma += dsigma[i]
			}
		}
		a.bmu.G[j] += sum
		a.bsig.G[j] += sumSigma
		kernel.ScoreBackward(rows, w, in[j*rows*w:(j+1)*rows*w], ds, dsigma, a.wmu.W[j*w:(j+1)*w], a.wsig.W[j*w:(j+1)*w],
			a.du[j*rows*w:(j+1)*rows*w], dwq.Data, a.wmu.G[j*w:(j+1)*w], a.wsig.G[j*w:(j+1)*w])
	}
	n := rows * a.Hidden
	kernel.Gemm(kernel.Of(a.wa.G, a.Hidden, w), kernel.Of(a.queries[t*n:(t+1)*n], rows, a.Hidden).T(), dwq.matrix(), true)
	dq := growBatch(&a.dq, rows, a.Hidden)
	kernel.Gemm(dq.matrix(), dwq.matrix(), kernel.Of(a.wa.W, a.Hidden, w).T(), false)
	return dq
}

// BackEnd adds the remaining gradients of weights and returns that of the states.
func (a *Attention[T]) BackEnd() Batch[T] {
	n := a.Positions * a.batch
	du := kernel.Of(a.du, n, a.Width)
	kernel.Gemm(kernel.Of(a.ua.G, a.Hidden, a.Width), a.h.matrix().T(), du, true)
	dh := Batch[T]{n, a.Hidden, a.dh}
	kernel.Gemm(dh.matrix(), du, kernel.Of(a.ua.W, a.Hidden, a.Width).T(), true)
	return dh
}

// Weights are α_tj of step t for all examples: those of a position together.
func (a *Attention[T]) Weights(t int) Batch[T] {
	return Batch[T]{a.Positions, a.batch, a.of(a.alpha, t)}
}

func (a *Attention[T]) state(j int) []T {
	n := a.batch * a.Hidden
	return a.h.Data[j*n : (j+1)*n]
}

// of is step t's part of an array with a number for each position and example; of2 has Width numbers for each.
func (a *Attention[T]) of(x []T, t int) []T {
	n := a.Positions * a.batch
	return x[t*n : (t+1)*n]
}

func (a *Attention[T]) of2(x []T, t int) []T {
	n := a.Positions * a.batch * a.Width
	return x[t*n : (t+1)*n]
}
