package exemplar_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	. "foresail.dev/telemetry/store/exemplar"
)

var noon = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

// request is a trace of two spans: number n, that ends at the given offset from noon after d.
func request(n int, end, d time.Duration) Trace {
	root := foresail.Span{Service: "front", Replica: "front-0", Operation: "GET /", Kind: foresail.KindServer, Start: noon.Add(end - d), End: noon.Add(end)}
	binary.BigEndian.PutUint64(root.Trace[8:], uint64(n)+1)
	root.ID[7] = 1
	child := root
	child.ID[7], child.Parent, child.Service, child.Replica, child.Start = 2, root.ID, "back", "", root.Start.Add(d/4)
	t, _ := NewTrace([]foresail.Span{child, root})
	return t
}

func number(t Trace) int { id := t.ID(); return int(binary.BigEndian.Uint64(id[8:])) - 1 }

// The slowest are the slowest: an oracle sorts all.
func TestTheSlowestAreKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k, r := rapid.IntRange(1, 6).Draw(t, "slowest"), rapid.IntRange(1, 6).Draw(t, "random")
		c := NewChooser(Choice{Slowest: k, Random: r, Seed: rapid.Uint64().Draw(t, "seed")})
		n := rapid.IntRange(0, 60).Draw(t, "n")
		var all []Trace
		for i := range n {
			all = append(all, request(i, time.Duration(rapid.IntRange(0, 59).Draw(t, "s"))*time.Second, time.Duration(rapid.IntRange(1, 20).Draw(t, "ms"))*time.Millisecond))
			if got := c.Offer(all[i]); got != nil {
				t.Fatalf("a minute closed early: %v", got)
			}
		}
		if got := c.Close(noon); got != nil {
			t.Fatalf("closed before its end: %v", got)
		}
		got := c.Close(noon.Add(time.Minute))
		slices.SortFunc(all, func(a, b Trace) int {
			if a.Duration() != b.Duration() {
				return int(b.Duration() - a.Duration())
			}
			return number(a) - number(b)
		})
		slow, random := map[int]bool{}, 0
		seen := map[int]bool{}
		for i, tr := range got {
			if seen[number(tr)] {
				t.Fatalf("%d is kept twice", number(tr))
			}
			seen[number(tr)] = true
			if tr.Kept&Slowest != 0 {
				slow[number(tr)] = true
			}
			if tr.Kept&Random != 0 {
				random++
			}
			if i > 0 && got[i-1].Root().End.After(tr.Root().End) {
				t.Fatal("not in order of time")
			}
		}
		if random != min(r, n) || len(slow) != min(k, n) {
			t.Fatalf("%d slowest, %d random of %d", len(slow), random, n)
		}
		for _, tr := range all[:min(k, n)] {
			if !slow[number(tr)] {
				t.Fatalf("%d took %v and is not among the slowest", number(tr), tr.Duration())
			}
		}
	})
}

// Each request of a minute is kept at random as often as each other, whenever it came.
func TestTheSampleIsUniform(t *testing.T) {
	const n, k, runs = 40, 4, 4000
	count := make([]float64, n)
	for seed := range runs {
		c := NewChooser(Choice{Slowest: -1, Random: k, Seed: uint64(seed)})
		for i := range n {
			c.Offer(request(i, time.Second, time.Duration(i+1)))
		}
		for _, tr := range c.Rest() {
			count[number(tr)]++
		}
	}
	want, chi := float64(runs)*k/n, 0.0
	for _, v := range count {
		chi += (v - want) * (v - want) / (want * (1 - float64(k)/n))
	}
	chi *= float64(n-1) / n
	if limit := 39 + 5*math.Sqrt(2*39); chi > limit { // 39 degrees of freedom, five standard deviations
		t.Errorf("chi-squared %.1f, want under %.1f: %v", chi, limit, count)
	}
}

// Minutes open at once are bounded, and what comes for a closed one is counted.
func TestMinutesAreBounded(t *testing.T) {
	c := NewChooser(Choice{Minutes: 2})
	at := func(minute int) Trace { return request(minute, time.Duration(minute)*time.Minute, time.Millisecond) }
	if c.Offer(at(5)) != nil || c.Offer(at(7)) != nil {
		t.Error("closed though there was room")
	}
	if got := c.Offer(at(4)); got != nil || c.Late() != 1 {
		t.Errorf("a minute before those open: %v, %d late", got, c.Late())
	}
	if got := c.Offer(at(9)); len(got) != 1 || number(got[0]) != 5 {
		t.Errorf("the third minute closed %v", got)
	}
	if got := c.Offer(at(5)); got != nil || c.Late() != 2 {
		t.Errorf("a closed minute: %v, %d late", got, c.Late())
	}
}

// The root is the span without a parent, wherever it starts and whatever order spans come in.
func TestRoot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := request(1, time.Second, 100*time.Millisecond)
		spans := slices.Clone(want.Spans)
		if rapid.Bool().Draw(t, "swap") {
			slices.Reverse(spans)
		}
		early := rapid.Bool().Draw(t, "a child of a clock that is behind")
		for i := range spans {
			if early && spans[i].Parent != (foresail.SpanID{}) {
				spans[i].Start = spans[i].Start.Add(-time.Second)
			}
		}
		got, ok := NewTrace(spans)
		if !ok || got.Root().Service != "front" || got.Duration() != 100*time.Millisecond || len(got.Spans) != 2 {
			t.Fatalf("%+v", got)
		}
	})
	if _, ok := NewTrace(nil); ok {
		t.Error("a trace of no spans")
	}
}
