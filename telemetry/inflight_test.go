package telemetry_test

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

// Ten requests of a second each are always in flight, and a cut waits for nobody. What is seen at once is the one that
// is about to end; history holds all ten once the others have ended.
func TestSlowRequestsAreSeenInFlightLater(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	h := foresail.NewHistory(testApp(), foresail.Needs{Beats: 100, Seconds: 10})
	for i := range 60 {
		ended := request(uint64(i+1), "cart", time.Duration(i-10)*foresail.Beat+50*ms, time.Second)
		a.Add([]foresail.Span{ended})
		h.Add(a.Cut(beat(i + 1)))
	}
	newest := h.Last().Services[1].InFlight
	if newest.Last != 0 || newest.Mean != 0.5 {
		t.Errorf("the newest beat: %+v", newest)
	}
	for i, s := range h.Beats(60)[:49] {
		for _, g := range []foresail.Gauge{s.Services[1].InFlight, s.Services[1].Replicas[0].InFlight} {
			if math.Abs(g.Last-10) > 1e-9 || math.Abs(g.Mean-10) > 1e-9 || math.Abs(g.Max-10) > 1e-9 {
				t.Errorf("beat %d: %+v", i, g)
			}
		}
	}
	for i, s := range h.Seconds(10)[:4] {
		if g := s.Services[1].InFlight; math.Abs(g.Last-10) > 1e-9 || math.Abs(g.Mean-10) > 1e-9 || g.Max < 10-1e-9 {
			t.Errorf("second %d: %+v", i, g)
		}
	}
}

// However late spans come, once all have, history holds the last and the mean number in flight that the list of spans
// gives, of services and of replicas, and a maximum that is no less.
func TestInFlightAfterLateAdditions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = int64(4600 * ms) // from a start to its receipt: a beat under the limit, and the longest interval
		var spans []foresail.Span
		var received []time.Time
		for i := range rapid.IntRange(1, 30).Draw(t, "spans") {
			took := rapid.Int64Range(0, most).Draw(t, "duration")
			s := request(uint64(i+1), "cart", time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "start")), time.Duration(took))
			s.Replica = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "replica")
			s.Weight = rapid.SampledFrom([]float64{1, 2, 1 / 0.3}).Draw(t, "weight")
			spans = append(spans, s)
			received = append(received, s.End.Add(time.Duration(rapid.Int64Range(0, most-took).Draw(t, "delay"))))
		}
		o := Options{}
		if rapid.Bool().Draw(t, "with a start") {
			o.Start = epoch
		}
		a := NewAssembler(testApp(), o)
		h := foresail.NewHistory(testApp(), foresail.Needs{Beats: 100})
		step := time.Duration(rapid.IntRange(1, 3).Draw(t, "beats in an interval")) * foresail.Beat
		for end := epoch.Add(step); end.Before(epoch.Add(10 * time.Second)); end = end.Add(step) {
			for i := range spans {
				if at := received[i]; at.Before(end) && !at.Before(end.Add(-step)) {
					a.Add(spans[i : i+1])
				}
			}
			h.Add(a.Cut(end))
		}
		if d := a.Stats().Dropped; d != (Dropped{}) {
			t.Fatalf("dropped %+v", d)
		}
		for _, s := range h.Beats(100) {
			compare := func(name string, g foresail.Gauge, replica string) {
				last, mean := inFlight(spans, replica, s.Start, s.End)
				if math.Abs(g.Last-last) > 1e-3 || math.Abs(g.Mean-mean) > 1e-9 || g.Max < g.Last || g.Max < g.Mean {
					t.Fatalf("%s from %s: %+v, want last %g mean %g", name, s.Start.Sub(epoch), g, last, mean)
				}
			}
			compare("cart", s.Services[1].InFlight, "")
			for _, r := range s.Services[1].Replicas {
				compare(r.Name, r.InFlight, r.Name)
			}
		}
	})
}

// inFlight is the number in flight just before end and its mean, of one replica or of all, from the list of spans.
func inFlight(spans []foresail.Span, replica string, start, end time.Time) (last, mean float64) {
	for _, s := range spans {
		if replica != "" && s.Replica != replica {
			continue
		}
		if s.Start.Before(end) && !s.End.Before(end) {
			last += s.Weight
		}
		lo, hi := s.Start, s.End
		if lo.Before(start) {
			lo = start
		}
		if hi.After(end) {
			hi = end
		}
		if d := hi.Sub(lo); d > 0 {
			mean += s.Weight * d.Seconds() / end.Sub(start).Seconds()
		}
	}
	return last, mean
}
