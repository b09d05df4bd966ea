package telemetry_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

// However many shards there are, whoever routes the spans, and however late these come, the snapshots are those that one
// assembler gives, late additions and maxima included.
func TestShardsGiveWhatOneGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{}
		if rapid.Bool().Draw(t, "with a start") {
			o.Start = epoch
		}
		if rapid.Bool().Draw(t, "with a load generator") {
			o.EndpointService = "users"
		}
		n := rapid.IntRange(1, 5).Draw(t, "shards")
		one, many := NewAssembler(testApp(), o), NewShards(testApp(), o, n)
		routed := rapid.Bool().Draw(t, "routed outside")
		all := drawSpans(t, foresail.KindUnspecified, foresail.KindInternal, foresail.KindServer, foresail.KindClient, foresail.KindProducer, foresail.KindConsumer)
		for i := 1; i <= 70; i++ {
			for len(all) > 0 && all[0].at.Before(beat(i)) {
				b := BatchOf([]foresail.Span{all[0].span})
				one.AddBatch(time.Time{}, b)
				if routed {
					many.Shard(int(all[0].span.Trace[0])%n).AddBatch(time.Time{}, b)
				} else {
					many.AddBatch(time.Time{}, b)
				}
				all = all[1:]
			}
			if i%rapid.IntRange(1, 3).Draw(t, "beats") != 0 {
				continue
			}
			if a, b := text(one.Cut(beat(i))), text(many.Cut(beat(i))); a != b {
				t.Fatalf("beat %d:\none:  %s\nmany: %s", i, a, b)
			}
		}
		a, b := one.Stats(), many.Stats()
		if a != b {
			t.Fatalf("one:  %+v\nmany: %+v", a, b)
		}
	})
}

// text is a snapshot for comparison. Replicas stand in the order in which they were first heard of, which the routing
// changes; sums are rounded.
func text(s *foresail.Snapshot) string {
	if s == nil {
		return "none"
	}
	var b strings.Builder
	round := func(v float64) float64 { return math.Floor(v*1e6+0.501) / 1e6 } // durations are whole nanoseconds: no ties
	usage := func(u *foresail.Usage) {
		g := u.InFlight
		fmt.Fprintf(&b, "%v in flight %g %g %g, %g %g %g", u.Has, round(g.Last), round(g.Mean), round(g.Max), u.Arrivals, u.Completions, u.Errors)
		if u.Latency != nil {
			fmt.Fprintf(&b, " latency %g %g", u.Latency.Count(), round(u.Latency.Quantile(0.5)))
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%v %v stale %v has %v dropped %g\n", s.Start, s.End, s.Stale, s.Has, s.Dropped)
	for i := range s.Services {
		usage(&s.Services[i].Usage)
		slices.SortFunc(s.Services[i].Replicas, func(x, y foresail.ReplicaStats) int { return strings.Compare(x.Name, y.Name) })
		for j := range s.Services[i].Replicas {
			r := &s.Services[i].Replicas[j]
			b.WriteString(r.Name + " ")
			usage(&r.Usage)
		}
	}
	for _, e := range s.Endpoints {
		fmt.Fprintf(&b, "endpoint %g %g %g %g %v %v\n", e.Arrivals, e.Requests, e.Errors, e.Late, e.FirstLate, e.Slowest)
	}
	for _, e := range s.Edges {
		fmt.Fprintf(&b, "edge %d %d %g %g\n", e.From, e.To, e.Calls, e.Errors)
	}
	for _, l := range s.Late {
		b.WriteString("late " + text(l))
	}
	return b.String()
}

// What is in flight is reported once, whatever shard the spans are in.
func TestShardsReport(t *testing.T) {
	s := NewShards(testApp(), Options{Start: epoch}, 3)
	for i := range uint64(20) {
		s.AddBatch(time.Time{}, BatchOf([]foresail.Span{request(i+1, "cart", 10*ms, 10*ms)}))
	}
	s.AddReports(beat(1), []Report{report(0, foresail.Gauge{Last: 5, Mean: 4, Max: 6}, 20, 15)})
	c := s.Cut(beat(1)).Services[1]
	if c.InFlight != (foresail.Gauge{Last: 5, Mean: 4, Max: 6}) || c.Completions != 20 || len(c.Replicas) != 1 {
		t.Errorf("%+v", c)
	}
}
