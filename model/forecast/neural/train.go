package neural

import (
	"errors"
	"fmt"
	"math"

	"foresail.dev/ml/nn"
	"foresail.dev/model/forecast"
)

// Steps of training where Options.Steps is not set. The paper says only that accuracy grows up to 3,000 (Fig. 11b).
const (
	FullSteps = 3000 // from scratch
	WarmSteps = 600  // from weights that were trained before
	PoolSteps = 6000 // of Pool
)

// How networks are trained, of which the paper says nothing.
const (
	cells     = 32
	batchSize = 32
	clipNorm  = 1
	fullRate  = 4e-3 // of Adam, at first
	warmRate  = 1.5e-3
)

// Method is one of the neural methods. It implements forecast.Method.
type Method struct{ kind kind }

type kind struct {
	name     string
	gaussian bool
	attends  bool
	dropout  float64
	bayes    bool
}

var kinds = []kind{
	{name: "seq2seq"},
	{name: "bnn", bayes: true},
	{name: "dubnn", gaussian: true, dropout: 0.1},
	{name: "madu", gaussian: true, attends: true},
}

// The methods, as the package comment tells them.
var (
	Seq2Seq = Method{kinds[0]}
	BNN     = Method{kinds[1]}
	DUBNN   = Method{kinds[2]}
	Madu    = Method{kinds[3]}
)

// Name implements forecast.Method.
func (m Method) Name() string { return m.kind.name }

// Train implements forecast.Method. Options.Steps is 3,000 where it is not set, or 600 from weights that are warm.
func (m Method) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	ready, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	warm, err := m.warm(ready)
	if err != nil {
		return nil, err
	}
	return m.train([]forecast.Series{history}, ready, warm)
}

// Pool trains one network on many series. It forecasts as any does, after the first of them, but is made to be warm for
// Train on each (Options.Warm). Options.Steps is 6,000 where it is not set. Series that are too short are left out.
func (m Method) Pool(series []forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	if len(series) == 0 {
		return nil, errors.New("a pool of no series: give at least one")
	}
	var err error
	for i, s := range series {
		if o, err = forecast.Ready(s, o); err != nil {
			return nil, fmt.Errorf("series %d of the pool: %w", i, err)
		}
	}
	if o.Steps == 0 {
		o.Steps = PoolSteps
	}
	warm, err := m.warm(o)
	if err != nil {
		return nil, err
	}
	return m.train(series, o, warm)
}

// warm is the model that options start from; nil: none.
func (m Method) warm(o forecast.Options) (*Model, error) {
	if o.Warm == nil {
		return nil, nil
	}
	warm, ok := o.Warm.(*Model)
	if !ok || warm.kind.name != m.kind.name {
		return nil, fmt.Errorf("%s can't start from a %T: give what %s trained", m.Name(), o.Warm, m.Name())
	}
	if warm.n != o.N {
		return nil, fmt.Errorf("%s can't start from a model that sees %d steps to make one that sees %d: train from scratch", m.Name(), warm.n, o.N)
	}
	return warm, nil
}

// fewestWindows is how many windows a network needs to be trained at all.
const fewestWindows = 64

// Lacking says why there is too little in a history for a network to be trained from scratch; empty: there is enough.
func Lacking(history forecast.Series, o forecast.Options) string {
	o = o.Defaults()
	if windows := len(starts(history, o.N, o.M)); windows < fewestWindows {
		return lacking(history.Observed(), windows, o)
	}
	return ""
}

func lacking(observed, windows int, o forecast.Options) string {
	if want := o.N + o.M + fewestWindows - 1; observed < want {
		return forecast.TooShort(observed, want)
	}
	return fmt.Sprintf("gaps leave %d windows of %d steps with %d observed steps after them, too few to learn from; %d would do", windows, o.N, o.M, fewestWindows)
}

