package gp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// A model in bytes, everything little-endian: its data and parameters, of which the rest is worked out anew.
//
//	magic "fgpr", version uint16, kernel uint8, 0 uint8
//	features uint32, rows uint32, max jitter float64, variance float64, noise float64
//	length scale, shift and scale of each feature, float64
//	shift and scale of the target, float64
//	standardised features row by row, and standardised targets, float64
const (
	magic      = "fgpr"
	version    = 1
	headerSize = 40
)

// MarshalBinary writes the model in the format that UnmarshalBinary reads. It never fails.
func (m *Model) MarshalBinary() ([]byte, error) {
	le := binary.LittleEndian
	s := &m.data
	b := make([]byte, 0, size(uint64(s.features), uint64(m.like.n)))
	b = append(b, magic...)
	b = le.AppendUint16(b, version)
	b = append(b, byte(m.kernel), 0)
	b = le.AppendUint32(b, uint32(s.features))
	b = le.AppendUint32(b, uint32(m.like.n))
	for _, all := range [][]float64{{m.maxJitter, m.params.Variance, m.params.Noise}, m.params.Lengths, s.shift, s.scale, {s.yShift, s.yScale}, s.x, s.y} {
		for _, v := range all {
			b = le.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b, nil
}

// size is how many bytes a model has.
func size(features, rows uint64) uint64 { return headerSize + 8*(3*features+2+(features+1)*rows) }

// UnmarshalBinary reads what MarshalBinary wrote, and factors the kernel matrix. The model is unchanged if an error is
// returned, which says what is wrong.
func (m *Model) UnmarshalBinary(data []byte) error {
	le := binary.LittleEndian
	if len(data) < headerSize || string(data[:4]) != magic {
		return errors.New("gp: not a model of a Gaussian process")
	}
	if v := le.Uint16(data[4:]); v != version {
		return fmt.Errorf("gp: model has version %d, this program reads %d", v, version)
	}
	kernel := Kernel(data[6])
	if kernel >= kernels || data[7] != 0 {
		return fmt.Errorf("gp: model has unknown %s", kernel)
	}
	features, rows := le.Uint32(data[8:]), le.Uint32(data[12:])
	if features == 0 || rows == 0 || rows > MaxRows {
		return fmt.Errorf("gp: model has %d rows of %d features", rows, features)
	}
	if want := size(uint64(features), uint64(rows)); uint64(len(data)) != want {
		return fmt.Errorf("gp: model has %d bytes, %d rows of %d features need %d: it is cut off or damaged", len(data), rows, features, want)
	}
	b := data[16:]
	take := func(n int) []float64 {
		v := make([]float64, n)
		for i := range v {
			v[i] = math.Float64frombits(le.Uint64(b[8*i:]))
		}
		b = b[8*n:]
		return v
	}
	d, n := int(features), int(rows)
	head, lengths := take(3), take(d)
	s := standard{features: d, shift: take(d), scale: take(d)}
	y := take(2)
	s.yShift, s.yScale, s.x, s.y = y[0], y[1], take(n*d), take(n)
	p := Params{Lengths: lengths, Variance: head[1], Noise: head[2]}
	if err := errors.Join(p.validate(d), standardised(s.x), standardised(s.y), validate(s.shift, d, y[:1]), positive(s.scale), positive(y[1:])); err != nil {
		return fmt.Errorf("gp: model is damaged: %w", err)
	}
	if !(head[0] >= 0 && head[0] <= 1) {
		return fmt.Errorf("gp: model has a jitter of up to %v", head[0])
	}
	read, err := newModel(kernel, head[0], s, p)
	if err != nil {
		return err
	}
	*m = *read
	return nil
}

func positive(v []float64) error {
	for _, s := range v {
		if !(s >= 1e-120 && s <= 1e120) {
			return fmt.Errorf("a scale is %v", s)
		}
	}
	return nil
}

// standardised checks that no number deviates more than those of MaxRows rows with variance 1 can.
func standardised(v []float64) error {
	for _, s := range v {
		if !(s*s <= MaxRows) {
			return fmt.Errorf("a standardised number is %v", s)
		}
	}
	return nil
}
