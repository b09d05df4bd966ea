package neural

import (
	"math"

	"foresail.dev/ml/nn"
)

// features of one step: load, minute, hour, day of the week.
const features = 4

// leastSigma is the least deviation that a network can predict, in units of the training's.
const leastSigma = 1e-3

// shape says what a network is made of.
type shape struct {
	n, m     int // steps that it sees and predicts
	hidden   int
	gaussian bool // it predicts mean and deviation
	attends  bool // it has stochastic attention
	dropout  float64
}

// network is an encoder and a decoder. All sequences lie one step after another, each of all examples.
type network[T nn.Float] struct {
	shape
	r       *nn.Rand
	encoder *nn.LSTM[T]
	decoder *nn.LSTM[T]
	attend  *nn.Attention[T] // nil: none
	head    *nn.Dense[T]     // mean, and what softplus makes the deviation of
	params  []*nn.Param[T]
	mask    []T // of cells that stay, for encoder and decoder; nil: all
	in      []T // inputs of one decoder step
	mu      []T // predictions of all steps
	sigma   []T
	raw     []T // of which softplus makes sigma
	dmu     []T
	dsigma  []T
	dhead   []T
	batch   int
}

func newNetwork[T nn.Float](s shape, r *nn.Rand) *network[T] {
	outs, in := 1, 1
	if s.gaussian {
		outs, in = 2, 2
	}
	if s.attends {
		in += s.hidden
	}
	w := &network[T]{shape: s, r: r,
		encoder: nn.NewLSTM[T]("encoder", features, s.hidden, r),
		decoder: nn.NewLSTM[T]("decoder", in, s.hidden, r),
		head:    nn.NewDense[T]("head", s.hidden, outs, r)}
	w.params = append(append(w.encoder.Params(), w.decoder.Params()...), w.head.Params()...)
	if s.attends {
		w.attend = nn.NewAttention[T]("attention", s.n, s.hidden, s.hidden, true, r)
		w.params = append(w.params, w.attend.Params()...)
	}
	return w
}

// forward predicts m steps after the windows x, n·batch rows. The results, m·batch numbers each, are valid until the next
// call; sigma is empty without a deviation. With train, scores are drawn; cells are dropped whenever there is a dropout.
func (w *network[T]) forward(x nn.Batch[T], batch, m int, train bool) (mu, sigma []T) {
	w.batch = batch
	var mask []T
	if w.dropout > 0 {
		n := batch * w.hidden
		mask = grow(&w.mask, 2*n)
		nn.DropoutMask(mask, w.dropout, w.r)
		mask = mask[n:]
		w.encoder.Begin(w.n, batch, nil, nil, w.mask[:n])
	} else {
		w.encoder.Begin(w.n, batch, nil, nil, nil)
	}
	states := w.encoder.All(x)
	h, c := w.encoder.State(w.n - 1)
	w.decoder.Begin(m, batch, h.Data, c.Data, mask)
	if w.attend != nil {
		w.attend.Begin(m, batch, states, train)
	}
	grow(&w.mu, m*batch)
	if w.gaussian {
		grow(&w.sigma, m*batch)
		grow(&w.raw, m*batch)
	}
	for t := range m {
		w.step(t, x)
	}
	return w.mu, w.sigma
}

// step predicts step t of all examples from what was predicted for the one before (eq. 4).
func (w *network[T]) step(t int, x nn.Batch[T]) {
	batch, width := w.batch, w.decoder.In
	var context nn.Batch[T]
	if w.attend != nil {
		query, _ := w.decoder.State(t - 1)
		context = w.attend.Step(t, query)
	}
	in := nn.Batch[T]{Rows: batch, Cols: width, Data: grow(&w.in, batch*width)}
	for b := range batch {
		row := in.Row(b)
		if t == 0 { // the last load, which is known
			row[0] = x.Row((w.n-1)*batch + b)[0]
		} else {
			row[0] = w.mu[(t-1)*batch+b]
		}
		row = row[1:]
		if w.gaussian {
			row[0] = 0
			if t > 0 {
				row[0] = w.sigma[(t-1)*batch+b]
			}
			row = row[1:]
		}
		if w.attend != nil {
			copy(row, context.Row(b))
		}
	}
	y := w.head.Forward(w.decoder.Step(t, in), true)
	for b := range batch {
		w.mu[t*batch+b] = y.Row(b)[0]
		if w.gaussian {
			v := y.Row(b)[1]
			w.raw[t*batch+b] = v
			w.sigma[t*batch+b] = softplus(v) + leastSigma
		}
	}
}

// backward adds the gradients of all weights, given those of the predictions of the last forward, which it uses up.
func (w *network[T]) backward(dmu, dsigma []T) {
	m, batch, hidden, outs := len(dmu)/w.batch, w.batch, w.hidden, w.head.Out
	w.decoder.BackBegin(nil, nil)
	if w.attend != nil {
		w.attend.BackBegin()
	}
	var query []T // the gradient that attention leaves at the state before
	for t := m - 1; t >= 0; t-- {
		dy := nn.Batch[T]{Rows: batch, Cols: outs, Data: grow(&w.dhead, batch*outs)}
		for b := range batch {
			at := t*batch + b
			dy.Row(b)[0] = dmu[at]
			if w.gaussian {
				dy.Row(b)[1] = dsigma[at] * sigmoid(w.raw[at])
			}
		}
		h, _ := w.decoder.State(t)
		dh := w.head.BackwardFrom(h, dy)
		for i, v := range query {
			dh.Data[i] += v
		}
		dx := w.decoder.BackStep(t, dh.Data, true)
		for b := range batch {
			row := dx.Row(b)
			if t > 0 {
				dmu[(t-1)*batch+b] += row[0]
			}
			row = row[1:]
			if w.gaussian {
				if t > 0 {
					dsigma[(t-1)*batch+b] += row[0]
				}
				row = row[1:]
			}
			if w.attend != nil {
				copy(grow(&w.in, batch*w.decoder.In)[b*hidden:(b+1)*hidden], row)
			}
		}
		if w.attend != nil {
			query = w.attend.BackStep(t, w.in[:batch*hidden]).Data
		}
	}
	dh, dc := w.decoder.BackEnd()
	for i, v := range query {
		dh[i] += v
	}
	var states nn.Batch[T]
	if w.attend != nil {
		states = w.attend.BackEnd()
	}
	w.encoder.BackBegin(dh, dc)
	for t := w.n - 1; t >= 0; t-- {
		var d []T
		if w.attend != nil {
			d = states.Rowset(t*batch, (t+1)*batch).Data
		}
		w.encoder.BackStep(t, d, false)
	}
	w.encoder.BackEnd()
}

// loss is that of the last forward, with its gradient in dmu and dsigma: eq. 1's likelihood with a deviation, else the mean
// square.
func (w *network[T]) loss(target []T) float64 {
	dmu := grow(&w.dmu, len(target))
	if !w.gaussian {
		return nn.MSE(w.mu, target, dmu)
	}
	return nn.Gaussian(w.mu, w.sigma, target, dmu, grow(&w.dsigma, len(target)))
}

func grow[T nn.Float](buffer *[]T, n int) []T {
	if cap(*buffer) < n {
		*buffer = make([]T, n)
	}
	*buffer = (*buffer)[:n]
	return *buffer
}

func softplus[T nn.Float](x T) T {
	v := float64(x)
	return T(max(v, 0) + math.Log1p(math.Exp(-math.Abs(v))))
}

func sigmoid[T nn.Float](x T) T { return T(1 / (1 + math.Exp(-float64(x)))) }
