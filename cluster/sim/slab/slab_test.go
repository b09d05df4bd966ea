package slab_test

import (
	"testing"

	"foresail.dev/cluster/sim/slab"
	"pgregory.net/rapid"
)

// A slab is a map whose keys it chooses itself: what was put under a number stays there, at the same place, until it is
// given back, and no number is given to two.
func TestASlabIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab.Slab[int]
		want, places := map[int32]int{}, map[int32]*int{}
		var taken []int32
		for n := range rapid.IntRange(0, 2000).Draw(t, "steps") {
			if len(taken) > 0 && rapid.IntRange(0, 3).Draw(t, "give") == 0 {
				at := rapid.IntRange(0, len(taken)-1).Draw(t, "which")
				s.Give(taken[at])
				delete(want, taken[at])
				taken[at] = taken[len(taken)-1]
				taken = taken[:len(taken)-1]
				continue
			}
			i := s.Take()
			if _, there := want[i]; there {
				t.Fatalf("%d is given to two", i)
			}
			*s.At(i), want[i], places[i] = n, n, s.At(i)
			taken = append(taken, i)
		}
		if s.Taken() != len(want) {
			t.Fatalf("%d taken, want %d", s.Taken(), len(want))
		}
		seen, last := 0, int32(-1)
		s.Each(func(i int32, v *int) {
			if i <= last {
				t.Fatalf("%d comes after %d", i, last)
			}
			last = i
			if n, there := want[i]; there {
				seen++
				if *v != n || v != places[i] {
					t.Fatalf("%d holds %d, want %d at the same place", i, *v, n)
				}
			}
		})
		if seen != len(want) {
			t.Fatalf("%d of %d seen", seen, len(want))
		}
	})
}

// Once it is as large as it gets, a slab allocates nothing.
func TestASlabAllocatesOnce(t *testing.T) {
	var s slab.Slab[[8]int64]
	s.Give(s.Take())
	if n := testing.AllocsPerRun(100, func() { s.Give(s.Take()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
