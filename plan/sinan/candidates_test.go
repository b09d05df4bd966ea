package sinan

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

// The totals that the artefact's operations reach from so many cores of a service that has at most 4, and at most 16.
func TestOperationsAreTheArtefacts(t *testing.T) {
	for _, c := range []struct {
		most, from float64
		want       string // -0.1x -1 +1 +0.25x +0.5x
	}{
		{4, 4, "4 3 4 4 4"},
		{4, 2, "2 1 3 3 4"},
		{4, 1, "0.8 0.8 2 2 3"},
		{4, 0.8, "0.6 0.6 2 2 3"},
		{4, 0.2, "0.2 0.2 2 2 3"},
		{4, 1.5, "1.5 1 3 3 4"},
		{16, 16, "15 15 16 16 16"},
		{16, 10, "9 9 11 14 16"},
		{16, 2, "1 1 3 6 10"},
		{128, 128, "116 127 128 128 128"},
		{2, 2, "2 1.5 2 2 2"}, // a unit of half a core
		{2, 0.5, "0.4 0.4 1 1 1.5"},
	} {
		g := newGrid(foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.2, MaxCPU: c.most}, 1, 1)
		var got []string
		for _, o := range append(slices.Clone(downs[:]), ups[:]...) {
			got = append(got, fmt.Sprint(math.Round(1000*g.apply(o, c.from))/1000))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("at most %v, from %v: %s, want %s", c.most, c.from, s, c.want)
		}
	}
}

// Whatever the bounds, an operation stays within them, goes its own way or nowhere, and going down ends at the least.
func TestOperationsOnAnyBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := foresail.Bounds{MinReplicas: rapid.IntRange(0, 3).Draw(t, "min replicas"), MinCPU: rapid.Float64Range(0, 2).Draw(t, "min CPU")}
		b.MaxReplicas = b.MinReplicas + rapid.IntRange(0, 20).Draw(t, "more replicas")
		b.MaxCPU = b.MinCPU + rapid.Float64Range(0, 20).Draw(t, "more CPU")
		g := newGrid(b, rapid.IntRange(b.MinReplicas, b.MaxReplicas).Draw(t, "replicas"), rapid.Float64Range(0.1, 3).Draw(t, "unit"))
		if g.unit == 0 {
			return
		}
		from := g.within(rapid.Float64Range(g.least, g.most).Draw(t, "from"))
		for _, o := range append(slices.Clone(downs[:]), ups[:]...) {
			to := g.apply(o, from)
			if to < g.least || to > g.most {
				t.Fatalf("%s of %v is %v, outside %+v", o.name, from, to, g)
			}
			if d := o.share + o.units; d < 0 && to > from || d > 0 && to < from {
				t.Fatalf("%s of %v is %v", o.name, from, to)
			}
		}
		at, n := from, 0
		for ; at > g.least+rounding && n < 10_000; n++ {
			at = g.apply(downs[1], at)
		}
		if n == 10_000 {
			t.Fatalf("from %v, -1 stops at %v, above %v", from, at, g.least)
		}
	})
}

func someNow(n int) *now {
	w := &now{}
	for range n {
		w.grids = append(w.grids, newGrid(foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.2, MaxCPU: 16}, 1, 1))
		w.cores, w.floor, w.low = append(w.cores, 8), append(w.floor, 0), append(w.low, 0.2)
		w.used, w.fixed = append(w.used, 0.2), append(w.fixed, false)
	}
	return w
}

