package nn

import "foresail.dev/ml/nn/kernel"

// LSTM is a layer of long short-term memory (Hochreiter and Schmidhuber, 1997, with forget gates):
//
//	i, f, o = sigmoid(x·Wx + h·Wh + b)   g = tanh(x·Wx + h·Wh + b)
//	c = f·c' + i·g                       h = o·tanh(c)
//
// It is stepped: Begin, then Step for t = 0, 1, …, or All for all of them; then the way back, BackBegin, BackStep for
// t = …, 1, 0, and BackEnd. Sequence makes a Layer of it.
type LSTM[T Float] struct {
	In, Hidden int
	wx, wh, b  *Param[T]
	mask       []T // of h, batch × Hidden, for all steps; nil: none

	steps, batch int
	xs, own      []T // inputs of all steps; own is the buffer for those that came one by one
	gates        []T // activated, 4·Hidden a row
	hs, cs       []T // before each step and after the last: steps+1
	tcs          []T // tanh of the cells after each step

	dgates, dh, dc, dx []T
	whT, wxT           []T
}

// NewLSTM makes a layer with weights drawn after Glorot. Biases are 0, of forget gates 1, so that it remembers at first.
func NewLSTM[T Float](name string, in, hidden int, r *Rand) *LSTM[T] {
	l := &LSTM[T]{In: in, Hidden: hidden,
		wx: newParam[T](name+".wx", in*4*hidden), wh: newParam[T](name+".wh", hidden*4*hidden), b: newParam[T](name+".b", 4*hidden)}
	glorot(l.wx.W, in, hidden, r)
	glorot(l.wh.W, hidden, hidden, r)
	for i := range hidden {
		l.b.W[hidden+i] = 1
	}
	return l
}

// Params returns the weights.
func (l *LSTM[T]) Params() []*Param[T] { return []*Param[T]{l.wx, l.wh, l.b} }

// Begin starts sequences of at most steps, for a batch, with the state h and c (batch × Hidden; nil: zeros). mask, of the
// same shape, is multiplied with each new h: the same dropout at every step (Gal and Ghahramani, NeurIPS 2016); nil: none.
func (l *LSTM[T]) Begin(steps, batch int, h, c, mask []T) {
	n := batch * l.Hidden
	l.steps, l.batch, l.mask = steps, batch, mask
	grow(&l.hs, (steps+1)*n)
	grow(&l.cs, (steps+1)*n)
	grow(&l.tcs, steps*n)
	grow(&l.gates, 4*steps*n)
	l.xs = grow(&l.own, steps*batch*l.In)
	start := func(to, from []T) {
		if from == nil {
			clear(to)
		} else if copy(to, from) != n || len(from) != n {
			panic("nn: LSTM begins with a state of another shape")
		}
	}
	start(l.hs[:n], h)
	start(l.cs[:n], c)
}

// State is what h and c are after step t; -1 is the beginning.
func (l *LSTM[T]) State(t int) (h, c Batch[T]) {
	n := l.batch * l.Hidden
	return Batch[T]{l.batch, l.Hidden, l.hs[(t+1)*n : (t+2)*n]}, Batch[T]{l.batch, l.Hidden, l.cs[(t+1)*n : (t+2)*n]}
}

// Step takes the inputs of step t and returns h.
func (l *LSTM[T]) Step(t int, x Batch[T]) Batch[T] {
	x.need(l.In, "LSTM")
	copy(l.xs[t*l.batch*l.In:(t+1)*l.batch*l.In], x.Data)
	l.project(t, t+1)
	return l.advance(t)
}

// All takes the inputs of all steps, a row for each step and example, all examples of a step together, and returns h in
// the same order. x must stay as it is until BackEnd.
func (l *LSTM[T]) All(x Batch[T]) Batch[T] {
	x.need(l.In, "LSTM")
	if x.Rows != l.steps*l.batch {
		panic("nn: LSTM is given another number of steps than it began with")
	}
	l.xs = x.Data
	l.project(0, l.steps)
	for t := range l.steps {
		l.advance(t)
	}
	return Batch[T]{x.Rows, l.Hidden, l.hs[l.batch*l.Hidden:]}
}

