package kernel

// The functions here work on matrices of contiguous rows. Assembly does the columns up to the last multiple of 8, and plain
// Go, which takes the first column as from, the rest.

// RowDot sets out[r] to the product of row r of x and row r of y, which are rows × cols.
func RowDot[T Float](rows, cols int, x, y, out []T) {
	same(rows*cols, len(x), len(y))
	same(rows, len(out))
	from := 0
	if d, ok := narrow(out); ok && rows > 0 && cols >= 8 {
		dx, _ := narrow(x)
		dy, _ := narrow(y)
		from = cols &^ 7
		rowDotFast(rows, from, cols, &dx[0], &dy[0], &d[0])
	} else {
		clear(out)
	}
	if from < cols {
		rowDotPlain(from, cols, x, y, out)
	}
}

func rowDotPlain[T Float](from, cols int, x, y, out []T) {
	for r := range out {
		a, b := x[r*cols:(r+1)*cols], y[r*cols:(r+1)*cols]
		var sum T
		for c := from; c < cols; c++ {
			sum += a[c] * b[c]
		}
		out[r] += sum
	}
}

// RowAxpy adds alpha[r] times row r of x to row r of y, which are rows × cols.
func RowAxpy[T Float](rows, cols int, alpha, x, y []T) {
	same(rows*cols, len(x), len(y))
	same(rows, len(alpha))
	from := 0
	if a, ok := narrow(alpha); ok && rows > 0 && cols >= 8 {
		dx, _ := narrow(x)
		dy, _ := narrow(y)
		from = cols &^ 7
		rowAxpyFast(rows, from, cols, &a[0], &dx[0], &dy[0])
	}
	if from == cols {
		return
	}
	for r, k := range alpha {
		a, b := x[r*cols:(r+1)*cols], y[r*cols:(r+1)*cols]
		for c := from; c < cols; c++ {
			b[c] += k * a[c]
		}
	}
}
