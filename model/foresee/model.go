package foresee

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/ml/calibrate"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// Model foresees violations of one application. It is immutable, and may be used by many goroutines.
type Model struct {
	schema    Schema
	beat      time.Duration
	horizon   time.Duration
	signal    Signal
	order     []foresail.ServiceID // what the network sees first, second, …
	scale     []affine
	shape     network.Config
	weights   []*nn.Param[float32]
	odds      *calibrate.Steps // of an episode in the horizon, by score
	threshold float64          // of scores, from which on there is an alarm
	trained   ml.Training
}

// Schema is of the application that the model was trained for.
func (m *Model) Schema() Schema { return m.schema }

// Beats is how many beats the model looks at.
func (m *Model) Beats() int { return m.shape.Beats }

// Beat is how long each must be.
func (m *Model) Beat() time.Duration { return m.beat }

// Horizon is how far ahead it looks.
func (m *Model) Horizon() time.Duration { return m.horizon }

// Network is which network it is.
func (m *Model) Network() network.Kind { return m.shape.Kind }

// Signal is what it sees.
func (m *Model) Signal() Signal { return m.signal }

// Threshold is the score from which on there is an alarm.
func (m *Model) Threshold() float64 { return m.threshold }

// Needs are the signals that a cluster must give.
func (m *Model) Needs() foresail.Signals { return m.signal.needs() }

// Fits reports why the model can't be used for an application: nil if it can.
func (m *Model) Fits(app *foresail.App) error {
	want := SchemaOf(app)
	if err := m.schema.Differs(&want); err != nil {
		return fmt.Errorf("the model can't be used here: %w; train one with foresail train seer", err)
	}
	return nil
}

// width is how many numbers the network sees of a beat.
func (m *Model) width() int { return m.shape.Services * m.shape.Channels }

// window fills out with what the network sees at the end of a beat of a run.
func (m *Model) window(r *Run, beat int, out []float32) {
	w := m.width()
	for k := range m.shape.Beats {
		look(r.At(beat-m.shape.Beats+1+k), m.order, m.signal.columns(), m.scale, out[k*w:(k+1)*w])
	}
}

// net is a network with the model's weights.
func (m *Model) net() nn.Sequential[float32] {
	n := network.New[float32](m.shape, nn.NewRand(0, 0))
	for i, p := range n.Params() {
		p.W, p.G = m.weights[i].W, nil
	}
	return n
}

// verdict is the log odds of any violation, and whose it would be, of a row of the network's scores.
func (m *Model) verdict(y []float32) Judgement {
	n := m.shape.Services
	top := 0
	for i, v := range y[:n] {
		if v > y[top] {
			top = i
		}
	}
	return Judgement{logSum(y[:n]) - float64(y[n]), m.order[top]}
}

// Judge implements Detector.
func (m *Model) Judge(r *Run, out []Judgement) { m.judge(r, out, func(int) bool { return true }) }

// judge judges those beats that are wanted; a network takes its time.
func (m *Model) judge(r *Run, out []Judgement, wanted func(beat int) bool) {
	const rows = 64
	net, w := m.net(), m.width()
	seen := make([]float32, len(out)*w)
	for t := range out {
		look(r.At(t), m.order, m.signal.columns(), m.scale, seen[t*w:(t+1)*w])
		out[t] = Judgement{Score: math.NaN()}
	}
	x := nn.Batch[float32]{Cols: m.shape.Inputs(), Data: make([]float32, rows*m.shape.Inputs())}
	beats := make([]int, 0, rows)
	say := func() {
		for i, t := range beats {
			copy(x.Row(i), seen[(t-m.shape.Beats+1)*w:(t+1)*w])
		}
		y := net.Forward(x.Rowset(0, len(beats)), false)
		for i, t := range beats {
			out[t] = m.verdict(y.Row(i))
		}
		beats = beats[:0]
	}
	x.Rows = rows
	for t := m.shape.Beats - 1; t < len(out); t++ {
		if wanted(t) {
			beats = append(beats, t)
		}
		if len(beats) == rows || t == len(out)-1 && len(beats) > 0 {
			say()
		}
	}
}
