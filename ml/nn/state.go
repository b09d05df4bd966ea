package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unsafe"
)

// stateVersion starts what Save writes.
const stateVersion = 1

// ErrState is wrapped by what Restore reports.
var ErrState = errors.New("the stored weights can't be used")

// Save returns the weights, and what else training needs to go on: the optimiser's moments and the source of random
// numbers, where these are not nil. The format, little-endian: version (1 byte), bytes of a number (1), steps taken (8),
// length and bytes of the source (1, …), number of arrays (4); for each array length and bytes of its name (1, …), its
// length (4), its numbers. The moments follow the weights and have their names after "1/" and "2/".
func Save[T Float](params []*Param[T], opt Optimizer[T], r *Rand) ([]byte, error) {
	var steps uint64
	arrays := named(params)
	if opt != nil {
		moments, n := opt.state(params)
		steps = *n
		arrays = append(arrays, momentNames(params, moments)...)
	}
	var source []byte
	if r != nil {
		var err error
		if source, err = r.MarshalBinary(); err != nil {
			return nil, err
		}
	}
	size := int(unsafe.Sizeof(T(0)))
	out := []byte{stateVersion, byte(size)}
	out = binary.LittleEndian.AppendUint64(out, steps)
	out = append(append(out, byte(len(source))), source...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(arrays)))
	for _, a := range arrays {
		if len(a.Name) > math.MaxUint8 {
			return nil, fmt.Errorf("the name of weights %q is longer than 255 bytes", a.Name)
		}
		out = append(append(out, byte(len(a.Name))), a.Name...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(a.W)))
		for _, x := range a.W {
			if size == 4 {
				out = binary.LittleEndian.AppendUint32(out, math.Float32bits(float32(x)))
			} else {
				out = binary.LittleEndian.AppendUint64(out, math.Float64bits(float64(x)))
			}
		}
	}
	return out, nil
}

func named[T Float](params []*Param[T]) []Param[T] {
	out := make([]Param[T], len(params))
	for i, p := range params {
		out[i] = Param[T]{Name: p.Name, W: p.W}
	}
	return out
}

func momentNames[T Float](params []*Param[T], moments [][]T) []Param[T] {
	var out []Param[T]
	for i, m := range moments {
		if m != nil {
			out = append(out, Param[T]{Name: fmt.Sprintf("%d/%s", 1+i/len(params), params[i%len(params)].Name), W: m})
		}
	}
	return out
}

// Restore sets weights, moments and source to what Save returned of a network of the same shape. With a nil optimiser or
// source it leaves out what is stored of them. On an error, which wraps ErrState, nothing has changed.
func Restore[T Float](data []byte, params []*Param[T], opt Optimizer[T], r *Rand) error {
	d := decoder{data: data}
	version, size, steps := d.byte(), d.byte(), d.uint64()
	source := d.bytes(int(d.byte()))
	n := int(d.uint32())
	want := int(unsafe.Sizeof(T(0)))
	switch {
	case d.short:
		return fmt.Errorf("%w: they end within their first bytes", ErrState)
	case version != stateVersion:
		return fmt.Errorf("%w: they are of version %d and this program reads %d", ErrState, version, stateVersion)
	case int(size) != want:
		return fmt.Errorf("%w: their numbers have %d bytes and %d are needed", ErrState, size, want)
	case r != nil && len(source) == 0:
		return fmt.Errorf("%w: no state of a random source is with them", ErrState)
	}
	arrays := named(params)
	if opt != nil {
		moments, _ := opt.state(params)
		arrays = append(arrays, momentNames(params, moments)...)
	}
	if n < len(arrays) {
		return fmt.Errorf("%w: they are %d arrays and %d are needed", ErrState, n, len(arrays))
	}
	raw := make([][]byte, len(arrays))
	for i := range n {
		name, length := string(d.bytes(int(d.byte()))), int(d.uint32())
		numbers := d.bytes(length * want)
		if d.short {
			return fmt.Errorf("%w: they end within array %d", ErrState, i)
		}
		if i >= len(arrays) {
			continue
		}
		if name != arrays[i].Name || length != len(arrays[i].W) {
			return fmt.Errorf("%w: array %d is %s of %d numbers and should be %s of %d: they are of another network", ErrState, i, name, length, arrays[i].Name, len(arrays[i].W))
		}
		raw[i] = numbers
	}
	if len(d.data) > 0 {
		return fmt.Errorf("%w: %d bytes follow them", ErrState, len(d.data))
	}
	if r != nil {
		if err := r.UnmarshalBinary(source); err != nil {
			return fmt.Errorf("%w: %w", ErrState, err)
		}
	}
	for i, a := range arrays {
		decodeNumbers(a.W, raw[i])
	}
	if opt != nil {
		_, at := opt.state(params)
		*at = steps
	}
	return nil
}

func decodeNumbers[T Float](w []T, raw []byte) {
	for j := range w {
		if len(raw) == 4*len(w) {
			w[j] = T(math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:])))
		} else {
			w[j] = T(math.Float64frombits(binary.LittleEndian.Uint64(raw[8*j:])))
		}
	}
}

// decoder takes bytes from the front of data; short says that there were too few.
type decoder struct {
	data  []byte
	short bool
}

func (d *decoder) bytes(n int) []byte {
	if d.short || n < 0 || n > len(d.data) {
		d.short = true
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}
