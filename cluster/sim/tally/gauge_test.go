package tally_test

import (
	"math"
	"testing"

	"foresail.dev/cluster/sim/tally"
	"pgregory.net/rapid"
)

// A gauge and what waits are as if one looked at each nanosecond, whatever changes when, over two beats.
func TestGaugeAndWaitsAreAsLookedAtEachInstant(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const beat = 50
		g, w, n := tally.NewGauge(0), tally.Waits{}, int64(0)
		for from := int64(0); from < 2*beat; from += beat {
			var area, some, most int64
			most = n
			for now := from; now < from+beat; now++ {
				if d := rapid.SampledFrom([]int64{0, 0, 0, 1, 2, -1, -n}).Draw(t, "change"); d != 0 && n+d >= 0 {
					n += d
					g.Add(now, int32(d))
					w.Add(now, d)
				}
				most = max(most, n)
				area += n
				some += min(n, 1)
			}
			got := g.Take(from+beat, beat)
			if got.Last != float64(n) || got.Max != float64(most) || math.Abs(got.Mean-float64(area)/beat) > 1e-12 {
				t.Fatalf("%+v, want %d, mean %v, max %d", got, n, float64(area)/beat, most)
			}
			if s, a := w.Take(from + beat); s != some || a != area {
				t.Fatalf("some waited %d and all %d, want %d and %d", s, a, some, area)
			}
		}
	})
}
