package foresail_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/sketch"
)

func ExampleForm() {
	f, err := foresail.NewForm(0, []foresail.Visit{
		{Service: 0, Operation: "compose", Parent: -1, Times: 1},
		{Service: 3, Operation: "store", Parent: 0, Step: 7, Times: 2},
		{Service: 2, Operation: "text", Parent: 0, Step: 1, Times: 1},
		{Service: 1, Operation: "media", Parent: 0, Step: 1, Times: 1},
		{Service: 4, Operation: "log", Parent: 3, Step: 0, Times: 3, Async: true},
	})
	fmt.Println(f.Key(), err)
	fmt.Println(f.Calls(3), f.Calls(4))
	// Output:
	// 0:0."compose"(1."media"(4."log"x3~)|2."text";3."store"x2) <nil>
	// 2 3
}

func TestFormsThatAreNone(t *testing.T) {
	v := func(parent int) foresail.Visit { return foresail.Visit{Parent: parent, Times: 1} }
	for name, visits := range map[string][]foresail.Visit{
		"nothing":            {},
		"no entry":           {v(0)},
		"two entries":        {v(-1), v(-1)},
		"a child before":     {v(-1), v(2), v(0)},
		"its own parent":     {v(-1), v(1)},
		"no times":           {{Parent: -1}},
		"a negative step":    {v(-1), {Parent: 0, Step: -1, Times: 1}},
		"a negative service": {{Parent: -1, Service: -1, Times: 1}},
	} {
		if _, err := foresail.NewForm(0, visits); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// drawVisits draws a tree of visits.
func drawVisits(t *rapid.T) []foresail.Visit {
	n := rapid.IntRange(1, 12).Draw(t, "visits")
	visits := make([]foresail.Visit, n)
	for i := range visits {
		visits[i] = foresail.Visit{Service: foresail.ServiceID(rapid.IntRange(0, 3).Draw(t, "service")), Operation: rapid.SampledFrom([]string{"", "a", "b)|(;"}).Draw(t, "operation"),
			Parent: rapid.IntRange(0, max(i-1, 0)).Draw(t, "parent"), Step: rapid.IntRange(0, 3).Draw(t, "step"), Times: rapid.IntRange(1, 3).Draw(t, "times"), Async: rapid.Bool().Draw(t, "async")}
	}
	visits[0].Parent, visits[0].Step = -1, 0
	return visits
}

// shuffled is the same tree with its visits listed in another order, parents first.
func shuffled(visits []foresail.Visit, rng *rand.Rand) []foresail.Visit {
	at := map[int]int{-1: -1}
	var out []foresail.Visit
	for len(out) < len(visits) {
		var free []int
		for i, v := range visits {
			_, placed := at[i]
			if _, ready := at[v.Parent]; ready && !placed {
				free = append(free, i)
			}
		}
		i := free[rng.IntN(len(free))]
		at[i] = len(out)
		v := visits[i]
		v.Parent = at[v.Parent]
		out = append(out, v)
	}
	return out
}

// The order in which visits are listed does not matter, a form made of a form's visits is the same, and calls are those of
// the list.
func TestAFormIsCanonical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		visits := drawVisits(t)
		f, err := foresail.NewForm(1, visits)
		if err != nil {
			t.Fatal(err)
		}
		other, err := foresail.NewForm(1, shuffled(visits, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0))))
		if err != nil || other.Key() != f.Key() {
			t.Fatalf("%s and %s, %v", f.Key(), other.Key(), err)
		}
		again, err := foresail.NewForm(1, f.Visits)
		if err != nil || again.Key() != f.Key() || fmt.Sprint(again.Visits) != fmt.Sprint(f.Visits) {
			t.Fatalf("%s became %s, %v", f.Key(), again.Key(), err)
		}
		for s := range foresail.ServiceID(4) {
			want := 0.0
			for i := range visits {
				if visits[i].Service != s {
					continue
				}
				times := 1.0
				for k := i; k >= 0; k = visits[k].Parent {
					times *= float64(visits[k].Times)
				}
				want += times
			}
			if f.Calls(s) != want {
				t.Fatalf("%v calls of %d, not %v: %s", f.Calls(s), s, want, f.Key())
			}
		}
	})
}

// Counts and sketches of a form add over intervals, other forms stay apart, and nothing is shared.
func TestShapesMerge(t *testing.T) {
	form := func(op string) *foresail.Form {
		f, err := foresail.NewForm(0, []foresail.Visit{{Operation: op, Parent: -1, Times: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	took := func(v float64) *sketch.Sketch {
		s := sketch.New()
		s.Add(v)
		return s
	}
	start := time.Unix(1000, 0)
	part := func(i int, shapes ...foresail.ShapeStats) *foresail.Snapshot {
		return &foresail.Snapshot{Start: start.Add(time.Duration(i) * time.Second), End: start.Add(time.Duration(i+1) * time.Second), Has: foresail.SignalShapes, Shapes: shapes}
	}
	one := part(0, foresail.ShapeStats{Form: form("b"), Requests: 2, Pooled: 1, Latency: took(1), Own: []*sketch.Sketch{took(1)}})
	two := part(1, foresail.ShapeStats{Form: form("a"), Requests: 5}, foresail.ShapeStats{Form: form("b"), Requests: 3, Latency: took(2), Own: []*sketch.Sketch{nil}})
	m := foresail.Merge(one, two)
	if len(m.Shapes) != 2 || m.Shapes[0].Form.Key() >= m.Shapes[1].Form.Key() {
		t.Fatalf("%d shapes, or out of order", len(m.Shapes))
	}
	b := &m.Shapes[1]
	if b.Requests != 5 || b.Pooled != 1 || b.Latency.Count() != 2 || b.Own[0].Count() != 1 || m.Shapes[0].Requests != 5 || m.Shapes[0].Latency != nil {
		t.Errorf("%+v", m.Shapes)
	}
	if b.Latency == two.Shapes[1].Latency || b.Own[0] == one.Shapes[0].Own[0] {
		t.Error("a sketch is shared with a part")
	}
	if one.Shapes[0].Latency.Count() != 1 || !m.Has.Has(foresail.SignalShapes) {
		t.Error("a part was changed, or the signal lost")
	}
}
