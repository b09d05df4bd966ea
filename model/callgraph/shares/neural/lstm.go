package neural

import (
	"encoding/json"
	"fmt"
	"math"

	"foresail.dev/ml/nn"
	"foresail.dev/model/callgraph/shares"
)

// The artefact's training, and what of it is not published: the windows that the network sees.
const (
	epochs    = 30
	batchSize = 100
	rate      = 1e-3
	window    = 10
	fewest    = 64 // examples to train on at all
)

// LSTM is the method.
var LSTM shares.Slow = lstm{}

type lstm struct{}

func (lstm) Name() string { return "lstm" }

// Train implements shares.Method. The series must have one number of call graphs. With fewer than 64 windows that follow another there is
// nothing to learn from: the model can then follow no series.
func (lstm) Train(pool []shares.Series, o shares.Options) (shares.Model, error) {
	m := &Model{}
	for _, s := range pool {
		if err := s.Check(); err != nil {
			return nil, err
		}
		switch {
		case m.classes == 0:
			m.classes = s.Classes()
		case s.Classes() != m.classes && s.Classes() > 0:
			return nil, fmt.Errorf("series %q has %d call graphs, those before it %d: the network is made for one number", s.Name, s.Classes(), m.classes)
		}
	}
	in := inputs(m.classes)
	var steps [][]float32 // inputs of each window
	var ends []int        // windows that are followed by another: the last inputs of an example,
	var starts []int      // and the first of its series
	for _, s := range pool {
		f := features{}
		from := len(steps)
		for t, row := range s.Rows {
			steps = append(steps, f.next(row))
			if t+1 < len(s.Rows) {
				ends, starts = append(ends, from+t), append(starts, from)
			}
		}
	}
	if len(ends) < fewest {
		return &Model{}, nil
	}
	r := nn.NewRand(o.Seed, 1)
	m.net = newNetwork[float32](window, m.classes, r)
	opt := &nn.Adam[float32]{Rate: rate}
	n := o.Epochs
	if n <= 0 {
		n = epochs
	}
	order := make([]int, len(ends))
	for i := range order {
		order[i] = i
	}
	x, target := make([]float32, window*batchSize*in), make([]float32, batchSize*m.classes)
	for epoch := range n {
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		for at := 0; at < len(order); at += batchSize {
			some := order[at:min(at+batchSize, len(order))]
			for b, i := range some {
				for t := range window {
					copy(x[(t*len(some)+b)*in:], steps[max(ends[i]-window+1+t, starts[i])])
				}
				copy(target[b*m.classes:(b+1)*m.classes], steps[ends[i]+1])
			}
			m.net.forward(nn.Batch[float32]{Rows: window * len(some), Cols: in, Data: x[:window*len(some)*in]}, len(some))
			if loss := m.net.backward(target[:len(some)*m.classes]); math.IsNaN(loss) {
				return nil, fmt.Errorf("the network of shares: the loss became no number in epoch %d", epoch+1)
			}
			opt.Step(m.net.params)
		}
	}
	return m, nil
}

// features makes the inputs of windows, one after another.
type features struct {
	last  []float64
	since int // windows since the last change
}

// next is the inputs of the next window: shares, their changes, and the time since they changed.
func (f *features) next(row []float64) []float32 {
	x := make([]float32, 0, inputs(len(row)))
	for _, v := range row {
		x = append(x, float32(v))
	}
	f.since++
	for i, v := range row {
		d := 0.0
		if f.last != nil {
			d = v - f.last[i]
		}
		if math.Abs(d) > 1e-3 {
			f.since = 0
		}
		x = append(x, float32(d))
	}
	f.last = append(f.last[:0], row...)
	return append(x, float32(math.Log1p(float64(f.since))/5))
}

// Model is a trained network.
type Model struct {
	classes int
	net     *network[float32] // nil: it was not trained
}

// Track implements shares.Model. Trackers of one model share its buffers: they are not to be used at once.
func (m *Model) Track(classes int) (shares.Tracker, bool) {
	if m.net == nil || classes != m.classes {
		return nil, false
	}
	return &tracker{m: m, ahead: map[int][]float64{}}, true
}

type file struct {
	Classes int    `json:"classes"`
	Weights []byte `json:"weights,omitempty"`
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (m *Model) MarshalBinary() ([]byte, error) {
	f := file{Classes: m.classes}
	if m.net != nil {
		var err error
		if f.Weights, err = nn.Save[float32](m.net.params, nil, nil); err != nil {
			return nil, err
		}
	}
	return json.Marshal(f)
}

// mostClasses is how many call graphs a network that is read may be made for.
const mostClasses = 1024

// Load implements shares.Slow.
func (lstm) Load(data []byte) (shares.Model, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("the network of shares: %w", err)
	}
	if f.Classes < 0 || f.Classes > mostClasses {
		return nil, fmt.Errorf("the network of shares is for %d call graphs; 0 to %d can be", f.Classes, mostClasses)
	}
	m := &Model{classes: f.Classes}
	if f.Weights != nil {
		m.net = newNetwork[float32](window, m.classes, nn.NewRand(0, 1))
		if err := nn.Restore[float32](f.Weights, m.net.params, nil, nil); err != nil {
			return nil, fmt.Errorf("the network of shares: %w", err)
		}
	}
	return m, nil
}

type tracker struct {
	m     *Model
	f     features
	steps [][]float32 // the last windows
	ahead map[int][]float64
}

// Observe implements shares.Tracker.
func (t *tracker) Observe(row []float64, _ float64) {
	t.steps = append(t.steps, t.f.next(row))
	if len(t.steps) > window {
		t.steps = append(t.steps[:0], t.steps[1:]...)
	}
	clear(t.ahead)
}

// Predict implements shares.Tracker. Further ahead, what was predicted is taken for what was observed.
func (t *tracker) Predict(ahead int, dst []float64) {
	if len(t.steps) == 0 {
		for i := range dst {
			dst[i] = 1 / float64(len(dst))
		}
		return
	}
	if known, ok := t.ahead[ahead]; ok {
		copy(dst, known)
		return
	}
	f := features{last: append([]float64(nil), t.f.last...), since: t.f.since}
	steps := append([][]float32(nil), t.steps...)
	in := inputs(t.m.classes)
	x := make([]float32, window*in)
	for h := 1; h <= ahead; h++ {
		for k := range window {
			copy(x[k*in:], steps[max(len(steps)-window+k, 0)])
		}
		sum := 0.0
		for i, v := range t.m.net.forward(nn.Batch[float32]{Rows: window, Cols: in, Data: x}, 1).Row(0) {
			dst[i] = float64(v)
			sum += dst[i]
		}
		for i := range dst {
			dst[i] /= sum
		}
		t.ahead[h] = append([]float64(nil), dst...)
		steps = append(steps, f.next(dst))
	}
}
