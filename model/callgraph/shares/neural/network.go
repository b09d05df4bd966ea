package neural

import (
	"math"

	"foresail.dev/ml/nn"
)

// cells of each layer.
const cells = 64

// network is the network; sequences lie one step after another, each of all examples.
type network[T nn.Float] struct {
	steps, classes int
	first, second  *nn.LSTM[T]
	query, head    *nn.Dense[T]
	params         []*nn.Param[T]

	batch   int
	states  nn.Batch[T] // of the second layer, of all steps
	q       nn.Batch[T]
	alpha   []T // steps × batch
	context []T // batch × cells
	shares  nn.Batch[T]
	dstates []T
	dq      []T
	dshares []T
}

func inputs(classes int) int { return 2*classes + 1 }

func newNetwork[T nn.Float](steps, classes int, r *nn.Rand) *network[T] {
	n := &network[T]{steps: steps, classes: classes,
		first:  nn.NewLSTM[T]("first", inputs(classes), cells, r),
		second: nn.NewLSTM[T]("second", cells, cells, r),
		query:  nn.NewDense[T]("query", cells, cells, r),
		head:   nn.NewDense[T]("head", cells, classes, r)}
	for _, p := range [][]*nn.Param[T]{n.first.Params(), n.second.Params(), n.query.Params(), n.head.Params()} {
		n.params = append(n.params, p...)
	}
	return n
}

// forward predicts the shares of each example, batch × classes; they are valid until the next call.
func (n *network[T]) forward(x nn.Batch[T], batch int) nn.Batch[T] {
	n.batch = batch
	n.first.Begin(n.steps, batch, nil, nil, nil)
	n.second.Begin(n.steps, batch, nil, nil, nil)
	n.states = n.second.All(n.first.All(x))
	n.q = n.query.Forward(n.states.Rowset((n.steps-1)*batch, n.steps*batch), true)
	alpha, context := grow(&n.alpha, n.steps*batch), grow(&n.context, batch*cells)
	clear(context)
	for b := range batch {
		q, top := n.q.Row(b), math.Inf(-1)
		for t := range n.steps {
			e := dot(n.states.Row(t*batch+b), q)
			alpha[t*batch+b] = e
			top = max(top, float64(e))
		}
		sum := 0.0
		for t := range n.steps {
			v := math.Exp(float64(alpha[t*batch+b]) - top)
			alpha[t*batch+b] = T(v)
			sum += v
		}
		for t := range n.steps {
			alpha[t*batch+b] = T(float64(alpha[t*batch+b]) / sum)
			axpy(alpha[t*batch+b], n.states.Row(t*batch+b), context[b*cells:(b+1)*cells])
		}
	}
	n.shares = n.head.Forward(nn.Batch[T]{Rows: batch, Cols: cells, Data: context}, true)
	for b := range batch {
		softmax(n.shares.Row(b))
	}
	return n.shares
}

// backward adds the gradients of all weights, of the mean square error of the last forward, and returns that error.
func (n *network[T]) backward(target []T) float64 {
	batch := n.batch
	dy := grow(&n.dshares, batch*n.classes)
	loss := nn.MSE(n.shares.Data, target, dy)
	for b := range batch {
		p, d := n.shares.Row(b), dy[b*n.classes:(b+1)*n.classes]
		all := dot(p, d)
		for i := range d {
			d[i] = p[i] * (d[i] - all)
		}
	}
	context := nn.Batch[T]{Rows: batch, Cols: cells, Data: n.context}
	dcon := n.head.BackwardFrom(context, nn.Batch[T]{Rows: batch, Cols: n.classes, Data: dy})
	dstates, dq := grow(&n.dstates, n.steps*batch*cells), grow(&n.dq, batch*cells)
	clear(dstates)
	clear(dq)
	for b := range batch {
		dc, q := dcon.Row(b), n.q.Row(b)
		var all T
		for t := range n.steps {
			all += n.alpha[t*batch+b] * dot(dc, n.states.Row(t*batch+b))
		}
		for t := range n.steps {
			i := t*batch + b
			h, dh := n.states.Row(i), dstates[i*cells:(i+1)*cells]
			de := n.alpha[i] * (dot(dc, h) - all)
			axpy(n.alpha[i], dc, dh)
			axpy(de, q, dh)
			axpy(de, h, dq[b*cells:(b+1)*cells])
		}
	}
	last := n.states.Rowset((n.steps-1)*batch, n.steps*batch)
	axpy(1, n.query.BackwardFrom(last, nn.Batch[T]{Rows: batch, Cols: cells, Data: dq}).Data, dstates[(n.steps-1)*batch*cells:])
	n.second.BackBegin(nil, nil)
	n.first.BackBegin(nil, nil)
	for t := n.steps - 1; t >= 0; t-- {
		dx := n.second.BackStep(t, dstates[t*batch*cells:(t+1)*batch*cells], true)
		n.first.BackStep(t, dx.Data, false)
	}
	n.second.BackEnd()
	n.first.BackEnd()
	return loss
}

func dot[T nn.Float](a, b []T) (sum T) {
	b = b[:len(a)]
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// axpy adds k·x to y.
func axpy[T nn.Float](k T, x, y []T) {
	y = y[:len(x)]
	for i, v := range x {
		y[i] += k * v
	}
}

func softmax[T nn.Float](x []T) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	sum := 0.0
	for i, v := range x {
		e := math.Exp(float64(v - top))
		x[i] = T(e)
		sum += e
	}
	for i := range x {
		x[i] = T(float64(x[i]) / sum)
	}
}

func grow[T any](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	*buffer = (*buffer)[:n]
	return *buffer
}