func TestTheCandidates(t *testing.T) {
	n := someNow(3)
	n.used = []float64{0.3, 0.1, 0.2}
	n.lowered = [][]foresail.ServiceID{{0}, {}, {1}}
	app := plantest.App(3)
	var got []string
	for _, c := range new(candidates).make(n) {
		got = append(got, fmt.Sprintf("%s: %g %g %g", c.name(app), c.cores[0], c.cores[1], c.cores[2]))
	}
	want := `as it is: 8 8 8
all services at their maximum: 16 16 16
s0 +1: 9 8 8
s1 +1: 8 9 8
s2 +1: 8 8 9
all services +1: 9 9 9
s0 +0.25x: 12 8 8
s1 +0.25x: 8 12 8
s2 +0.25x: 8 8 12
all services +0.25x: 12 12 12
s0 +0.5x: 16 8 8
s1 +0.5x: 8 16 8
s2 +0.5x: 8 8 16
all services +0.5x: 16 16 16
what the last 1 actions lowered +1: 8 9 8
what the last 1 actions lowered +0.25x: 8 12 8
what the last 1 actions lowered +0.5x: 8 16 8
what the last 3 actions lowered +1: 9 9 8
what the last 3 actions lowered +0.25x: 12 12 8
what the last 3 actions lowered +0.5x: 16 16 8
what the first 1 of the last 3 actions lowered +1: 9 8 8
what the first 1 of the last 3 actions lowered +0.25x: 12 8 8
what the first 1 of the last 3 actions lowered +0.5x: 16 8 8
all services -0.1x: 7 7 7
s0 -0.1x: 7 8 8
s1 -0.1x: 8 7 8
s2 -0.1x: 8 8 7
all services -1: 7 7 7
the least used services -0.1x: 8 7 7
the least used services -1: 8 7 7
the least used services -0.1x: 7 7 7
the least used services -1: 7 7 7`
	if s := strings.Join(got, "\n"); s != want {
		t.Errorf("got\n%s\nwant\n%s", s, want)
	}
}

// A service over the cap is raised in every candidate, one that can't be changed in none but the most, and none is lowered
// below what it uses.
func TestCandidatesOnAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := someNow(rapid.IntRange(1, 6).Draw(t, "services"))
		for i := range n.cores {
			n.cores[i] = rapid.Float64Range(0.2, 16).Draw(t, "cores")
			n.fixed[i] = rapid.IntRange(0, 4).Draw(t, "fixed") == 0
			n.used[i] = rapid.Float64Range(0, 1).Draw(t, "used")
			n.low[i] = n.grids[i].up(n.used[i] * n.cores[i] / 0.75)
			if n.used[i] > 0.75 {
				n.floor[i] = n.low[i]
			}
			if rapid.IntRange(0, 9).Draw(t, "gone") == 0 {
				n.grids[i], n.cores[i], n.floor[i], n.low[i], n.fixed[i] = grid{}, 0, 0, 0, true
			}
		}
		for range rapid.IntRange(0, remembered).Draw(t, "actions") {
			n.lowered = append(n.lowered, rapid.SliceOfN(rapid.Map(rapid.IntRange(0, 8), func(i int) foresail.ServiceID { return foresail.ServiceID(i) }), 0, 3).Draw(t, "lowered"))
		}
		var c candidates
		list := c.make(n)
		if len(list) > c.most(len(n.cores)) || cap(c.slab) < len(list)*len(n.cores) {
			t.Fatalf("%d candidates, at most %d were expected", len(list), c.most(len(n.cores)))
		}
		if list[0].kind != hold || list[1].kind != most {
			t.Fatal("the first two are not hold and the most")
		}
		for _, e := range list {
			sum := 0.0
			for i, x := range e.cores {
				sum += x
				switch lifted := max(n.cores[i], n.floor[i]); {
				case n.grids[i].most == 0 && x != 0, e.kind == most && x != n.grids[i].full:
					t.Fatalf("%+v: %v of service %d", e, x, i)
				case e.kind == most || n.grids[i].most == 0:
				case n.fixed[i] && x != n.cores[i], x < n.floor[i]-rounding && !n.fixed[i], x > n.grids[i].most,
					e.kind == hold && x != lifted && !n.fixed[i],
					e.kind == down && (x > lifted || x < min(n.low[i], lifted)-rounding && !n.fixed[i]),
					e.kind == up && x < n.cores[i]:
					t.Fatalf("%+v: %v of service %d of %+v", e, x, i, n)
				}
			}
			if math.Abs(sum-e.total) > 1e-6 {
				t.Fatalf("%v in all, and it says %v", sum, e.total)
			}
		}
	})
}

// Of the victims' candidates none is there twice, and memory is used again.
func TestCandidatesAllocateNothing(t *testing.T) {
	n := someNow(28)
	n.lowered = [][]foresail.ServiceID{{0, 1}, {2}, {3}, {4}, {5, 0}}
	var c candidates
	c.make(n)
	// 200 or so sentences of sets, and nothing that grows with the services
	if got := testing.AllocsPerRun(10, func() { c.make(n) }); got > 60 {
		t.Errorf("%v allocations", got)
	}
}
