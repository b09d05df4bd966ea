package learner

import (
	"errors"
	"fmt"
	"math"
)

// Kind is what learns.
type Kind uint8

const (
	Ridge   Kind = iota // a line, its slopes pulled to 0
	Process             // a Gaussian process with one length scale for all inputs
	Scaled              // a Gaussian process with a length scale for each input
	Network             // the mean of a few small networks
	Trees               // boosted trees
	kinds
)

func (k Kind) String() string {
	if k >= kinds {
		return fmt.Sprintf("learner %d", uint8(k))
	}
	return [...]string{"ridge", "gp", "gp-scaled", "network", "trees"}[k]
}

// Data is a table of inputs and what is to be predicted from them.
type Data struct {
	X      []float64 // row by row, Inputs each; numbers
	Inputs int       // ≥ 0: without any, the target's middle is all there is to learn
	Y      []float64 // of each row; a positive metric, ≥ 0
}

// MaxInputs bounds what a model may look at.
const MaxInputs = 1 << 14

// Rows is how many rows d has.
func (d *Data) Rows() int { return len(d.Y) }

// Row is the inputs of row i.
func (d *Data) Row(i int) []float64 { return d.X[i*d.Inputs : (i+1)*d.Inputs] }

// Pick is the rows with the given numbers.
func (d *Data) Pick(rows []int) Data {
	out := Data{Inputs: d.Inputs, X: make([]float64, 0, len(rows)*d.Inputs), Y: make([]float64, 0, len(rows))}
	for _, i := range rows {
		out.X, out.Y = append(out.X, d.Row(i)...), append(out.Y, d.Y[i])
	}
	return out
}

// largest is the largest number that may be learned from, so that no square overflows.
const largest = 1e100

func (d *Data) check() error {
	switch {
	case len(d.Y) == 0:
		return errors.New("there are no rows to learn from")
	case d.Inputs < 0 || d.Inputs > MaxInputs || len(d.X) != len(d.Y)*d.Inputs:
		return fmt.Errorf("%d numbers don't make %d rows of %d inputs", len(d.X), len(d.Y), d.Inputs)
	}
	for i, v := range d.X {
		if !(math.Abs(v) <= largest) {
			return fmt.Errorf("input %d of row %d is %v, which is no number to learn from", i%d.Inputs, i/d.Inputs, v)
		}
	}
	most := 0.0
	for i, v := range d.Y {
		if !(v >= 0 && v <= largest) {
			return fmt.Errorf("the target of row %d is %v: it must be a metric of at least 0", i, v)
		}
		most = max(most, v)
	}
	if most == 0 {
		return errors.New("the target is 0 in every row: there is nothing to learn")
	}
	return nil
}

// Prediction is what a model expects of a positive metric: a log-normal distribution.
type Prediction struct {
	Value  float64 // its median, in the metric's unit; > 0
	Spread float64 // standard deviation of the logarithm: the truth lies within a factor of e^±Spread in two cases of three
}

// Quantile is where the truth lies below with the probability of a standard normal below z.
func (p Prediction) Quantile(z float64) float64 { return p.Value * math.Exp(z*p.Spread) }
