package network

import "foresail.dev/ml/nn"

// lanes takes images of h × w × c apart into sequences: each column of an image becomes a row of h × c, one after another. So
// what follows is shared by all services.
type lanes[T nn.Float] struct {
	h, w, c int
	y, dx   []T
}

// Forward implements nn.Layer.
func (l *lanes[T]) Forward(x nn.Batch[T], _ bool) nn.Batch[T] {
	y := sized(&l.y, x.Rows*l.w, l.h*l.c)
	l.each(x, y, func(image, lane []T) { copy(lane, image) })
	return y
}

// Backward implements nn.Layer.
func (l *lanes[T]) Backward(dy nn.Batch[T]) nn.Batch[T] {
	dx := sized(&l.dx, dy.Rows/l.w, l.h*l.w*l.c)
	l.each(dx, dy, func(image, lane []T) { copy(image, lane) })
	return dx
}

func (l *lanes[T]) each(images, lanes nn.Batch[T], f func(image, lane []T)) {
	for i := range images.Rows {
		row := images.Row(i)
		for s := range l.w {
			lane := lanes.Row(i*l.w + s)
			for t := range l.h {
				f(row[(t*l.w+s)*l.c:(t*l.w+s+1)*l.c], lane[t*l.c:(t+1)*l.c])
			}
		}
	}
}

// Params implements nn.Layer.
func (l *lanes[T]) Params() []*nn.Param[T] { return nil }

// residual adds to its input what layers make of it.
type residual[T nn.Float] struct {
	layers nn.Sequential[T]
	y, dx  []T
}

// Forward implements nn.Layer.
func (l *residual[T]) Forward(x nn.Batch[T], train bool) nn.Batch[T] {
	f := l.layers.Forward(x, train)
	y := sized(&l.y, x.Rows, x.Cols)
	for i, v := range x.Data {
		y.Data[i] = v + f.Data[i]
	}
	return y
}

// Backward implements nn.Layer.
func (l *residual[T]) Backward(dy nn.Batch[T]) nn.Batch[T] {
	dx := sized(&l.dx, dy.Rows, dy.Cols)
	copy(dx.Data, dy.Data) // layers may use it up
	for i, v := range l.layers.Backward(dy).Data {
		dx.Data[i] += v
	}
	return dx
}

// Params implements nn.Layer.
func (l *residual[T]) Params() []*nn.Param[T] { return l.layers.Params() }

// head makes the scores of classes from what is known of each lane: a dense pair that all lanes share sees the lane's own
// numbers beside the mean and the largest of all lanes, and another sees all lanes at once and knows which is which. The scores
// are the sum of both.
type head[T nn.Float] struct {
	w, c, per, classes int // lanes, their numbers, services each, classes
	shared, whole      nn.Sequential[T]
	x, y, dx, dl       []T
	largest            []int
}

func newHead[T nn.Float](w, c, per, classes int, drop float64, r *nn.Rand) *head[T] {
	h := &head[T]{w: w, c: c, per: per, classes: classes}
	h.shared = nn.Sequential[T]{nn.NewDense[T]("shared1", 3*c, sharedHidden, r), &nn.Activation[T]{Func: nn.ReLU}, nn.NewDense[T]("shared2", sharedHidden, per, r)}
	last := nn.NewDense[T]("whole2", wholeHidden, classes, r)
	clear(last.Params()[0].W) // it begins with what is shared
	h.whole = nn.Sequential[T]{&nn.Dropout[T]{P: drop, Rand: r}, nn.NewDense[T]("whole1", w*c, wholeHidden, r), &nn.Activation[T]{Func: nn.ReLU}, last}
	return h
}

// Forward implements nn.Layer.
func (h *head[T]) Forward(lanes nn.Batch[T], train bool) nn.Batch[T] {
	n, c := lanes.Rows/h.w, h.c
	x := sized(&h.x, lanes.Rows, 3*c)
	if cap(h.largest) < n*c {
		h.largest = make([]int, n*c)
	}
	h.largest = h.largest[:n*c]
	for i := range n {
		first := x.Row(i * h.w)
		mean, most := first[c:2*c], first[2*c:]
		at := h.largest[i*c : (i+1)*c]
		for s := range h.w {
			lane := lanes.Row(i*h.w + s)
			for k, v := range lane {
				if s == 0 {
					mean[k], most[k], at[k] = 0, v, 0
				}
				mean[k] += v / T(h.w)
				if v > most[k] {
					most[k], at[k] = v, s
				}
			}
		}
		for s := range h.w {
			row := x.Row(i*h.w + s)
			copy(row, lanes.Row(i*h.w+s))
			copy(row[c:], first[c:])
		}
	}
	each := h.shared.Forward(x, train)
	all := h.whole.Forward(nn.Batch[T]{Rows: n, Cols: h.w * c, Data: lanes.Data}, train)
	y := sized(&h.y, n, h.classes)
	for i := range n {
		row := y.Row(i)
		copy(row, all.Row(i))
		for k := range row[:h.classes-1] { // "none" is what the others are told from
			row[k] += each.Data[i*h.w*h.per+k]
		}
	}
	return y
}

// Backward implements nn.Layer.
func (h *head[T]) Backward(dy nn.Batch[T]) nn.Batch[T] {
	n, c := dy.Rows, h.c
	each := sized(&h.dl, n*h.w, h.per)
	clear(each.Data)
	for i := range n {
		copy(each.Data[i*h.w*h.per:], dy.Row(i)[:h.classes-1])
	}
	dx := sized(&h.dx, n*h.w, c)
	copy(dx.Data, h.whole.Backward(dy).Data)
	own := h.shared.Backward(each)
	for i := range n {
		for k := range c {
			mean, most := T(0), T(0)
			for s := range h.w {
				row := own.Row(i*h.w + s)
				mean, most = mean+row[c+k], most+row[2*c+k]
			}
			for s := range h.w {
				dx.Row(i*h.w + s)[k] += own.Row(i*h.w + s)[k] + mean/T(h.w)
			}
			dx.Row(i*h.w + h.largest[i*c+k])[k] += most
		}
	}
	return dx
}

// Params implements nn.Layer.
func (h *head[T]) Params() []*nn.Param[T] { return append(h.shared.Params(), h.whole.Params()...) }

// sized is a batch in a buffer that is kept. What is in it is arbitrary.
func sized[T nn.Float](buffer *[]T, rows, cols int) nn.Batch[T] {
	if cap(*buffer) < rows*cols {
		*buffer = make([]T, rows*cols)
	}
	*buffer = (*buffer)[:rows*cols]
	return nn.Batch[T]{Rows: rows, Cols: cols, Data: *buffer}
}
