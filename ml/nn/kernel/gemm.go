package kernel

// Gemm computes C = A·B, or C += A·B when add is true. A and B may have any strides, so that a transpose costs no copy; the
// columns of C lie side by side. C overlaps neither A nor B.
func Gemm[T Float](c, a, b Matrix[T], add bool) {
	if a.Rows != c.Rows || b.Cols != c.Cols || a.Cols != b.Rows {
		panic("kernel: shapes of a product don't fit")
	}
	if c.ColStride != 1 && c.Cols > 1 {
		panic("kernel: columns of a product's result are apart")
	}
	a.check()
	b.check()
	c.check()
	if c.Rows == 0 || c.Cols == 0 {
		return
	}
	if _, ok := narrow(c.Data); ok && a.Cols > 0 {
		gemmFast(any(c).(Matrix[float32]), any(a).(Matrix[float32]), any(b).(Matrix[float32]), add)
		return
	}
	gemmPlain(c, a, b, add)
}

func gemmPlain[T Float](c, a, b Matrix[T], add bool) {
	for i := range c.Rows {
		row := c.Data[i*c.RowStride : i*c.RowStride+c.Cols]
		if !add {
			clear(row)
		}
		if b.ColStride == 1 {
			for k := range a.Cols {
				x := a.Data[i*a.RowStride+k*a.ColStride]
				for j, y := range b.Data[k*b.RowStride : k*b.RowStride+b.Cols] {
					row[j] += x * y
				}
			}
			continue
		}
		for j := range row {
			var sum T
			for k := range a.Cols {
				sum += a.Data[i*a.RowStride+k*a.ColStride] * b.Data[k*b.RowStride+j*b.ColStride]
			}
			row[j] += sum
		}
	}
}
