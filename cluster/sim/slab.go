package sim

const (
	chunkBits = 9
	chunkSize = 1 << chunkBits
)

// slab holds things by number. What it gave keeps its place, so a pointer stays good while others are taken, and it
// allocates nothing once it is as large as the simulation needs.
type slab[T any] struct {
	chunks []*[chunkSize]T
	free   []int32
	taken  int
}

func (s *slab[T]) at(i int32) *T { return &s.chunks[i>>chunkBits][i&(chunkSize-1)] }

// take gives the number of something that is free. It holds what it held when it was given back.
func (s *slab[T]) take() int32 {
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

func (s *slab[T]) give(i int32) {
	s.free = append(s.free, i)
	s.taken--
}

// each calls f for all that might be taken, in the order of their numbers.
func (s *slab[T]) each(f func(i int32, v *T)) {
	for c, chunk := range s.chunks {
		for i := range chunk {
			f(int32(c)<<chunkBits|int32(i), &chunk[i])
		}
	}
}
