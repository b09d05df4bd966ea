package nn

import "foresail.dev/ml/nn/kernel"

// ConvShape says what a convolution sees and does. An input row is an image of H × W pixels of C channels.
type ConvShape struct {
	H, W, C                  int
	Filters                  int
	KernelH, KernelW         int
	StrideH, StrideW         int // 0: 1
	Top, Bottom, Left, Right int // zeros around the image: none are "valid" padding
}

// Same is the shape with as many zeros around the image that the result has ceil(H/StrideH) × ceil(W/StrideW) pixels. An odd
// number of zeros has the odd one at the bottom, or right.
func (s ConvShape) Same() ConvShape {
	s = s.strided()
	pad := func(size, kernel, stride int) (int, int) {
		all := max(((size+stride-1)/stride-1)*stride+kernel-size, 0)
		return all / 2, all - all/2
	}
	s.Top, s.Bottom = pad(s.H, s.KernelH, s.StrideH)
	s.Left, s.Right = pad(s.W, s.KernelW, s.StrideW)
	return s
}

func (s ConvShape) strided() ConvShape {
	s.StrideH, s.StrideW = max(s.StrideH, 1), max(s.StrideW, 1)
	return s
}

// Out is the height and width of the result.
func (s ConvShape) Out() (h, w int) {
	s = s.strided()
	return (s.H+s.Top+s.Bottom-s.KernelH)/s.StrideH + 1, (s.W+s.Left+s.Right-s.KernelW)/s.StrideW + 1
}

// Conv2D slides filters over images. An output row has as many channels for each pixel as there are filters.
type Conv2D[T Float] struct {
	First       bool // no layer lies before it: Backward returns no gradient
	shape       ConvShape
	outH, outW  int
	w, b        *Param[T] // b is nil without bias
	x           Batch[T]
	cols, y, dx []T // cols has the pixels under the filters, one row for each pixel of the result, of some images at a time
}

// colsAtOnce bounds cols, so that it stays in a processor's cache: many small products are faster than one whose operands
// come from memory.
const colsAtOnce = 1 << 16

// NewConv2D makes a convolution with weights drawn after Glorot. A bias before batch normalisation is without effect.
func NewConv2D[T Float](name string, s ConvShape, bias bool, r *Rand) *Conv2D[T] {
	s = s.strided()
	c := &Conv2D[T]{shape: s}
	c.outH, c.outW = s.Out()
	if c.outH < 1 || c.outW < 1 {
		panic("nn: a convolution's kernel is larger than its image")
	}
	area := s.KernelH * s.KernelW
	c.w = newParam[T](name+".w", area*s.C*s.Filters)
	glorot(c.w.W, area*s.C, area*s.Filters, r)
	if bias {
		c.b = newParam[T](name+".b", s.Filters)
	}
	return c
}

// Shape says what the convolution sees and does.
func (c *Conv2D[T]) Shape() ConvShape { return c.shape }

// Forward implements Layer.
func (c *Conv2D[T]) Forward(x Batch[T], train bool) Batch[T] {
	s := c.shape
	x.need(s.H*s.W*s.C, "Conv2D")
	c.x = x
	y := growBatch(&c.y, x.Rows*c.outH*c.outW, s.Filters)
	if c.b != nil {
		for i := range y.Rows {
			copy(y.Row(i), c.b.W)
		}
	}
	c.parts(y, func(x, y Batch[T]) {
		cols := c.gather(x)
		kernel.Gemm(y.matrix(), cols.matrix(), kernel.Of(c.w.W, cols.Cols, s.Filters), c.b != nil)
	})
	return Batch[T]{x.Rows, c.outH * c.outW * s.Filters, y.Data}
}

// Backward implements Layer.
func (c *Conv2D[T]) Backward(dy Batch[T]) Batch[T] {
	s := c.shape
	dy.need(c.outH*c.outW*s.Filters, "Conv2D")
	d := Batch[T]{dy.Rows * c.outH * c.outW, s.Filters, dy.Data}
	width := s.KernelH * s.KernelW * s.C
	if c.b != nil {
		addColumns(c.b.G, d)
	}
	dx := Batch[T]{}
	if !c.First {
		dx = growBatch(&c.dx, dy.Rows, s.H*s.W*s.C)
		clear(dx.Data)
	}
	from := 0
	c.parts(d, func(x, d Batch[T]) {
		cols := c.gather(x)
		kernel.Gemm(kernel.Of(c.w.G, width, s.Filters), cols.matrix().T(), d.matrix(), true)
		if !c.First {
			kernel.Gemm(cols.matrix(), d.matrix(), kernel.Of(c.w.W, width, s.Filters).T(), false)
			c.scatter(cols, dx.Rowset(from, from+x.Rows))
			from += x.Rows
		}
	})
	return dx
}

