package tally

import (
	"maps"
	"testing"

	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

func equal(a, b *sketch.Sketch) bool {
	return a.Count() == b.Count() && a.Sum() == b.Sum() && maps.Equal(maps.Collect(a.Buckets()), maps.Collect(b.Buckets()))
}

// The stupid oracle has a sketch for each owner. Beats are short and longer than the log, in any order; what a beat gave
// stays as it was whatever comes later.
func TestLatenciesAreThoseOfASketchForEachOwner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		owners := rapid.IntRange(1, 20).Draw(t, "owners")
		var l Latencies
		var copies Copies
		l.Grow(owners)
		var given, kept []*sketch.Sketch
		seed := rapid.Uint64().Draw(t, "seed") | 1
		for range rapid.IntRange(1, 4).Draw(t, "beats") {
			want := make([]*sketch.Sketch, owners)
			for range rapid.SampledFrom([]int{0, 1, 10, 1000, logLimit, logLimit + 1, 2*logLimit + 7}).Draw(t, "latencies") {
				seed = seed*6364136223846793005 + 1442695040888963407
				owner, ns := int32(seed>>33)%int32(owners), int64(seed>>40)*1000
				if owner == 0 { // who has none in most beats
					owner = int32(owners - 1)
				}
				l.Add(owner, ns)
				if want[owner] == nil {
					want[owner] = sketch.New()
				}
				want[owner].Add(float64(ns) * 1e-9)
			}
			copies.Begin()
			l.Sort()
			var sum, all sketch.Sketch
			for i := range owners {
				got := l.Take(int32(i), &copies, &sum)
				if (got == nil) != (want[i] == nil) || got != nil && !equal(got, want[i]) {
					t.Fatalf("owner %d has %v latencies, want %v", i, got.Count(), want[i].Count())
				}
				if got != nil {
					given, kept = append(given, got), append(kept, got.Clone())
					all.Merge(got)
				}
			}
			if !equal(&sum, &all) {
				t.Fatalf("the sum has %v latencies, want %v", sum.Count(), all.Count())
			}
		}
		for i := range given {
			if !equal(given[i], kept[i]) {
				t.Fatalf("a copy changed after its beat")
			}
			given[i].Add(1e5) // has no room beside the next one's counts
		}
		for i := range given {
			kept[i].Add(1e5)
			if !equal(given[i], kept[i]) {
				t.Fatalf("a copy shares its counts with another")
			}
		}
	})
}

func BenchmarkLatencies(b *testing.B) {
	for _, v := range []struct {
		name   string
		owners int
	}{{"few", 100}, {"many", 100_000}} {
		b.Run(v.name, func(b *testing.B) {
			var l Latencies
			var copies Copies
			l.Grow(v.owners)
			b.ReportAllocs()
			const n = 50_000
			for b.Loop() {
				for i := range uint32(n) {
					l.Add(int32(i*2654435761>>8)%int32(v.owners), int64(i)*1000)
				}
				copies.Begin()
				l.Sort()
				for i := range v.owners {
					l.Take(int32(i), &copies, nil)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/latency")
		})
	}
}
