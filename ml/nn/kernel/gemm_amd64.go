//go:build !purego

package kernel

const (
	tileRows = 6
	tileCols = 16
	depth    = 256 // of a panel of B: 16 KB, half of a first-level cache
)

// tailMasks has eight ones, then eight zeros: the eight numbers from 8-n mask all but n lanes.
var tailMasks = [16]int32{-1, -1, -1, -1, -1, -1, -1, -1}

// gemmFast goes over B in panels of 16 columns and at most depth rows, and for each over A in tiles of up to 6 rows. A
// panel is copied, so that its rows lie side by side, when its columns are apart or when it is read often enough to pay.
func gemmFast(c, a, b Matrix[float32], add bool) {
	tiles := (c.Rows + tileRows - 1) / tileRows
	if b.ColStride != 1 && b.Cols > 1 || tiles >= 4 && a.Cols > 64 && b.Cols > tileCols {
		gemmPacked(c, a, b, add, tiles)
		return
	}
	for k := 0; k < a.Cols; k += depth {
		n := min(depth, a.Cols-k)
		j := 0
		if c.Rows == 1 {
			for ; j+64 <= c.Cols; j += 64 {
				tile1x64(n, &a.Data[k*a.ColStride], 0, 4*a.ColStride, &b.Data[k*b.RowStride+j], 4*b.RowStride, &c.Data[j], 0, flag(add || k > 0))
			}
		}
		for ; j < c.Cols; j += tileCols {
			panel(c, a, b.Data[k*b.RowStride+j:], b.RowStride, k, n, j, tiles, add || k > 0)
		}
	}
}

// gemmPacked is gemmFast with panels that are copied.
func gemmPacked(c, a, b Matrix[float32], add bool, tiles int) {
	var pack [depth * tileCols]float32
	for k := 0; k < a.Cols; k += depth {
		n := min(depth, a.Cols-k)
		for j := 0; j < c.Cols; j += tileCols {
			cols := min(tileCols, c.Cols-j)
			packPanel(&pack, b, k, n, j, cols)
			panel(c, a, pack[:], tileCols, k, n, j, tiles, add || k > 0)
		}
	}
}

func packPanel(pack *[depth * tileCols]float32, b Matrix[float32], k, n, j, cols int) {
	if b.ColStride == 1 {
		for p := range n {
			at := (k+p)*b.RowStride + j
			copy(pack[p*tileCols:p*tileCols+cols], b.Data[at:at+cols])
		}
		return
	}
	for q := range cols {
		at := k*b.RowStride + (j+q)*b.ColStride
		for p := range n {
			pack[p*tileCols+q] = b.Data[at]
			at += b.RowStride
		}
	}
}

// panel multiplies the columns from k of A, n of them, by a panel of B, into the columns from j of C. Tiles have as equal
// numbers of rows as can be: a tile of two rows costs nearly as much as one of six.
func panel(c, a Matrix[float32], b []float32, brs, k, n, j, tiles int, add bool) {
	cols := min(tileCols, c.Cols-j)
	m0, m1 := &tailMasks[8-min(cols, 8)], &tailMasks[8-max(cols-8, 0)]
	ars, acs, crs, more := 4*a.RowStride, 4*a.ColStride, 4*c.RowStride, flag(add)
	brs *= 4
	for t, i := 0, 0; t < tiles; t++ {
		next := (t + 1) * c.Rows / tiles
		pa, pb, pc := &a.Data[i*a.RowStride+k*a.ColStride], &b[0], &c.Data[i*c.RowStride+j]
		if cols == tileCols {
			switch next - i {
			case 1:
				tile1x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			case 2:
				tile2x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			case 3:
				tile3x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			case 4:
				tile4x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			case 5:
				tile5x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			case 6:
				tile6x16(n, pa, ars, acs, pb, brs, pc, crs, more)
			}
		} else {
			switch next - i {
			case 1:
				tile1x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			case 2:
				tile2x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			case 3:
				tile3x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			case 4:
				tile4x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			case 5:
				tile5x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			case 6:
				tile6x16masked(n, pa, ars, acs, pb, brs, pc, crs, more, m0, m1)
			}
		}
		i = next
	}
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
