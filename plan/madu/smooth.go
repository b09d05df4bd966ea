package madu

import "slices"

// smoother solves equations 13 and 14 exactly: numbers of containers x[1..m] between lower and upper bounds, from a given
// x[0], with the least sum of squared steps.
//
// The same path minimises any other convex cost of the steps, its length among them, so it is the shortest path from a
// point through a corridor of vertical gates to wherever in the last gate it is level (Davies and Kovac call it the taut
// string). A funnel finds it in O(m): from the last point that is certain, a tight string along the lower ends of the gates
// passed, whose slopes fall, and one along the upper ends, whose slopes rise. A gate that lies above the whole funnel makes
// the upper string's first point certain, one that lies below it the lower's. Each gate enters and leaves each string once.
//
// Its slices are kept from call to call.
type smoother struct {
	low, high, sure []point
	out             []float64
}

// point is a number of containers in an interval.
type point struct {
	k int
	v float64
}

func slope(a, b point) float64 { return (b.v - a.v) / float64(b.k-a.k) }

// path is x[1..m] for the bounds of 1..m, lower[i] <= upper[i]; where they are the wrong way round the lower one counts.
// The result holds until the next call.
func (s *smoother) path(from float64, lower, upper []float64) []float64 {
	apex := point{0, from}
	s.sure = append(s.sure[:0], apex)
	s.low, s.high = slices.Grow(s.low[:0], len(lower)), slices.Grow(s.high[:0], len(lower))
	low, high := s.low, s.high
	for i := range lower {
		l, u := point{i + 1, lower[i]}, point{i + 1, max(upper[i], lower[i])}
		high, low = s.tighten(high, low, u, 1)
		low, high = s.tighten(low, high, l, -1)
	}
	s.level(len(lower), low, high)
	return s.fill(len(lower))
}

// tighten pulls the string own up to the gate's end p. sign is 1 for the upper string, whose slopes rise, and -1 for the
// lower one. Where p lies beyond the other string, that one's points are certain.
func (s *smoother) tighten(own, other []point, p point, sign float64) (newOwn, newOther []point) {
	apex := func() point { return s.sure[len(s.sure)-1] }
	for len(own) > 0 {
		before := apex()
		if len(own) > 1 {
			before = own[len(own)-2]
		}
		if last := own[len(own)-1]; sign*(slope(last, p)-slope(before, last)) > 0 {
			return append(own, p), other
		}
		own = own[:len(own)-1]
	}
	for len(other) > 0 && other[0].k < p.k && sign*(slope(apex(), other[0])-slope(apex(), p)) > 0 {
		s.sure = append(s.sure, other[0])
		other = other[1:]
	}
	return append(own, p), other
}

// level goes on from the last certain point: along whichever string leads away from the level, until it need not.
func (s *smoother) level(m int, low, high []point) {
	start := s.sure[len(s.sure)-1]
	at := start
	for _, p := range low {
		if p.v <= at.v {
			break
		}
		at = p
		s.sure = append(s.sure, at)
	}
	if at == start {
		for _, p := range high {
			if p.v >= at.v {
				break
			}
			at = p
			s.sure = append(s.sure, at)
		}
	}
	if at.k < m {
		s.sure = append(s.sure, point{m, at.v})
	}
}

// fill is the path through the certain points.
func (s *smoother) fill(m int) []float64 {
	s.out = slices.Grow(s.out[:0], m)[:m]
	for i := 1; i < len(s.sure); i++ {
		a, b := s.sure[i-1], s.sure[i]
		for k := a.k + 1; k <= b.k; k++ {
			s.out[k-1] = a.v + (b.v-a.v)*float64(k-a.k)/float64(b.k-a.k)
		}
	}
	return s.out
}
