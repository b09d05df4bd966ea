package nn

// Sequence makes a Layer of an LSTM: an input row has Steps inputs one after another; an output row has the last h, or with
// Every the h of all steps one after another, for another LSTM to go on with.
type Sequence[T Float] struct {
	LSTM         *LSTM[T]
	Steps        int
	Every        bool
	First        bool // no layer lies before it: Backward returns no gradient
	x, dx, y, dh []T
}

// Forward implements Layer.
func (s *Sequence[T]) Forward(x Batch[T], train bool) Batch[T] {
	in := s.LSTM.In
	x.need(s.Steps*in, "Sequence")
	turned := growBatch(&s.x, x.Rows*s.Steps, in)
	s.turn(turned, x)
	s.LSTM.Begin(s.Steps, x.Rows, nil, nil, nil)
	h := s.LSTM.All(turned)
	if s.Every {
		y := growBatch(&s.y, x.Rows, s.Steps*h.Cols)
		s.turnBack(y, h)
		return y
	}
	return h.Rowset(h.Rows-x.Rows, h.Rows)
}

// turn puts all examples of a step together, and turnBack all steps of an example.
func (s *Sequence[T]) turn(steps, rows Batch[T]) {
	n := steps.Cols
	for i := range rows.Rows {
		row := rows.Row(i)
		for t := range s.Steps {
			copy(steps.Row(t*rows.Rows+i), row[t*n:(t+1)*n])
		}
	}
}

func (s *Sequence[T]) turnBack(rows, steps Batch[T]) {
	n := steps.Cols
	for i := range rows.Rows {
		row := rows.Row(i)
		for t := range s.Steps {
			copy(row[t*n:(t+1)*n], steps.Row(t*rows.Rows+i))
		}
	}
}

// Backward implements Layer.
func (s *Sequence[T]) Backward(dy Batch[T]) Batch[T] {
	s.LSTM.BackBegin(nil, nil)
	every := Batch[T]{}
	if s.Every {
		every = growBatch(&s.dh, dy.Rows*s.Steps, s.LSTM.Hidden)
		s.turn(every, dy)
	}
	for t := s.Steps - 1; t >= 0; t-- {
		dh := dy.Data
		switch {
		case s.Every:
			dh = every.Rowset(t*dy.Rows, (t+1)*dy.Rows).Data
		case t < s.Steps-1:
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
	s.turnBack(dx, turned)
	return dx
}

// Params implements Layer.
func (s *Sequence[T]) Params() []*Param[T] { return s.LSTM.Params() }