// project computes the part of the gates that hangs on inputs alone, for some steps at once.
func (l *LSTM[T]) project(from, to int) {
	g := l.gatesOf(l.gates, from, to)
	for i := range g.Rows {
		copy(g.Row(i), l.b.W)
	}
	x := kernel.Of(l.xs[from*l.batch*l.In:to*l.batch*l.In], g.Rows, l.In)
	kernel.Gemm(g.matrix(), x, kernel.Of(l.wx.W, l.In, 4*l.Hidden), true)
}

// advance does the rest of step t.
func (l *LSTM[T]) advance(t int) Batch[T] {
	before, cells := l.State(t - 1)
	after, newCells := l.State(t)
	g := l.gatesOf(l.gates, t, t+1)
	kernel.Gemm(g.matrix(), before.matrix(), kernel.Of(l.wh.W, l.Hidden, 4*l.Hidden), true)
	n := l.batch * l.Hidden
	kernel.LSTMForward(l.batch, l.Hidden, g.Data, cells.Data, newCells.Data, l.tcs[t*n:(t+1)*n], after.Data)
	if l.mask != nil {
		multiply(after.Data, l.mask)
	}
	return after
}

func (l *LSTM[T]) gatesOf(buffer []T, from, to int) Batch[T] {
	w := 4 * l.Hidden
	return Batch[T]{(to - from) * l.batch, w, buffer[from*l.batch*w : to*l.batch*w]}
}

// BackBegin starts the way back through the steps that were taken. dh and dc are gradients of the state after the last
// step that come from elsewhere than its output; nil: none.
func (l *LSTM[T]) BackBegin(dh, dc []T) {
	n := l.batch * l.Hidden
	start := func(buffer *[]T, from []T) {
		to := grow(buffer, n)
		if from == nil {
			clear(to)
		} else {
			copy(to, from)
		}
	}
	start(&l.dh, dh)
	start(&l.dc, dc)
	grow(&l.dgates, 4*l.steps*n)
	kernel.Transpose(grow(&l.whT, len(l.wh.W)), kernel.Of(l.wh.W, l.Hidden, 4*l.Hidden))
	kernel.Transpose(grow(&l.wxT, len(l.wx.W)), kernel.Of(l.wx.W, l.In, 4*l.Hidden))
}

// BackStep takes the gradient of what Step t returned (nil: none) and returns that of its inputs when it is asked for.
func (l *LSTM[T]) BackStep(t int, dh []T, inputs bool) Batch[T] {
	if dh != nil {
		kernel.Axpy(1, dh, l.dh)
	}
	if l.mask != nil {
		multiply(l.dh, l.mask)
	}
	n := l.batch * l.Hidden
	g, d := l.gatesOf(l.gates, t, t+1), l.gatesOf(l.dgates, t, t+1)
	kernel.LSTMBackward(l.batch, l.Hidden, g.Data, l.cs[t*n:(t+1)*n], l.tcs[t*n:(t+1)*n], l.dh, l.dc, d.Data)
	kernel.Gemm(kernel.Of(l.dh, l.batch, l.Hidden), d.matrix(), kernel.Of(l.whT, 4*l.Hidden, l.Hidden), false)
	if !inputs {
		return Batch[T]{}
	}
	dx := growBatch(&l.dx, l.batch, l.In)
	kernel.Gemm(dx.matrix(), d.matrix(), kernel.Of(l.wxT, 4*l.Hidden, l.In), false)
	return dx
}

// BackEnd adds the gradients of the weights, and returns those of the state at the beginning.
func (l *LSTM[T]) BackEnd() (dh, dc []T) {
	d := l.gatesOf(l.dgates, 0, l.steps)
	kernel.Gemm(kernel.Of(l.wx.G, l.In, 4*l.Hidden), kernel.Of(l.xs, d.Rows, l.In).T(), d.matrix(), true)
	kernel.Gemm(kernel.Of(l.wh.G, l.Hidden, 4*l.Hidden), kernel.Of(l.hs, d.Rows, l.Hidden).T(), d.matrix(), true)
	addColumns(l.b.G, d)
	return l.dh, l.dc
}

// inputs is, after the way back, the gradient of the inputs of all steps.
func (l *LSTM[T]) inputs() Batch[T] {
	d := l.gatesOf(l.dgates, 0, l.steps)
	dx := growBatch(&l.dx, d.Rows, l.In)
	kernel.Gemm(dx.matrix(), d.matrix(), kernel.Of(l.wxT, 4*l.Hidden, l.In), false)
	return dx
}

func multiply[T Float](x, by []T) {
	for i := range x {
		x[i] *= by[i]
	}
}
