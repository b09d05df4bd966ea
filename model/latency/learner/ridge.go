package learner

import (
	"encoding/binary"
	"errors"
	"math"

	"gonum.org/v1/gonum/mat"
)

// regressor is what was learned from a standardised table. It may be used by many goroutines.
type regressor interface {
	predictor() predictor
	encode() ([]byte, error)
}

// predictor predicts standardised targets and holds the room that this needs.
type predictor interface {
	mean(row []float64) float64
	// predict adds the variance of an observation; 1 from who knows none.
	predict(row []float64) (mean, variance float64)
}

// line is w·x + b. It is its own predictor.
type line struct {
	w []float64
	b float64
}

// fitRidge minimises Σ (y-w·x-b)²/n + penalty·|w|², in closed form: of the n×n or of the d×d matrix, whichever is smaller.
func fitRidge(d *Data, penalty float64) (*line, error) {
	n, p := d.Rows(), d.Inputs
	l := &line{w: make([]float64, p)}
	for _, y := range d.Y {
		l.b += y / float64(n)
	}
	if p == 0 {
		return l, nil
	}
	x, y := mat.NewDense(n, p, d.X), mat.NewVecDense(n, nil)
	for i := range n {
		y.SetVec(i, d.Y[i]-l.b)
	}
	var gram mat.SymDense
	var by mat.Matrix = x // the small side of which is what gram is of
	if n < p {
		gram.SymOuterK(1, x)
	} else {
		by = x.T()
		gram.SymOuterK(1, by)
	}
	k := gram.SymmetricDim()
	for i := range k {
		gram.SetSym(i, i, gram.At(i, i)+penalty*float64(n))
	}
	var factor mat.Cholesky
	if !factor.Factorize(&gram) {
		return nil, errors.New("ridge: the penalty is too small for inputs that repeat each other")
	}
	w := mat.NewVecDense(p, l.w)
	if n < p {
		var alpha mat.VecDense
		if err := factor.SolveVecTo(&alpha, y); err != nil && !badCondition(err) {
			return nil, err
		}
		w.MulVec(x.T(), &alpha)
	} else {
		var right mat.VecDense
		right.MulVec(by, y)
		if err := factor.SolveVecTo(w, &right); err != nil && !badCondition(err) {
			return nil, err
		}
	}
	return l, l.finite()
}

// badCondition is an answer that is there but not exact: validation tells what it is worth.
func badCondition(err error) bool {
	var c mat.Condition
	return errors.As(err, &c)
}

func (l *line) finite() error {
	for _, w := range append([]float64{l.b}, l.w...) {
		if !(math.Abs(w) <= largest) {
			return errors.New("ridge: a weight is no number")
		}
	}
	return nil
}

func (l *line) predictor() predictor { return l }

func (l *line) mean(row []float64) float64 {
	sum := l.b
	for f, w := range l.w {
		sum += w * row[f]
	}
	return sum
}

func (l *line) predict(row []float64) (float64, float64) { return l.mean(row), 1 }

func (l *line) encode() ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, math.Float64bits(l.b))
	for _, w := range l.w {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(w))
	}
	return b, nil
}

func decodeLine(b []byte, inputs int) (*line, error) {
	if len(b) != 8*(inputs+1) {
		return nil, errors.New("ridge: the weights are cut off or damaged")
	}
	at := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])) }
	l := &line{b: at(0), w: make([]float64, inputs)}
	for i := range l.w {
		l.w[i] = at(i + 1)
	}
	return l, l.finite()
}
