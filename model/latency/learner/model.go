package learner

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev/ml/gbt"
	"foresail.dev/ml/gp"
)

var errWeights = errors.New("weights are not all numbers")

// Model is what was learned. It is immutable; a Predictor predicts with it.
type Model struct {
	candidate Candidate
	scales    scales
	r         regressor
	// stretch turns the standard deviation that the learner tells into one that held out-of-fold; for learners that tell
	// none, it is that of what they missed by.
	stretch float64
	rows    int
}

// Candidate is what was trained.
func (m *Model) Candidate() Candidate { return m.candidate }

// Inputs is how many inputs a row has.
func (m *Model) Inputs() int { return len(m.scales.in) }

// Rows is how many rows it was trained on.
func (m *Model) Rows() int { return m.rows }

// train trains a candidate, without knowing yet how far it misses.
func train(c Candidate, d *Data, seed uint64) (*Model, error) {
	m := &Model{candidate: c, scales: fitScales(d, c.LogInputs, c.LogTarget), stretch: 1, rows: d.Rows()}
	t := m.scales.table(d)
	var err error
	switch {
	case d.Inputs == 0: // the target's mean
		m.candidate = Candidate{Kind: Ridge, LogTarget: c.LogTarget, Penalty: 1}
		m.r, err = fitRidge(&t, 1)
	case c.Kind == Ridge:
		m.r, err = fitRidge(&t, c.Penalty)
	case c.Kind == Process || c.Kind == Scaled:
		m.r, err = fitProcess(&t, &c, seed)
	case c.Kind == Network:
		m.r, err = fitNetwork(&t, &c, seed)
	default:
		m.r, err = fitTrees(&t, &c, seed)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.Kind, err)
	}
	return m, nil
}

// decode reads what encode of a candidate's regressor wrote.
func decode(c *Candidate, inputs int, b []byte) (r regressor, err error) {
	got := inputs
	switch c.Kind {
	case Ridge:
		r, err = decodeLine(b, inputs)
	case Process, Scaled:
		m := &gp.Model{}
		if err = m.UnmarshalBinary(b); err == nil {
			r, got = &process{m}, m.Features()
		}
	case Network:
		r, err = decodeNetwork(b, inputs, c)
	default:
		m := &gbt.Model{}
		if err = m.UnmarshalBinary(b); err == nil {
			r, got = &trees{m}, m.Features()
		}
	}
	if err == nil && got != inputs {
		err = fmt.Errorf("it has %d inputs and should have %d", got, inputs)
	}
	return r, err
}

// Predictor predicts with a model, and allocates nothing. It must not be used by several goroutines at once.
type Predictor struct {
	m   *Model
	p   predictor
	row []float64
}

// NewPredictor makes room for predictions with m.
func NewPredictor(m *Model) *Predictor {
	return &Predictor{m, m.r.predictor(), make([]float64, m.Inputs())}
}

// Value is the median that is predicted for a row, in a fraction of the time that Predict takes. It panics unless the row
// has as many numbers as the model has inputs.
func (p *Predictor) Value(row []float64) float64 {
	p.apply(row)
	return p.m.scales.out.natural(p.p.mean(p.row), 0, p.m.scales.least).Value
}

// Predict is what is expected of a row. It panics as Value does.
func (p *Predictor) Predict(row []float64) Prediction {
	p.apply(row)
	mean, variance := p.p.predict(p.row)
	return p.m.scales.out.natural(mean, variance*p.m.stretch*p.m.stretch, p.m.scales.least)
}

func (p *Predictor) apply(row []float64) {
	if len(row) != len(p.row) {
		panic(fmt.Sprintf("learner: a row of %d inputs for a model of %d", len(row), len(p.row)))
	}
	p.m.scales.apply(p.row, row)
}

// calibrate sets the stretch by how many of the learner's standard deviations it missed by, out-of-fold: z standardised
// misses. The median holds against a few that were missed by far; 0.6745 is that of a standard normal.
func (m *Model) calibrate(z []float64) {
	if len(z) == 0 {
		return
	}
	abs := make([]float64, len(z))
	for i, v := range z {
		abs[i] = math.Abs(v)
	}
	slices.Sort(abs)
	m.stretch = min(max(abs[len(abs)/2]/0.6745, 1e-3), 1e3)
}
