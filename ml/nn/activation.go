package nn

import (
	"math"

	"foresail.dev/ml/nn/kernel"
)

// Function is what an Activation applies to each number.
type Function int

// The functions of an Activation.
const (
	ReLU     Function = iota // max(x, 0)
	Sigmoid                  // 1/(1+e^-x)
	Tanh                     // tanh x
	Softplus                 // ln(1+e^x), a smooth way to positive numbers
)

// Activation applies a function to each number.
type Activation[T Float] struct {
	Func     Function
	x        Batch[T]
	y, slope []T
}

// Forward implements Layer.
func (a *Activation[T]) Forward(x Batch[T], train bool) Batch[T] {
	a.x = x
	y := growBatch(&a.y, x.Rows, x.Cols)
	switch a.Func {
	case ReLU:
		for i, v := range x.Data {
			y.Data[i] = max(v, 0)
		}
	case Sigmoid:
		kernel.Sigmoid(y.Data, x.Data)
	case Tanh:
		kernel.Tanh(y.Data, x.Data)
	case Softplus:
		for i, v := range x.Data {
			y.Data[i] = T(max(float64(v), 0) + math.Log1p(math.Exp(-math.Abs(float64(v)))))
		}
	default:
		panic("nn: no such activation")
	}
	return y
}

// Backward implements Layer.
func (a *Activation[T]) Backward(dy Batch[T]) Batch[T] {
	d := dy.Data
	switch a.Func {
	case ReLU:
		for i, v := range a.x.Data {
			if v <= 0 {
				d[i] = 0
			}
		}
	case Sigmoid:
		for i, s := range a.y {
			d[i] *= s * (1 - s)
		}
	case Tanh:
		for i, t := range a.y {
			d[i] *= 1 - t*t
		}
	case Softplus:
		s := grow(&a.slope, len(d))
		kernel.Sigmoid(s, a.x.Data)
		for i := range d {
			d[i] *= s[i]
		}
	}
	return dy
}

// Params implements Layer.
func (a *Activation[T]) Params() []*Param[T] { return nil }

// Softmax makes of each row probabilities that add up to one. To train with CrossEntropy it is left out: that has it in it.
type Softmax[T Float] struct{ y []T }

// Forward implements Layer.
func (s *Softmax[T]) Forward(x Batch[T], train bool) Batch[T] {
	y := growBatch(&s.y, x.Rows, x.Cols)
	softmax(y, x)
	return y
}

// Backward implements Layer.
func (s *Softmax[T]) Backward(dy Batch[T]) Batch[T] {
	y := Batch[T]{dy.Rows, dy.Cols, s.y}
	for i := range dy.Rows {
		p, d := y.Row(i), dy.Row(i)
		mean := kernel.Dot(p, d)
		for j := range d {
			d[j] = p[j] * (d[j] - mean)
		}
	}
	return dy
}

// Params implements Layer.
func (s *Softmax[T]) Params() []*Param[T] { return nil }

func softmax[T Float](y, x Batch[T]) {
	for i := range x.Rows {
		in, out := x.Row(i), y.Row(i)
		most := in[0]
		for _, v := range in {
			most = max(most, v)
		}
		for j, v := range in {
			out[j] = v - most
		}
	}
	kernel.Exp(y.Data, y.Data)
	for i := range y.Rows {
		out := y.Row(i)
		var sum T
		for _, v := range out {
			sum += v
		}
		for j := range out {
			out[j] /= sum
		}
	}
}
