package explore

import (
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// Whatever an application does for five seconds after it had less than its maximum, the budget is never exceeded; once it is
// about to be, everything is at its maximum and stays there.
func TestBudgetIsNeverExceeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := time.Duration(rapid.IntRange(6, 40).Draw(t, "budget")) * time.Second
		s := newStage(quiet{}, Config{Budget: budget, Pace: time.Duration(rapid.IntRange(0, 200).Draw(t, "pace")) * time.Second}, rapid.Uint64().Draw(t, "seed"))
		spite := rapid.Float64Range(0, 1).Draw(t, "spite")
		violated, low := 0, 0
		for k := range rapid.IntRange(1, 300).Draw(t, "seconds") {
			v := seen{p99: 50}
			if low > 0 && rapid.Float64Range(0, 1).Draw(t, "chance") <= spite {
				v.p99 = rapid.SampledFrom([]float64{510, 540, 700, 3000}).Draw(t, "p99")
				violated++
			}
			s.second(v)
			if low--; !same(s.cores(), []float64{4, 16, 128}) {
				if low = delay; s.m.Stopped() {
					t.Fatalf("second %d: the budget is spent, and it has %v", k, s.cores())
				}
			}
		}
		if got := time.Duration(violated) * time.Second; got > budget {
			t.Fatalf("violated for %v of a budget of %v", got, budget)
		}
		if got := s.m.Spent(); got != time.Duration(violated)*time.Second {
			t.Fatalf("it counts %v, and it was %d s", got, violated)
		}
	})
}

// With a pace the budget lasts: nothing is lowered while more is spent than the time so far allows.
func TestPace(t *testing.T) {
	s := newStage(t, Config{Budget: time.Minute, Pace: 10 * time.Minute, Random: -1, Hold: -1}, 1)
	s.warm()
	for range 7 { // more than the reserve, at the beginning
		s.second(seen{p99: 520})
	}
	for k := range 10 {
		before := s.cores()
		s.second(seen{p99: 100})
		for i, c := range s.cores() {
			if c < before[i] {
				t.Fatalf("second %d: %s was lowered, with %v spent of %v in ten minutes", k, s.app.Services[i].Name, s.m.Spent(), s.m.c.Budget)
			}
		}
	}
	for range 600 {
		s.second(seen{p99: 100})
	}
	before := s.cores()
	for range 5 {
		s.second(seen{p99: 100})
	}
	if same(s.cores(), before) && s.cores()[0] > 1 {
		t.Error("nothing is lowered, with time enough gone")
	}
}

// Slow requests that become known late are counted where they belong, once.
func TestLateViolations(t *testing.T) {
	s := newStage(t, Config{Budget: time.Minute}, 1)
	s.warm()
	s.second(seen{p99: 50})
	from := s.at.Add(-time.Second)
	s.second(seen{p99: 50})
	if s.m.Spent() != 0 {
		t.Fatalf("%v spent", s.m.Spent())
	}
	snap := &foresail.Snapshot{Start: s.at, End: s.at.Add(time.Second), Has: foresail.SignalEndpoints, Endpoints: make([]foresail.EndpointStats, 1),
		Late: []*foresail.Snapshot{{Start: from, End: from.Add(time.Second), Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Requests: 40, Late: 40}}}}}
	s.at = snap.End
	s.h.Add(snap)
	s.decide()
	if s.m.Spent() != time.Second {
		t.Errorf("%v spent, want a second", s.m.Spent())
	}
	for range 12 {
		s.second(seen{p99: 50})
	}
	if s.m.Spent() != time.Second {
		t.Errorf("%v spent later, want a second still", s.m.Spent())
	}
}

// The budget is one over restarts.
func TestBudgetOverRestarts(t *testing.T) {
	c := Config{Budget: 12 * time.Second}
	s := newStage(t, c, 1)
	s.warm()
	for range 4 {
		s.second(seen{p99: 520})
	}
	state, err := s.m.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := newStage(t, c, 1)
	again.at = s.at.Add(time.Hour)
	if err := again.m.Restore(state); err != nil {
		t.Fatal(err)
	}
	for range 5 { // it begins at the maximum again, which does not count
		again.second(seen{p99: 900})
		if !same(again.cores(), []float64{4, 16, 128}) {
			t.Fatalf("%v after a restart", again.cores())
		}
	}
	for k := range 3 {
		again.second(seen{p99: 520})
		if again.m.Stopped() != (k == 2) {
			t.Fatalf("second %d: %v spent, stopped %v", k, again.m.Spent(), again.m.Stopped())
		}
	}
}
