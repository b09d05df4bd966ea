package gbt

import "math"

// sums are the scaled derivatives of some rows, added up.
type sums struct{ g, h int64 }

func (s sums) plus(t sums) sums  { return sums{s.g + t.g, s.h + t.h} }
func (s sums) minus(t sums) sums { return sums{s.g - t.g, s.h - t.h} }

const (
	// packedBits is how many bits a scaled derivative has, its sign among them, where both share a word, and packedRows
	// how many rows can be added up in such a word: 2¹⁷ · 2¹³ = 2³⁰ fits into half of it.
	packedBits = 18
	packedRows = 1 << 13
	// wideBits is how many it has otherwise, for fewer than 2³¹ rows.
	wideBits = 31
	// spread is how many times the mean of |g| its maximum may be for packedBits to do: then a mean one keeps 10 bits.
	spread = 128
)

// scaled holds the derivatives of each row as integers: times 2^gBits and 2^hBits, rounded.
type scaled struct {
	g, h         []int64 // of all rows, when wide
	packed       []int64 // g<<32 + h, otherwise
	wide         bool
	gUnit, hUnit float64 // what 1 stands for
}

// scale rounds the derivatives of rows.
func (s *scaled) scale(g, h []float64, rows []int32) {
	gMax, hMax, gSum, hSum := 0.0, 0.0, 0.0, 0.0
	for _, r := range rows {
		a := math.Abs(g[r])
		gMax, gSum = max(gMax, a), gSum+a
		hMax, hSum = max(hMax, h[r]), hSum+h[r]
	}
	n := float64(len(rows))
	s.wide = gMax*n > spread*gSum || hMax*n > spread*hSum
	bits := packedBits
	if s.wide {
		bits = wideBits
	}
	var gScale, hScale float64
	s.gUnit, gScale = unit(gMax, bits)
	s.hUnit, hScale = unit(hMax, bits)
	if s.wide {
		for _, r := range rows {
			s.g[r], s.h[r] = int64(math.RoundToEven(g[r]*gScale)), int64(math.RoundToEven(h[r]*hScale))
		}
		return
	}
	for _, r := range rows {
		s.packed[r] = int64(math.RoundToEven(g[r]*gScale))<<32 + int64(math.RoundToEven(h[r]*hScale))
	}
}

// unit is the power of two that makes numbers up to most integers of fewer than bits bits, and its inverse.
func unit(most float64, bits int) (unit, scale float64) {
	if most == 0 {
		return 1, 1
	}
	_, exp := math.Frexp(most)            // most < 2^exp
	exp = min(max(exp-bits+1, -480), 480) // its square is finite too
	return math.Ldexp(1, exp), math.Ldexp(1, -exp)
}

// of is the sum over rows.
func (s *scaled) of(rows []int32) (t sums) {
	for _, r := range rows {
		if s.wide {
			t = t.plus(sums{s.g[r], s.h[r]})
		} else {
			t = t.plus(unpack(s.packed[r]))
		}
	}
	return t
}

func unpack(v int64) sums { return sums{v >> 32, v & math.MaxUint32} }

// histogrammer adds up derivatives by bin.
type histogrammer struct {
	table   *table
	scaled  *scaled
	used    []bool // which words hold a feature that this tree may split
	ordered []int64
	packed  [perWord][256]int64
	wide    [perWord][256]sums
	free    [][]sums
}

// build adds up the derivatives of rows in each bin of each feature in use.
func (b *histogrammer) build(rows []int32) []sums {
	h := b.take()
	if !b.scaled.wide {
		b.order(rows)
	}
	for w, words := range b.table.words {
		if !b.used[w] {
			continue
		}
		first := w * perWord
		features := min(perWord, b.table.features-first)
		clear(h[b.table.offset[first]:b.table.offset[first+features]])
		if b.scaled.wide {
			clear(b.wide[:])
			addWide(&b.wide, words, rows, b.scaled.g, b.scaled.h)
			for k := range features {
				copy(h[b.table.offset[first+k]:b.table.offset[first+k+1]], b.wide[k][:])
			}
			continue
		}
		for begin := 0; begin < len(rows); begin += packedRows {
			end := min(begin+packedRows, len(rows))
			clear(b.packed[:])
			addPacked(&b.packed, words, rows[begin:end], b.ordered[begin:end])
			for k := range features {
				dst := h[b.table.offset[first+k]:b.table.offset[first+k+1]]
				for i := range dst {
					dst[i] = dst[i].plus(unpack(b.packed[k][uint8(i)]))
				}
			}
		}
	}
	return h
}

// subtract makes h, of a parent, that of the child whose sibling has less.
func (b *histogrammer) subtract(h, less []sums) {
	for w, used := range b.used {
		if !used {
			continue
		}
		begin, end := b.table.offset[w*perWord], b.table.offset[min((w+1)*perWord, b.table.features)]
		dst, src := h[begin:end], less[begin:end]
		for i := range dst {
			dst[i] = dst[i].minus(src[i])
		}
	}
}

// order puts the derivatives of rows next to each other.
func (b *histogrammer) order(rows []int32) {
	b.ordered = b.ordered[:len(rows)]
	for i, r := range rows {
		b.ordered[i] = b.scaled.packed[r]
	}
}

// take is room for a histogram, with anything in it.
func (b *histogrammer) take() []sums {
	if n := len(b.free); n > 0 {
		h := b.free[n-1]
		b.free = b.free[:n-1]
		return h
	}
	return make([]sums, b.table.offset[b.table.features])
}

func (b *histogrammer) give(h []sums) {
	if h != nil {
		b.free = append(b.free, h)
	}
}

// addPacked is where most of the time of training goes. One load brings the bins of eight features, and one addition to
// memory does for both derivatives.
func addPacked(h *[perWord][256]int64, words []uint64, rows []int32, gh []int64) {
	gh = gh[:len(rows)]
	for i, r := range rows {
		b, v := words[r], gh[i]
		h[0][uint8(b)] += v
		h[1][uint8(b>>8)] += v
		h[2][uint8(b>>16)] += v
		h[3][uint8(b>>24)] += v
		h[4][uint8(b>>32)] += v
		h[5][uint8(b>>40)] += v
		h[6][uint8(b>>48)] += v
		h[7][uint8(b>>56)] += v
	}
}

// addWide is addPacked for derivatives that share no word.
func addWide(h *[perWord][256]sums, words []uint64, rows []int32, g, hess []int64) {
	for _, r := range rows {
		b := words[r]
		v := sums{g[r], hess[r]}
		for k := range h {
			s := &h[k][uint8(b)]
			s.g += v.g
			s.h += v.h
			b >>= 8
		}
	}
}
