package nn

// Sequential is layers one after another.
type Sequential[T Float] []Layer[T]

// Forward implements Layer.
func (s Sequential[T]) Forward(x Batch[T], train bool) Batch[T] {
	for _, l := range s {
		x = l.Forward(x, train)
	}
	return x
}

// Backward implements Layer.
func (s Sequential[T]) Backward(dy Batch[T]) Batch[T] {
	for i := len(s) - 1; i >= 0; i-- {
		dy = s[i].Backward(dy)
	}
	return dy
}

// Params implements Layer.
func (s Sequential[T]) Params() []*Param[T] {
	var all []*Param[T]
	for _, l := range s {
		all = append(all, l.Params()...)
	}
	return all
}
