package kernel

// Matrix is a view of numbers: element (i, j) is Data[i*RowStride+j*ColStride].
type Matrix[T Float] struct {
	Data                 []T
	Rows, Cols           int
	RowStride, ColStride int
}

// Of views data, row after row, as rows × cols.
func Of[T Float](data []T, rows, cols int) Matrix[T] {
	return Matrix[T]{Data: data[:rows*cols], Rows: rows, Cols: cols, RowStride: cols, ColStride: 1}
}

// T is the transpose, of the same numbers.
func (m Matrix[T]) T() Matrix[T] {
	return Matrix[T]{m.Data, m.Cols, m.Rows, m.ColStride, m.RowStride}
}

// Columns is the part of a matrix with columns from ≤ j < to.
func (m Matrix[T]) Columns(from, to int) Matrix[T] {
	if from < 0 || from > to || to > m.Cols {
		panic("kernel: no such columns")
	}
	return Matrix[T]{m.Data[min(from*m.ColStride, len(m.Data)):], m.Rows, to - from, m.RowStride, m.ColStride}
}

// check panics when an element would lie outside of Data: assembly knows no bounds.
func (m Matrix[T]) check() {
	if m.Rows < 0 || m.Cols < 0 || m.RowStride < 0 || m.ColStride < 0 {
		panic("kernel: matrix of negative size")
	}
	if m.Rows > 0 && m.Cols > 0 && (m.Rows-1)*m.RowStride+(m.Cols-1)*m.ColStride >= len(m.Data) {
		panic("kernel: matrix larger than its data")
	}
}

// Transpose writes the transpose of src, row after row, to dst.
func Transpose[T Float](dst []T, src Matrix[T]) {
	src.check()
	same(len(dst), src.Rows*src.Cols)
	for j := range src.Cols {
		out := dst[j*src.Rows : (j+1)*src.Rows]
		for i := range out {
			out[i] = src.Data[i*src.RowStride+j*src.ColStride]
		}
	}
}
