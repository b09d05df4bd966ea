package telemetry_test

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

const reportAll = foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors

// report is what cart-1 says of a beat.
func report(i int, g foresail.Gauge, arrivals, completions float64) Report {
	return Report{Service: "cart", Replica: "cart-1", Start: beat(i).UnixNano(), End: beat(i + 1).UnixNano(), Has: reportAll, InFlight: g,
		Since: epoch.UnixNano(), Arrivals: arrivals, Completions: completions}
}

// A queue that grows is in the beat's own snapshot, while spans tell nothing yet; without spans the counters are the
// report's.
func TestReportsTellOfRequestsThatHaveNotEnded(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	for i := range 20 {
		n := float64(i + 1)
		a.AddReports(beat(i+1).Add(ms), []Report{report(i, foresail.Gauge{Last: n, Mean: n - 0.5, Max: n + 1}, n, 0)})
		s := a.Cut(beat(i + 1))
		want := foresail.Gauge{Last: n, Mean: n - 0.5, Max: n + 1}
		if c := s.Services[1]; s.Stale || c.Has != reportAll || c.InFlight != want || c.Replicas[0].InFlight != want || c.Arrivals != 1 || c.Completions != 0 {
			t.Fatalf("beat %d: %+v", i, c)
		}
	}
}

// Where a replica reports, its spans, which come late, add nothing to what is in flight, and its reports nothing to what
// spans count.
func TestReportsAndSpansCountOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := NewAssembler(testApp(), Options{Start: epoch})
		h := foresail.NewHistory(testApp(), foresail.Needs{Beats: 100})
		var sent, requests float64
		var want []float64
		for i := range 30 {
			n := float64(rapid.IntRange(0, 20).Draw(t, "in flight"))
			want = append(want, n)
			for range rapid.IntRange(1, 3).Draw(t, "spans") {
				sent++
				took := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "took"))
				a.Add([]foresail.Span{request(uint64(sent), "cart", time.Duration(i)*foresail.Beat-took, took)})
			}
			a.AddReports(beat(i+1), []Report{report(i, foresail.Gauge{Last: n, Mean: n, Max: n}, 1000+sent, sent)})
			h.Add(a.Cut(beat(i + 1)))
		}
		for i, s := range h.Beats(30) {
			c := s.Services[1]
			requests += c.Completions
			if i > 0 && (c.InFlight.Last != want[i] || math.Abs(c.InFlight.Mean-want[i]) > 1e-9 || c.InFlight.Max != want[i]) {
				t.Fatalf("beat %d: %+v, want %g", i, c.InFlight, want[i])
			}
		}
		if requests != sent {
			t.Fatalf("%g requests of %g", requests, sent)
		}
	})
}

// What was reported last stands for a while: zero for two seconds, more for 300 ms. Then it is absent.
func TestReportsStandForAWhile(t *testing.T) {
	for _, test := range []struct {
		n     float64
		beats int
	}{{0, 20}, {5, 3}} {
		a := NewAssembler(testApp(), Options{Start: epoch})
		a.AddReports(beat(1), []Report{report(0, foresail.Gauge{Last: test.n, Mean: 7, Max: 9}, 0, 0)})
		a.Cut(beat(1))
		for i := 1; i < 30; i++ {
			s := a.Cut(beat(i + 1))
			known := s.Services[1].Has.Has(foresail.SignalInFlight)
			if known != (i <= test.beats) || s.Stale == known || known && s.Services[1].InFlight != (foresail.Gauge{Last: test.n, Mean: test.n, Max: test.n}) {
				t.Fatalf("%g in flight, beat %d: %+v", test.n, i, s.Services[1])
			}
		}
	}
}

// A report that comes after its beat was cut still tells what is in flight now, and its counters aren't lost. A process
// that begins anew counts from zero; one that is first heard of in mid-life does not bring its past along.
func TestReportsLateAndAnew(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	old := report(0, foresail.Gauge{Last: 3}, 500, 400)
	old.Since -= int64(time.Hour)
	a.AddReports(beat(1), []Report{old})
	if c := a.Cut(beat(1)).Services[1]; c.Arrivals != 0 {
		t.Errorf("the past came along: %+v", c)
	}
	a.Cut(beat(2))
	late := report(1, foresail.Gauge{Last: 4, Mean: 9, Max: 9}, 510, 405)
	late.Since = old.Since
	a.AddReports(beat(2).Add(50*ms), []Report{late})
	if c := a.Cut(beat(3)).Services[1]; c.Arrivals != 10 || c.Completions != 5 || c.InFlight != (foresail.Gauge{Last: 4, Mean: 4, Max: 4}) {
		t.Errorf("late: %+v", c)
	}
	anew := report(3, foresail.Gauge{Last: 1, Mean: 1, Max: 1}, 7, 6)
	anew.Since = beat(3).UnixNano()
	a.AddReports(beat(4), []Report{anew})
	if c := a.Cut(beat(4)).Services[1]; c.Arrivals != 7 || c.Completions != 6 || c.InFlight.Last != 1 {
		t.Errorf("anew: %+v", c)
	}
}

// Reports of strangers, and of what can't be, are not taken. A clock that is off is not believed.
func TestReportsThatAreWrong(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	bad := []Report{{}, report(0, foresail.Gauge{Last: math.NaN()}, 0, 0), report(0, foresail.Gauge{Last: -1}, 0, 0),
		report(0, foresail.Gauge{}, math.Inf(1), 0), report(0, foresail.Gauge{}, 0, 0), report(0, foresail.Gauge{}, 0, 0), report(0, foresail.Gauge{}, 0, 0)}
	bad[4].Service, bad[5].End, bad[6].Has = "stranger", bad[5].Start, foresail.SignalCPU
	if r := a.AddReports(beat(1), bad); r.Rejected != len(bad) || r.Reason == "" {
		t.Errorf("%+v", r)
	}
	ahead := report(36_000, foresail.Gauge{Last: 2, Mean: 2, Max: 2}, 0, 0)
	a.AddReports(beat(1), []Report{ahead})
	if c := a.Cut(beat(1)).Services[1]; c.InFlight.Last != 2 {
		t.Errorf("%+v", c)
	}
	if s := a.Stats(); s.Reports != 8 || s.ReportsDropped != 7 || s.Received != 0 {
		t.Errorf("%+v", s)
	}
}

// A queue is reported beside what is in flight, and replicas add up.
func TestReportsOfReplicasAddUp(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	var all []Report
	for _, name := range []string{"a", "b"} {
		r := report(0, foresail.Gauge{Last: 2, Mean: 1, Max: 3}, 0, 0)
		r.Replica, r.Has, r.Queue = name, foresail.SignalInFlight|foresail.SignalQueue, foresail.Gauge{Last: 1, Mean: 0.5, Max: 1}
		all = append(all, r)
	}
	a.AddReports(beat(1), all)
	c := a.Cut(beat(1)).Services[1]
	if c.InFlight != (foresail.Gauge{Last: 4, Mean: 2, Max: 6}) || c.Queue != (foresail.Gauge{Last: 2, Mean: 1, Max: 2}) || len(c.Replicas) != 2 {
		t.Errorf("%+v", c)
	}
}
