// Package slab keeps the simulator's records: by number, without allocating anything once there are as many as the
// simulation needs.
package slab

const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

// Slab holds things by number. What it gave keeps its place, so a pointer stays good while others are taken. The zero
// value is empty.
type Slab[T any] struct {
	chunks []*[chunkSize]T
	free   []int32
	taken  int
}

// At is what has a number.
func (s *Slab[T]) At(i int32) *T { return &s.chunks[i>>chunkBits][i&(chunkSize-1)] }

// Take gives the number of something that is free. It holds what it held when it was given back.
func (s *Slab[T]) Take() int32 {
	if len(s.free) == 0 {
		first := int32(len(s.chunks)) << chunkBits
		s.chunks = append(s.chunks, new([chunkSize]T))
		for i := int32(chunkSize - 1); i >= 0; i-- {
			s.free = append(s.free, first+i)
		}
	}
	i := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.taken++
	return i
}

// Give gives a number back. Nothing may refer to it any more.
func (s *Slab[T]) Give(i int32) {
	s.free = append(s.free, i)
	s.taken--
}

// Taken is how many numbers are in use.
func (s *Slab[T]) Taken() int { return s.taken }

// Each calls f for all that might be taken, in the order of their numbers.
func (s *Slab[T]) Each(f func(i int32, v *T)) {
	for c, chunk := range s.chunks {
		for i := range chunk {
			f(int32(c)<<chunkBits|int32(i), &chunk[i])
		}
	}
}
