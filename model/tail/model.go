package tail

import (
	"errors"
	"fmt"
	"math"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/ml/gbt"
	"foresail.dev/ml/nn"
	"foresail.dev/model/tail/network"
)

// Model predicts the tail latency of one application. It is immutable, and may be used by many goroutines.
type Model struct {
	layout
	scale    scaling
	out      []affine // of squashed latencies, which the network has scaled
	shape    network.Config
	weights  []*nn.Param[float32]
	trees    *gbt.Model
	odds     calibrated
	margin   float64
	envelope envelope
	trained  ml.Training
}

// Prediction is what is expected of a candidate allocation.
type Prediction struct {
	Latency   [5]float64 // ms, of the next second, by Percentiles
	Violation float64    // calibrated probability that an objective is missed in the seconds t+2 to t+5
}

// ErrHistory is wrapped by what is reported of steps that nothing can be predicted from.
var ErrHistory = errors.New("the history can't be predicted from")

// Steps is how many seconds the model looks at.
func (m *Model) Steps() int { return Past }

// Schema is of the application that the model was trained for.
func (m *Model) Schema() Schema { return *m.schema }

// Label is what counts as a violation.
func (m *Model) Label() Label { return m.label }

// Channels are what the model looks at of each service.
func (m *Model) Channels() []Channel { return append([]Channel(nil), m.channels...) }

// Margin is by how much, in ms, p99 is wrong: the root of the mean squared error over rows that were kept from training
// (whole runs, where there were any) and whose p99 was, or was predicted to be, below the objective. A manager that wants to
// be safe keeps predictions that much below the objective, as the artefact does with 30 ms of 500, and 25 ms of 200.
func (m *Model) Margin() float64 { return m.margin }

// Fits reports why the model can't be used for an application: nil if it can.
func (m *Model) Fits(app *foresail.App) error {
	want := SchemaOf(app)
	if err := m.schema.Differs(&want); err != nil {
		return fmt.Errorf("the model can't be used here: %w; train one with foresail train sinan, or fine-tune", err)
	}
	return nil
}

// Predictor predicts with a model, with buffers for one goroutine.
type Predictor struct {
	m      *Model
	net    *network.Net[float32]
	values []float64
	past   []float32 // seconds × services × channels
	batch  *batch
	trunk  nn.Batch[float32]
	looked bool
	used   []float64 // by ServiceID, see usedOf
	cores  []float32
	row    []float64
}

// Predictor makes one. It shares the model's weights.
func (m *Model) Predictor() *Predictor {
	return &Predictor{m: m, net: m.net(), values: make([]float64, m.width()), past: make([]float32, Past*m.width()),
		batch: newBatch(&m.layout, 1), used: make([]float64, len(m.schema.Services)), row: make([]float64, m.trees.Features())}
}

// net is a network with the model's weights.
func (m *Model) net() *network.Net[float32] {
	n := network.New[float32](m.shape, nn.NewRand(0, 0))
	for i, p := range n.Params() {
		p.W = m.weights[i].W
	}
	return n
}

// Look takes the last Steps seconds, oldest first; earlier ones are ignored. What the history says is worked out once, for
// all candidates. What is missing (NaN) counts as its mean in training. On an error, which wraps ErrHistory, there is
// nothing to Try on.
func (p *Predictor) Look(steps []Step) error {
	p.looked = false
	if len(steps) < Past {
		return fmt.Errorf("%w: it has %d seconds and %d are needed: wait for more", ErrHistory, len(steps), Past)
	}
	steps = steps[len(steps)-Past:]
	w := p.m.width()
	for i := range steps {
		if err := p.m.layout.fits(&steps[i]); err != nil {
			return fmt.Errorf("%w: %w", ErrHistory, err)
		}
		p.m.layout.scale(&p.m.scale, &steps[i], p.values, p.past[i*w:(i+1)*w], p.batch.latency.Data[i*5:i*5+5])
	}
	for i := range p.used {
		p.used[i] = usedOf(steps, i)
	}
	window(p.batch.history.Row(0), p.past, len(p.m.schema.Services), len(p.m.channels))
	p.trunk = p.net.Trunk(p.batch.history, p.batch.latency, false)
	p.looked = true
	return nil
}

// Try predicts for candidates: total cores by ServiceID, which are thought to stay for all the seconds predicted. It panics
// without a Look that succeeded, on a candidate of another number of services, and when out is not as long as there are
// candidates: these are mistakes of a program. It allocates nothing once it has seen its largest number of candidates.
func (p *Predictor) Try(cores [][]float64, out []Prediction) {
	if !p.looked {
		panic("tail: Try without a Look that succeeded")
	}
	if len(cores) == 0 {
		return
	}
	n := len(p.m.schema.Services)
	if cap(p.cores) < len(cores)*n {
		p.cores = make([]float32, len(cores)*n)
	}
	x := nn.Batch[float32]{Rows: len(cores), Cols: n, Data: p.cores[:len(cores)*n]}
	for i, c := range cores {
		if len(c) != n {
			panic(fmt.Sprintf("tail: a candidate with cores for %d of %d services", len(c), n))
		}
		row := x.Row(i)
		for s, v := range c {
			row[s] = p.m.scale.Next[s].of(p.m.proposed.proposed(v, p.used[s]))
		}
	}
	y := p.net.Head(p.trunk, x, false)
	features := p.net.Features()
	for i, c := range cores {
		for k, v := range y.Row(i) {
			out[i].Latency[k] = max(p.m.squash.Back(float64(p.m.out[k].back(v))), 0)
		}
		at := widen(p.row, features.Row(i))
		for s, v := range c {
			v = seen(p.m.proposed.proposed(v, p.used[s]), p.m.scale.Next[s])
			for range Horizon - 1 {
				p.row[at] = v
				at++
			}
		}
		out[i].Violation = p.m.odds.probability(p.m.trees.Score(p.row))
	}
}

// back is of's way back.
func (a affine) back(y float32) float32 {
	if a.Per == 0 {
		return a.Mean
	}
	return y/a.Per + a.Mean
}

// widen copies numbers and returns how many.
func widen(dst []float64, src []float32) int {
	for i, v := range src {
		dst[i] = float64(v)
	}
	return len(src)
}

// finite32 reports whether all are numbers.
func finite32(x []float32) bool {
	for _, v := range x {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return false
		}
	}
	return true
}