func (m Method) train(series []forecast.Series, o forecast.Options, warm *Model) (*Model, error) {
	steps := o.Steps
	model := &Model{kind: m.kind, n: o.N, m: o.M, levels: o.Levels, seed: o.Seed, past: tail(series[0], o.N), scaling: scalingOf(series[0].Filled(), o.N)}
	var from []prepared
	windows := 0
	for _, s := range series {
		if p := prepare(s, o.N, o.M); len(p.starts) > 0 {
			from = append(from, p)
			windows += len(p.starts)
		}
	}
	rate := fullRate
	if warm != nil {
		rate = warmRate
	}
	switch {
	case windows < fewestWindows && (warm == nil || !warm.trained()):
		model.lacking = lacking(series[0].Observed(), windows, o)
		return model, nil
	case windows < fewestWindows: // too few to go on with: the weights stay as they are
		model.take(warm)
		return model, nil
	case steps == 0 && warm != nil:
		steps = WarmSteps
	case steps == 0:
		steps = FullSteps
	}
	t := newTrainer(m.kind, o, warm)
	if err := t.run(from, windows, steps, rate); err != nil {
		return nil, fmt.Errorf("%s: %w", m.Name(), err)
	}
	model.residuals = t.residuals(from)
	model.keep(t.params)
	return model, nil
}

// trainer is a network and what it learns with.
type trainer struct {
	kind   kind
	o      forecast.Options
	r      *nn.Rand
	net    *network[float32]
	post   *posterior // nil: weights are numbers
	noise  noise
	params []*nn.Param[float32] // that are learnt
	batch  *examples
}

func newTrainer(k kind, o forecast.Options, warm *Model) *trainer {
	t := &trainer{kind: k, o: o, r: nn.NewRand(o.Seed, 1), batch: newExamples(o.N, o.M, batchSize)}
	t.net, t.post, t.noise, t.params = build(k, o.N, o.M, t.r)
	if warm != nil {
		warm.copyTo(t.params)
	}
	return t
}

// build makes a network of a kind, and lists what it learns.
func build(k kind, n, m int, r *nn.Rand) (*network[float32], *posterior, noise, []*nn.Param[float32]) {
	net := newNetwork[float32](shape{n: n, m: m, hidden: cells, gaussian: k.gaussian, attends: k.attends, dropout: k.dropout}, r)
	if !k.bayes {
		return net, nil, noise{}, net.params
	}
	post, noise := newPosterior(net.params), newNoise()
	return net, post, noise, append(post.params(), noise.p)
}

// run takes steps of training, with a rate that falls to nothing along half a cosine.
func (t *trainer) run(from []prepared, windows, steps int, rate float64) error {
	opt := &nn.Adam[float32]{}
	for i := range steps {
		opt.Rate = rate * (1 + math.Cos(math.Pi*float64(i)/float64(steps))) / 2
		if i < 20 { // Adam's first steps have the full rate whatever the gradient
			opt.Rate *= float64(i+1) / 20
		}
		if loss := t.step(from, windows, opt); math.IsNaN(loss) || math.IsInf(loss, 0) {
			return fmt.Errorf("the loss became %v at step %d of %d: is a load of the history absurdly large?", loss, i, steps)
		}
	}
	return nil
}

func (t *trainer) step(from []prepared, windows int, opt *nn.Adam[float32]) float64 {
	t.batch.draw(from, t.r)
	if t.post != nil {
		t.post.draw(t.r)
	}
	mu, _ := t.net.forward(t.batch.x, batchSize, t.o.M, true)
	var loss float64
	if t.post != nil {
		dmu := grow(&t.net.dmu, len(mu))
		loss = t.noise.loss(mu, t.batch.target, dmu)
		t.net.backward(dmu, nil)
		t.post.collect(windows * t.o.M)
	} else {
		loss = t.net.loss(t.batch.target)
		t.net.backward(t.net.dmu, t.net.dsigma)
	}
	nn.Clip(t.params, clipNorm)
	opt.Step(t.params)
	return loss
}

// residuals is, for each step ahead, the root mean square of what the network is off by in training, in its own units: the
// scale of a network that predicts none. For others it is nil.
func (t *trainer) residuals(from []prepared) []float64 {
	if t.kind.gaussian || t.kind.bayes {
		return nil
	}
	const batches = 16
	out := make([]float64, t.o.M)
	for range batches {
		t.batch.draw(from, t.r)
		mu, _ := t.net.forward(t.batch.x, batchSize, t.o.M, false)
		for i, v := range mu {
			d := float64(v - t.batch.target[i])
			out[i/batchSize] += d * d / (batches * batchSize)
		}
	}
	for k, v := range out {
		out[k] = math.Sqrt(v)
	}
	return out
}
