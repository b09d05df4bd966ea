package gp

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// Model is a Gaussian process given data. It is immutable; a Predictor predicts with it.
type Model struct {
	kernel    Kernel
	maxJitter float64
	params    Params
	data      standard
	like      *likelihood // evaluated at params
	logs      float64     // the log marginal likelihood of the standardised targets
	inverse   []float64   // 1 over the scaled length of each feature, and its scale
	variance  float64     // of the standardised target
}

// maxLog bounds the logarithms of parameters for data of variance 1, so that nothing overflows.
const maxLog = 200

func newModel(kernel Kernel, maxJitter float64, s standard, p Params) (*Model, error) {
	m := &Model{kernel: kernel, maxJitter: maxJitter, params: p, data: s}
	m.like = newLikelihood(kernel, true, s.x, s.features, s.y, maxJitter)
	theta := s.logs(p)
	for i, t := range theta {
		if t > maxLog || t < -maxLog && i <= s.features {
			return nil, fmt.Errorf("gp: parameters %+v are out of all proportion to the data, which deviate by %v and %v", p, s.scale, s.yScale)
		}
	}
	logs, err := m.like.value(theta)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(logs) || math.IsInf(logs, 0) {
		return nil, &SingularError{Rows: m.like.n, Jitter: m.like.jitter}
	}
	m.logs, m.variance = logs, math.Exp(theta[s.features])
	m.inverse = make([]float64, s.features)
	for f, l := range p.Lengths {
		m.inverse[f] = 1 / l
	}
	m.like.plain, m.like.slope, m.like.ones, m.like.sum = nil, nil, nil, nil
	return m, nil
}

// Features is how many features a row has.
func (m *Model) Features() int { return m.data.features }

// Rows is how many rows the model was made from.
func (m *Model) Rows() int { return m.like.n }

// Kernel is how covariance falls with distance.
func (m *Model) Kernel() Kernel { return m.kernel }

// Params are those that were found or given.
func (m *Model) Params() Params {
	p := m.params
	p.Lengths = slices.Clone(p.Lengths)
	return p
}

// Mean is the constant mean, which predictions return to far from all data.
func (m *Model) Mean() float64 { return m.like.mean*m.data.yScale + m.data.yShift }

// Jitter is what had to be added to the diagonal, as a share of the variance; 0 as a rule.
func (m *Model) Jitter() float64 { return m.like.jitter }

// LogLikelihood is the log marginal likelihood of the targets.
func (m *Model) LogLikelihood() float64 {
	return m.logs - float64(m.like.n)*math.Log(m.data.yScale)
}

// block is how many rows Predictor solves for at once.
const block = 32

// Predictor predicts with a model and holds the room that this needs, so that predicting allocates nothing. It must not
// be used by several goroutines at once.
type Predictor struct {
	m   *Model
	row []float64 // scaled
	k   []float64 // covariance of the model's rows with up to block others, one row for each of the model's
}

// NewPredictor makes room for predictions with m.
func NewPredictor(m *Model) *Predictor {
	return &Predictor{m: m, row: make([]float64, m.data.features), k: make([]float64, m.like.n*block)}
}

// Mean is the mean that the model predicts for a row, in a fraction of the time that the variance takes. It panics unless
// row has as many numbers as the model has features.
func (p *Predictor) Mean(row []float64) float64 {
	p.check(len(row))
	return p.covary(row, 0, 1)*p.m.data.yScale + p.m.data.yShift
}

// Predict is the mean and the variance of the function at a row; add Params().Noise for that of an observation there. It
// panics as Mean does.
func (p *Predictor) Predict(row []float64) (mean, variance float64) {
	p.check(len(row))
	mean = p.covary(row, 0, 1)
	k := p.k[:p.m.like.n]
	blas64.Trsv(blas.NoTrans, p.m.like.triangular(), blas64.Vector{N: len(k), Inc: 1, Data: k})
	explained := 0.0
	for _, v := range k {
		explained += v * v
	}
	return p.natural(mean, explained)
}

// PredictAll writes the mean and the variance at each row of x, one after the other, several at a time. It panics unless
// mean and variance have one number for each row.
func (p *Predictor) PredictAll(mean, variance, x []float64) {
	d, n := p.m.data.features, p.m.like.n
	if len(mean) != len(variance) || len(x) != len(mean)*d {
		panic(fmt.Sprintf("gp: %d numbers are not %d rows of %d features, for %d variances", len(x), len(mean), d, len(variance)))
	}
	for begin := 0; begin < len(mean); begin += block {
		width := min(block, len(mean)-begin)
		for i := range width {
			at := begin + i
			mean[at] = p.covary(x[at*d:(at+1)*d], i, width)
		}
		k := blas64.General{Rows: n, Cols: width, Stride: width, Data: p.k[:n*width]}
		blas64.Trsm(blas.Left, blas.NoTrans, 1, p.m.like.triangular(), k)
		explained := variance[begin : begin+width]
		clear(explained)
		for j := range n {
			for i, v := range k.Data[j*width : (j+1)*width] {
				explained[i] += v * v
			}
		}
		for i := range width {
			mean[begin+i], variance[begin+i] = p.natural(mean[begin+i], explained[i])
		}
	}
}

// covary writes the covariance of a row with each of the model's to p.k, from at on and stride apart, and returns the
// standardised mean there (eq. 2.25, and the constant mean).
func (p *Predictor) covary(row []float64, at, stride int) float64 {
	m := p.m
	for f, v := range row {
		p.row[f] = (v - m.data.shift[f]) * m.inverse[f]
	}
	mean, d := m.like.mean, len(p.row)
	for j, alpha := range m.like.alpha {
		v, _ := m.kernel.at(squared(p.row, m.like.scaled[j*d:j*d+d]))
		v *= m.variance
		mean += v * alpha
		p.k[at+j*stride] = v
	}
	return mean
}

// natural turns a standardised mean and what the data explain of the variance (eq. 2.26) into the units of the data.
func (p *Predictor) natural(mean, explained float64) (float64, float64) {
	s := &p.m.data
	return mean*s.yScale + s.yShift, max(p.m.variance-explained, 0) * s.yScale * s.yScale
}

func (p *Predictor) check(n int) {
	if n != p.m.data.features {
		panic(fmt.Sprintf("gp: a row of %d features for a model of %d", n, p.m.data.features))
	}
}
