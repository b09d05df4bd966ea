package nn

import "foresail.dev/ml/nn/kernel"

// Dense is y = x·W + b, or y = x·W.
type Dense[T Float] struct {
	In, Out int
	First   bool      // no layer lies before it: Backward returns no gradient
	w, b    *Param[T] // b is nil without bias
	x       Batch[T]
	y, dx   []T
}

// NewDense makes a layer of in × out weights, drawn after Glorot, and zero biases.
func NewDense[T Float](name string, in, out int, r *Rand) *Dense[T] {
	d := &Dense[T]{In: in, Out: out, w: newParam[T](name+".w", in*out), b: newParam[T](name+".b", out)}
	glorot(d.w.W, in, out, r)
	return d
}

// NewDenseUnbiased makes a layer of in × out weights, drawn after Glorot, without biases, as before batch normalisation.
func NewDenseUnbiased[T Float](name string, in, out int, r *Rand) *Dense[T] {
	d := NewDense[T](name, in, out, r)
	d.b = nil
	return d
}

// Forward implements Layer.
func (d *Dense[T]) Forward(x Batch[T], train bool) Batch[T] {
	x.need(d.In, "Dense")
	d.x = x
	y := growBatch(&d.y, x.Rows, d.Out)
	if d.b != nil {
		for i := range y.Rows {
			copy(y.Row(i), d.b.W)
		}
	}
	kernel.Gemm(y.matrix(), x.matrix(), kernel.Of(d.w.W, d.In, d.Out), d.b != nil)
	return y
}

// Backward implements Layer.
func (d *Dense[T]) Backward(dy Batch[T]) Batch[T] { return d.BackwardFrom(d.x, dy) }

// BackwardFrom is Backward for inputs that were not the last: a layer that is used at each step of a sequence goes back
// through any of them.
func (d *Dense[T]) BackwardFrom(x, dy Batch[T]) Batch[T] {
	x.need(d.In, "Dense")
	dy.need(d.Out, "Dense")
	kernel.Gemm(kernel.Of(d.w.G, d.In, d.Out), x.matrix().T(), dy.matrix(), true)
	if d.b != nil {
		addColumns(d.b.G, dy)
	}
	if d.First {
		return Batch[T]{}
	}
	dx := growBatch(&d.dx, dy.Rows, d.In)
	kernel.Gemm(dx.matrix(), dy.matrix(), kernel.Of(d.w.W, d.In, d.Out).T(), false)
	return dx
}

// Params implements Layer.
func (d *Dense[T]) Params() []*Param[T] {
	if d.b == nil {
		return []*Param[T]{d.w}
	}
	return []*Param[T]{d.w, d.b}
}
