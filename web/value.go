package web

import (
	"math"
	"strconv"
	"time"
)

// value is an observed number; NaN is one that was not observed. With omitzero it is then absent from an object, and in
// a list it is null.
type value float64

var absent = value(math.NaN())

// observed is v where ok.
func observed(v float64, ok bool) value {
	if !ok {
		return absent
	}
	return value(v)
}

// IsZero makes omitzero leave out what was not observed, and keep a true 0.
func (v value) IsZero() bool { return math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) }

// MarshalJSON writes four significant digits, or all of a whole number below a billion: more than a person reads, and
// half the bytes.
func (v value) MarshalJSON() ([]byte, error) {
	f := float64(v)
	if v.IsZero() {
		return []byte("null"), nil
	}
	if f == math.Trunc(f) && math.Abs(f) < 1e9 {
		return strconv.AppendInt(nil, int64(f), 10), nil
	}
	f, _ = strconv.ParseFloat(strconv.FormatFloat(f, 'g', 4, 64), 64)
	format := byte('f')
	if a := math.Abs(f); a < 1e-6 || a >= 1e15 {
		format = 'g'
	}
	return strconv.AppendFloat(nil, f, format, -1, 64), nil
}

// millis is a duration in seconds as milliseconds.
func millis(seconds float64) value { return value(seconds * 1000) }

// unixMS is an instant in milliseconds since 1970.
func unixMS(t time.Time) int64 { return t.UnixMilli() }
