package madu

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// cost is what equation 13 minimises.
func cost(from float64, x []float64) (sum float64) {
	for _, v := range x {
		sum += (v - from) * (v - from)
		from = v
	}
	return sum
}

// descent is a stupid solver of the same quadratic program: projected coordinate descent, which converges to the optimum of
// a strictly convex cost within a box, however slowly.
func descent(from float64, lower, upper []float64) []float64 {
	m := len(lower)
	x := make([]float64, m)
	for i := range x {
		x[i] = min(max(from, lower[i]), upper[i])
	}
	for range 20_000 {
		moved := 0.0
		for i := range x {
			before, want := from, 0.0
			if i > 0 {
				before = x[i-1]
			}
			if want = before; i+1 < m {
				want = (before + x[i+1]) / 2
			}
			want = min(max(want, lower[i]), upper[i])
			moved = max(moved, math.Abs(want-x[i]))
			x[i] = want
		}
		if moved < 1e-13 {
			break
		}
	}
	return x
}

// wholeNumbers is another: dynamic programming over the points of a fine grid.
func wholeNumbers(from int, lower, upper []int) float64 {
	cost := map[int]float64{from: 0}
	for i := range lower {
		next := map[int]float64{}
		for v := lower[i]; v <= upper[i]; v++ {
			best := math.Inf(1)
			for w, c := range cost {
				best = min(best, c+float64((v-w)*(v-w)))
			}
			next[v] = best
		}
		cost = next
	}
	best := math.Inf(1)
	for _, c := range cost {
		best = min(best, c)
	}
	return best
}

func TestTheFunnelSolvesTheQuadraticProgram(t *testing.T) {
	var s smoother // kept from case to case, as the manager keeps it
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(1, 30).Draw(t, "m")
		// Whole numbers make gates that touch, coincide and lie in a line; others do not.
		draw := rapid.Float64Range(0, 20)
		if rapid.Bool().Draw(t, "whole") {
			draw = rapid.Map(rapid.IntRange(0, 8), func(n int) float64 { return float64(n) })
		}
		lower, upper := make([]float64, m), make([]float64, m)
		for i := range lower {
			lower[i] = draw.Draw(t, "lower")
			upper[i] = lower[i] + rapid.SampledFrom([]float64{0, 0.2 * lower[i], draw.Draw(t, "room")}).Draw(t, "up")
		}
		from := draw.Draw(t, "from")
		x := s.path(from, lower, upper)
		if len(x) != m {
			t.Fatalf("%d intervals, not %d", len(x), m)
		}
		for i, v := range x {
			if !(v >= lower[i]-1e-9 && v <= upper[i]+1e-9) {
				t.Fatalf("x[%d] is %v, outside %v..%v: %v", i+1, v, lower[i], upper[i], x)
			}
		}
		want := descent(from, lower, upper)
		if got, best := cost(from, x), cost(from, want); got > best+1e-6*(1+best) {
			t.Fatalf("costs %v, %v costs %v\nx    %v\nfrom %v\nlow  %v\nhigh %v", got, want, best, x, from, lower, upper)
		}
	})
}

// No path over whole numbers is cheaper, and where the optimum lies on whole numbers it costs the same.
func TestNoPathOverWholeNumbersIsCheaper(t *testing.T) {
	var s smoother
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.IntRange(1, 8).Draw(t, "m")
		lower, upper := make([]int, m), make([]int, m)
		l, u := make([]float64, m), make([]float64, m)
		for i := range lower {
			lower[i] = rapid.IntRange(0, 9).Draw(t, "lower")
			upper[i] = lower[i] + rapid.IntRange(0, 3).Draw(t, "room")
			l[i], u[i] = float64(lower[i]), float64(upper[i])
		}
		from := rapid.IntRange(0, 9).Draw(t, "from")
		x := s.path(float64(from), l, u)
		got, best := cost(float64(from), x), wholeNumbers(from, lower, upper)
		if got > best+1e-9 {
			t.Fatalf("%v costs %v; whole numbers cost %v", x, got, best)
		}
		for _, v := range x {
			if v != math.Round(v) {
				return
			}
		}
		if math.Abs(got-best) > 1e-9 {
			t.Fatalf("%v costs %v; whole numbers cost %v", x, got, best)
		}
	})
}

func TestPathsThatCanBeSeen(t *testing.T) {
	for _, c := range []struct {
		name                string
		from                float64
		lower, upper, wants []float64
	}{
		{"nothing to do", 3, []float64{2, 2, 2}, []float64{4, 4, 4}, []float64{3, 3, 3}},
		{"up to a peak, evenly", 2, []float64{1, 1, 8}, []float64{9, 9, 9}, []float64{4, 6, 8}},
		{"down as late as the bounds let", 8, []float64{1, 1, 1}, []float64{9, 9, 2}, []float64{6, 4, 2}},
		{"over a peak and no further down than asked", 2, []float64{5, 1, 1}, []float64{6, 6, 4}, []float64{5, 4.5, 4}},
		{"no room at all", 1, []float64{4, 2, 7}, []float64{4, 2, 7}, []float64{4, 2, 7}},
		{"bounds the wrong way round: the lower one counts", 1, []float64{4, 4}, []float64{2, 2}, []float64{4, 4}},
	} {
		var s smoother
		x := s.path(c.from, c.lower, c.upper)
		for i := range x {
			if math.Abs(x[i]-c.wants[i]) > 1e-9 {
				t.Errorf("%s: %v, want %v", c.name, x, c.wants)
				break
			}
		}
	}
	var s smoother
	if x := s.path(1, nil, nil); len(x) != 0 {
		t.Errorf("%v of no intervals", x)
	}
}

// benchstat: go test -bench Smooth -count 6 ./plan/madu | tee new.txt; benchstat old.txt new.txt
func BenchmarkSmooth30(b *testing.B) {
	var s smoother
	lower, upper := make([]float64, 30), make([]float64, 30)
	for i := range lower {
		lower[i] = math.Ceil(20 + 10*math.Sin(float64(i)) + float64(i*7%5))
		upper[i] = math.Floor(1.2 * lower[i])
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(s.path(25, lower, upper)) != 30 {
			b.Fatal("too short")
		}
	}
}
