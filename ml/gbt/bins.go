package gbt

import (
	"fmt"
	"math"
	"slices"
)

// perWord features share a word of bins, one byte each, so that one load serves them all.
const perWord = 8

// missingBin holds what is missing; values have the bins from 1 on.
const missingBin = 0

// table is a quantised table of features.
type table struct {
	rows, features int
	cuts           [][]float64 // per feature: a value is in bin 1 + how many cuts are ≤ it
	words          [][]uint64  // [feature/perWord][row]
	offset         []int       // of a feature's bins in a histogram; one more for the end
}

// quantise cuts each feature into at most bins bins.
func quantise(x []float64, features, bins int) (*table, error) {
	rows := len(x) / features
	t := &table{rows: rows, features: features, cuts: make([][]float64, features), offset: make([]int, features+1)}
	if rows > math.MaxInt32 {
		return nil, fmt.Errorf("gbt: %d rows, must be at most %d", rows, math.MaxInt32)
	}
	column := make([]float64, rows)
	keys, room := make([]uint64, rows), make([]uint64, rows)
	for first := 0; first < features; first += perWord {
		word := make([]uint64, rows)
		for f := first; f < min(first+perWord, features); f++ {
			for r := range column {
				v := x[r*features+f]
				if math.IsInf(v, 0) {
					return nil, fmt.Errorf("gbt: feature %d of row %d is %v: must be finite, or NaN where missing", f, r, v)
				}
				column[r] = v
			}
			t.cuts[f] = cut(sorted(column, keys, room), bins)
			assign(word, column, t.cuts[f], 8*(f-first))
			t.offset[f+1] = t.offset[f] + len(t.cuts[f]) + 2
		}
		t.words = append(t.words, word)
	}
	return t, nil
}

// bin is the bin of feature f in row r.
func (t *table) bin(f int, r int32) uint8 {
	return uint8(t.words[f/perWord][r] >> (8 * (f % perWord)))
}

// cut finds where to cut sorted values into bins of like size. With no more different values than bins each has its own.
func cut(values []float64, bins int) []float64 {
	distinct := 0
	for i, v := range values {
		if i == 0 || v != values[i-1] {
			distinct++
		}
	}
	var cuts []float64
	rest, begin, binsLeft := len(values), 0, bins // rest: values from begin on
	for i := 1; i < len(values) && binsLeft > 1; i++ {
		if values[i] == values[i-1] {
			continue
		}
		if size := i - begin; distinct <= bins || size*binsLeft >= rest {
			cuts = append(cuts, between(values[i-1], values[i]))
			rest, begin, binsLeft = rest-size, i, binsLeft-1
		}
	}
	return cuts
}

// between is a number above a and at most b, the one in the middle where numbers allow.
func between(a, b float64) float64 {
	if m := a/2 + b/2; m > a && m <= b {
		return m
	}
	return b
}

// assign writes the bins of a column into the byte of word that starts at shift. Its binary search takes the same eight
// steps for each value, so that no branch has to be guessed.
func assign(word []uint64, column, cuts []float64, shift int) {
	var padded [256]float64
	n := copy(padded[:], cuts)
	for i := n; i < len(padded); i++ {
		padded[i] = math.NaN() // never ≤ anything
	}
	for r, v := range column {
		if v != v {
			continue // missingBin
		}
		pos := uint(0)
		for step := uint(128); step > 0; step /= 2 {
			next := pos + step
			if padded[uint8(next-1)] <= v {
				pos = next
			}
		}
		word[r] |= uint64(pos+1) << shift
	}
}

// sorted returns the values that are not missing in ascending order, within keys. Room is as long.
func sorted(column []float64, keys, room []uint64) []float64 {
	n := 0
	for _, v := range column {
		if v == v {
			keys[n] = key(v + 0) // -0 and 0 are the same value
			n++
		}
	}
	keys = keys[:n]
	if n < 1024 {
		slices.Sort(keys)
	} else {
		keys = radix(keys, room[:n])
	}
	values := make([]float64, n)
	for i, k := range keys {
		values[i] = value(k)
	}
	return values
}

// key orders floating-point numbers as integers.
func key(v float64) uint64 {
	b := math.Float64bits(v)
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// value is the number that k is the key of.
func value(k uint64) float64 {
	return math.Float64frombits(k ^ (^uint64(int64(k)>>63) | 1<<63))
}

// radix sorts keys, eleven bits at a time from the lowest, and returns them in keys or in room. For a column of 50,000
// it takes a fifth of the time of slices.Sort.
func radix(keys, room []uint64) []uint64 {
	const digit, passes = 11, 6
	var counts [passes][1 << digit]int32
	for _, k := range keys {
		for p := range passes {
			counts[p][k>>(digit*p)&(1<<digit-1)]++
		}
	}
	for p := range passes {
		c := &counts[p]
		if c[keys[0]>>(digit*p)&(1<<digit-1)] == int32(len(keys)) {
			continue // all have the same digit
		}
		sum := int32(0)
		for i, n := range c {
			c[i] = sum
			sum += n
		}
		for _, k := range keys {
			d := k >> (digit * p) & (1<<digit - 1)
			room[c[d]] = k
			c[d]++
		}
		keys, room = room, keys
	}
	return keys
}