// parts calls do for some images at a time, with their rows of y, one for each pixel.
func (c *Conv2D[T]) parts(y Batch[T], do func(x, y Batch[T])) {
	pixels := c.outH * c.outW
	n := max(1, colsAtOnce/(pixels*c.shape.KernelH*c.shape.KernelW*c.shape.C))
	for from := 0; from < c.x.Rows; from += n {
		to := min(from+n, c.x.Rows)
		do(c.x.Rowset(from, to), y.Rowset(from*pixels, to*pixels))
	}
}

// Params implements Layer.
func (c *Conv2D[T]) Params() []*Param[T] {
	if c.b == nil {
		return []*Param[T]{c.w}
	}
	return []*Param[T]{c.w, c.b}
}

// gather copies what lies under the filters at each pixel of the result into one row.
func (c *Conv2D[T]) gather(x Batch[T]) Batch[T] {
	s := c.shape
	cols := growBatch(&c.cols, x.Rows*c.outH*c.outW, s.KernelH*s.KernelW*s.C)
	c.visit(x.Rows, func(row, at, image, from, n int) {
		out := cols.Row(row)[at : at+s.KernelW*s.C]
		if n < len(out) {
			clear(out)
		}
		if n > 0 {
			copy(out[from:], x.Data[image:image+n])
		}
	})
	return cols
}

// scatter is gather's way back: it adds up, in dx, what each pixel of the image contributed to.
func (c *Conv2D[T]) scatter(cols, dx Batch[T]) {
	c.visit(dx.Rows, func(row, at, image, from, n int) {
		if n > 0 {
			in := cols.Row(row)[at+from : at+from+n]
			for i, v := range dx.Data[image : image+n] {
				dx.Data[image+i] = v + in[i]
			}
		}
	})
}

// visit calls f for every row of a filter's window at every pixel of the result of so many images: row and at say where in cols it begins;
// of it n numbers, from the given one on, lie in the image, where they begin at image.
func (c *Conv2D[T]) visit(images int, f func(row, at, image, from, n int)) {
	s := c.shape
	row := 0
	for b := range images {
		for oh := range c.outH {
			for ow := range c.outW {
				w := ow*s.StrideW - s.Left
				left, right := max(w, 0), min(w+s.KernelW, s.W)
				for kh := range s.KernelH {
					h, n := oh*s.StrideH-s.Top+kh, (right-left)*s.C
					if h < 0 || h >= s.H {
						n = 0
					}
					f(row, kh*s.KernelW*s.C, ((b*s.H+h)*s.W+left)*s.C, (left-w)*s.C, n)
				}
				row++
			}
		}
	}
}

// MeanPool is the mean over all pixels, for each channel.
type MeanPool[T Float] struct {
	Pixels, Channels int
	y, dx            []T
}

// Forward implements Layer.
func (p *MeanPool[T]) Forward(x Batch[T], train bool) Batch[T] {
	x.need(p.Pixels*p.Channels, "MeanPool")
	y := growBatch(&p.y, x.Rows, p.Channels)
	clear(y.Data)
	for i := range x.Rows {
		for j := range p.Pixels {
			kernel.Axpy(1/T(p.Pixels), x.Row(i)[j*p.Channels:(j+1)*p.Channels], y.Row(i))
		}
	}
	return y
}

// Backward implements Layer.
func (p *MeanPool[T]) Backward(dy Batch[T]) Batch[T] {
	dx := growBatch(&p.dx, dy.Rows, p.Pixels*p.Channels)
	clear(dx.Data)
	for i := range dx.Rows {
		for j := range p.Pixels {
			kernel.Axpy(1/T(p.Pixels), dy.Row(i), dx.Row(i)[j*p.Channels:(j+1)*p.Channels])
		}
	}
	return dx
}

// Params implements Layer.
func (p *MeanPool[T]) Params() []*Param[T] { return nil }
