package nn

// Sequence makes a Layer of an LSTM: an input row has Steps inputs one after another; an output row has the last h.
type Sequence[T Float] struct {
	LSTM  *LSTM[T]
	Steps int
	First bool // no layer lies before it: Backward returns no gradient
	x, dx []T
}

// Forward implements Layer.
func (s *Sequence[T]) Forward(x Batch[T], train bool) Batch[T] {
	in := s.LSTM.In
	x.need(s.Steps*in, "Sequence")
	turned := growBatch(&s.x, x.Rows*s.Steps, in)
	for i := range x.Rows {
		row := x.Row(i)
		for t := range s.Steps {
			copy(turned.Row(t*x.Rows+i), row[t*in:(t+1)*in])
		}
	}
	s.LSTM.Begin(s.Steps, x.Rows, nil, nil, nil)
	h := s.LSTM.All(turned)
	return h.Rowset(h.Rows-x.Rows, h.Rows)
}

// Backward implements Layer.
func (s *Sequence[T]) Backward(dy Batch[T]) Batch[T] {
	s.LSTM.BackBegin(nil, nil)
	for t := s.Steps - 1; t >= 0; t-- {
		dh := dy.Data
		if t < s.Steps-1 {
			dh = nil
		}
		s.LSTM.BackStep(t, dh, false)
	}
	s.LSTM.BackEnd()
	if s.First {
		return Batch[T]{}
	}
	in := s.LSTM.In
	turned := s.LSTM.inputs()
	dx := growBatch(&s.dx, dy.Rows, s.Steps*in)
	for i := range dx.Rows {
		row := dx.Row(i)
		for t := range s.Steps {
			copy(row[t*in:(t+1)*in], turned.Row(t*dx.Rows+i))
		}
	}
	return dx
}

// Params implements Layer.
func (s *Sequence[T]) Params() []*Param[T] { return s.LSTM.Params() }
