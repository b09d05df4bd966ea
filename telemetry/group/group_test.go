package group_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/telemetry/group"
)

func Example() {
	g := group.New[string, int](group.Options{Wait: 10})
	g.Add(0, "a", 1)
	g.Add(1, "b", 2)
	g.Add(8, "a", 3)
	for _, at := range []int64{11, 18} {
		for _, p := range g.Due(at) {
			fmt.Println(at, p.Key, p.Items)
		}
	}
	// Output:
	// 11 b [2]
	// 18 a [1 3]
}

// Who goes on sending can't keep a group open, nor hold back the others.
func TestAGroupEnds(t *testing.T) {
	g := group.New[int, int64](group.Options{Wait: 10})
	ended := int64(0)
	for at := int64(0); at < 200 && ended == 0; at++ {
		g.Add(at, 1, at)
		for range g.Due(at) {
			ended = at
		}
	}
	if ended == 0 || ended > 60 {
		t.Errorf("a group that goes on was open until %d, want at most 60", ended)
	}
}

// Whatever comes, no item is lost or doubled without being counted, each group holds one key's items in their order, and
// what waits stays within its bound.
func TestNothingIsLostUncounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := group.Options{Wait: rapid.Int64Range(0, 20).Draw(t, "wait"), MaxItems: rapid.IntRange(1, 30).Draw(t, "items"),
			MaxEach: rapid.IntRange(1, 8).Draw(t, "each"), Early: rapid.Bool().Draw(t, "early")}
		g := group.New[int, int](o)
		n, at, seen := rapid.IntRange(0, 200).Draw(t, "n"), int64(0), map[int]bool{}
		take := func(ps []*group.Group[int, int]) {
			for _, p := range ps {
				if p == nil {
					continue
				}
				if len(p.Items) > o.MaxEach || len(p.Items) == 0 {
					t.Fatalf("a group of %d", len(p.Items))
				}
				last := -1
				for _, item := range p.Items {
					if item%5 != p.Key || seen[item] || item <= last {
						t.Fatalf("item %d in group %d, after %d", item, p.Key, last)
					}
					seen[item], last = true, item
				}
			}
		}
		for i := range n {
			at += rapid.Int64Range(0, 4).Draw(t, "step")
			take([]*group.Group[int, int]{g.Add(at, i%5, i)})
			if g.Items() > o.MaxItems {
				t.Fatalf("%d wait", g.Items())
			}
			if rapid.Bool().Draw(t, "due") {
				if rapid.Bool().Draw(t, "one by one") {
					for p := g.Next(at); p != nil; p = g.Next(at) {
						take([]*group.Group[int, int]{p})
						g.Reuse(p) // whose memory must not show up in others
					}
				}
				take(g.Due(at))
			}
		}
		take(g.Rest())
		s := g.Stats()
		if len(seen)+int(s.Refused+s.Crowded) != n || g.Items() != 0 {
			t.Fatalf("%d of %d came out, %+v", len(seen), n, s)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	b.ReportAllocs()
	g := group.New[int, int](group.Options{Wait: 1000, MaxItems: 1 << 20})
	for i := range b.N {
		g.Add(int64(i), i/8, i)
		for p := g.Next(int64(i)); p != nil; p = g.Next(int64(i)) {
			g.Reuse(p)
		}
	}
}
