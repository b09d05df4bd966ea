package nn

// Dropout sets numbers to zero with probability P, and scales the others so that the expectation stays (Srivastava et al.,
// JMLR 2014). It does so in training, and also outside of it with Always, to draw from what a network might have been (Gal
// and Ghahramani, ICML 2016).
type Dropout[T Float] struct {
	P      float64
	Always bool
	Rand   *Rand
	mask   []T
	y      []T
}

// Forward implements Layer.
func (d *Dropout[T]) Forward(x Batch[T], train bool) Batch[T] {
	y := growBatch(&d.y, x.Rows, x.Cols)
	mask := grow(&d.mask, len(x.Data))
	if !train && !d.Always {
		copy(y.Data, x.Data)
		return y
	}
	DropoutMask(mask, d.P, d.Rand)
	for i, v := range x.Data {
		y.Data[i] = v * mask[i]
	}
	return y
}

// Backward implements Layer.
func (d *Dropout[T]) Backward(dy Batch[T]) Batch[T] {
	for i := range dy.Data {
		dy.Data[i] *= d.mask[i]
	}
	return dy
}

// Params implements Layer.
func (d *Dropout[T]) Params() []*Param[T] { return nil }

// DropoutMask draws factors: 0 with probability p, else 1/(1-p).
func DropoutMask[T Float](mask []T, p float64, r *Rand) {
	keep := T(1 / (1 - p))
	for i := range mask {
		mask[i] = keep
		if r.Float64() < p {
			mask[i] = 0
		}
	}
}
