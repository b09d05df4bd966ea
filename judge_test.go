package foresail_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// at is a snapshot of one endpoint.
func at(start, d time.Duration, requests, late float64) *foresail.Snapshot {
	return &foresail.Snapshot{Start: epoch.Add(start), End: epoch.Add(start + d), Has: foresail.SignalEndpoints,
		Endpoints: []foresail.EndpointStats{{Requests: requests, Late: late}}}
}

var p90 = foresail.Objective{Percentile: 90, Latency: 100 * time.Millisecond}

// judgement is one window as the stupid way finds it.
type judgement struct {
	start, end    time.Duration
	requests, bad float64
}

// slowJudge puts all intervals into the windows of the clock, then joins those with too few requests with the next.
func slowJudge(all []*foresail.Snapshot, window time.Duration, least float64) []judgement {
	var windows []judgement
	for _, s := range all {
		cell := s.Start.Truncate(window)
		e := s.Endpoints[0]
		if n := len(windows); n > 0 && epoch.Add(windows[n-1].start).Truncate(window).Equal(cell) {
			w := &windows[n-1]
			w.end, w.requests, w.bad = s.End.Sub(epoch), w.requests+e.Requests, w.bad+e.Late
			continue
		}
		windows = append(windows, judgement{s.Start.Sub(epoch), s.End.Sub(epoch), e.Requests, e.Late})
	}
	var out []judgement
	var open *judgement
	for i, w := range windows {
		if open == nil {
			open = &judgement{start: w.start}
		}
		open.end, open.requests, open.bad = w.end, open.requests+w.requests, open.bad+w.bad
		over := epoch.Add(w.end).Truncate(window).After(epoch.Add(w.start).Truncate(window)) || i+1 < len(windows)
		if over && open.requests >= least {
			out = append(out, *open)
			open = nil
		}
	}
	return out
}

// Judged as it comes, the same windows are found as when all is known, with silence and gaps in between.
func TestWindowsAgreeWithTheStupidWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := p90
		o.Window = rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond, 2 * time.Second}).Draw(t, "window")
		o.MinRequests = rapid.SampledFrom([]int{0, 1, 30}).Draw(t, "least")
		j := foresail.NewJudge(0, o)
		var all []*foresail.Snapshot
		var got []judgement
		start := time.Duration(rapid.IntRange(0, 30).Draw(t, "offset")) * foresail.Beat
		for range rapid.IntRange(1, 150).Draw(t, "beats") {
			n := rapid.IntRange(0, 40).Draw(t, "requests")
			s := at(start, foresail.Beat, float64(n), float64(rapid.IntRange(0, n).Draw(t, "late")))
			start += foresail.Beat
			switch rapid.IntRange(0, 19).Draw(t, "kind") {
			case 0:
				s.Stale = true
				j.Add(s)
				continue
			case 1:
				s.Has = 0
				j.Add(s)
				continue
			case 2:
				start += time.Duration(rapid.IntRange(1, 40).Draw(t, "gap")) * foresail.Beat
			}
			all = append(all, s)
			before := j.Windows
			if w, ok := j.Add(s); ok != (j.Windows > before) || ok && w != j.Last {
				t.Fatalf("returned %v %v, and the newest of %d windows is %v", w, ok, j.Windows, j.Last)
			} else if ok {
				if j.Windows == before+2 { // one that a gap left open, which only counts, and the one returned
					got = append(got, judgement{})
				}
				got = append(got, judgement{w.Start.Sub(epoch), w.End.Sub(epoch), w.Requests, w.Bad})
			}
		}
		want := slowJudge(all, o.WindowOrDefault(), float64(o.MinRequestsOrDefault()))
		for i := range min(len(got), len(want)) {
			if got[i] == (judgement{}) {
				got[i] = want[i]
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("got  %v\nwant %v", got, want)
		}
		violated, requests, bad := 0, 0.0, 0.0
		for _, w := range want {
			requests, bad = requests+w.requests, bad+w.bad
			if w.bad > 0.1*w.requests+1e-6 {
				violated++
			}
		}
		if j.Violated != violated || j.Windows != len(want) || j.Requests != requests || j.Bad != bad {
			t.Fatalf("%d of %d violated, %v of %v bad; want %d of %d, %v of %v", j.Violated, j.Windows, j.Bad, j.Requests, violated, len(want), bad, requests)
		}
	})
}

func TestTheAllowedShareIsNoViolation(t *testing.T) {
	j := foresail.NewJudge(0, p90)
	for i, c := range []struct {
		late     float64
		violated bool
	}{{0, false}, {9, false}, {10, false}, {11, true}} {
		w, ok := j.Add(at(time.Duration(i)*time.Second, time.Second, 100, c.late))
		if !ok || w.Violated != c.violated {
			t.Errorf("%v of 100 late: %+v", c.late, w)
		}
	}
	if j.ViolationShare() != 0.25 {
		t.Errorf("share %v", j.ViolationShare())
	}
}

func TestWindowsWithTooFewRequestsAreJoined(t *testing.T) {
	j := foresail.NewJudge(0, p90)
	for i := range 3 {
		w, ok := j.Add(at(time.Duration(i)*time.Second, time.Second, 40, 0))
		if ok != (i == 2) || ok && (w.Requests != 120 || w.End.Sub(w.Start) != 3*time.Second) {
			t.Errorf("second %d: %+v %v", i, w, ok)
		}
	}
}

// A window whose last beats were silent is judged on what there was when the next begins.
func TestSilenceAtAWindowsEndDoesNotJoinItWithTheNext(t *testing.T) {
	j := foresail.NewJudge(0, p90)
	j.Add(at(0, 500*time.Millisecond, 200, 100))
	silent := at(500*time.Millisecond, 500*time.Millisecond, 0, 0)
	silent.Stale = true
	if _, ok := j.Add(silent); ok {
		t.Error("silence was judged")
	}
	if w, ok := j.Add(at(time.Second, 500*time.Millisecond, 200, 0)); !ok || !w.Violated || w.Requests != 200 {
		t.Errorf("%+v %v", w, ok)
	}
	if w, ok := j.Add(at(1500*time.Millisecond, 500*time.Millisecond, 200, 0)); !ok || w.Violated || w.Requests != 400 {
		t.Errorf("%+v %v", w, ok)
	}
}

// g and b are good and bad seconds. An episode ends with its last bad second, once five good ones have passed.
func TestEpisodes(t *testing.T) {
	for _, c := range []struct {
		seconds string
		want    string
	}{
		{"ggg", "[]"},
		{"gbggggg", "[1s–2s]"},
		{"gbgggg", "[1s–]"},
		{"gbggggbggggg", "[1s–7s]"},
		{"bgggggbb", "[0s–1s 6s–]"},
		{"gbbbgggggbggggg", "[1s–4s 9s–10s]"},
	} {
		j := foresail.NewJudge(0, p90)
		for i, r := range c.seconds {
			late := 0.0
			if r == 'b' {
				late = 50
			}
			j.Add(at(time.Duration(i)*time.Second, time.Second, 100, late))
		}
		got := []string{}
		for _, e := range j.Episodes {
			s := e.Start.Sub(epoch).String() + "–"
			if !e.End.IsZero() {
				s += e.End.Sub(epoch).String()
			}
			got = append(got, s)
		}
		if fmt.Sprint(got) != c.want || j.EpisodeCount() != len(got) {
			t.Errorf("%s: %v, want %s", c.seconds, got, c.want)
		}
	}
}

func TestAnEpisodeStartsWithItsFirstLateRequest(t *testing.T) {
	j := foresail.NewJudge(0, p90)
	s := at(0, time.Second, 100, 50)
	s.Endpoints[0].FirstLate = epoch.Add(137 * time.Millisecond)
	j.Add(s)
	if got := j.Episodes[0].Start.Sub(epoch); got != 137*time.Millisecond {
		t.Errorf("started at %v", got)
	}
}

func TestTheBudget(t *testing.T) {
	j := foresail.NewJudge(0, p90)
	if j.BudgetLeft() != 1 {
		t.Errorf("before the first request: %v", j.BudgetLeft())
	}
	for i, c := range []struct{ late, want float64 }{{0, 1}, {10, 0.5}, {10, 1 - 20.0/30}, {40, -0.5}} {
		j.Add(at(time.Duration(i)*time.Second, time.Second, 100, c.late))
		if got := j.BudgetLeft(); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("after second %d: %v, want %v", i, got, c.want)
		}
	}
	strict := foresail.NewJudge(0, foresail.Objective{Percentile: 100})
	strict.Add(at(0, time.Second, 100, 0))
	if strict.BudgetLeft() != 1 {
		t.Errorf("nothing allowed and nothing late: %v", strict.BudgetLeft())
	}
	strict.Add(at(time.Second, time.Second, 100, 1))
	if strict.BudgetLeft() != -1 {
		t.Errorf("nothing allowed and one late: %v", strict.BudgetLeft())
	}
}

func TestAnEndpointThatIsNotThereIsNotJudged(t *testing.T) {
	j := foresail.NewJudge(3, p90)
	if _, ok := j.Add(at(0, time.Second, 100, 100)); ok || j.Windows != 0 {
		t.Error("judged")
	}
}

func ExampleJudge() {
	j := foresail.NewJudge(0, foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond})
	for i, late := range []float64{0, 3, 40, 1} {
		if w, ok := j.Add(at(time.Duration(i)*time.Second, time.Second, 1000, late)); ok && w.Violated {
			fmt.Printf("second %d: %v of %v late\n", i, w.Bad, w.Requests)
		}
	}
	fmt.Printf("%.0f %% of windows violated, %.0f %% of the budget left\n", j.ViolationShare()*100, j.BudgetLeft()*100)
	// Output:
	// second 2: 40 of 1000 late
	// 25 % of windows violated, -10 % of the budget left
}

// Slow requests are known late where they are known from spans. A judge that holds snapshots back counts them in their
// own window; one that does not, never.
func TestHeldJudgementsCountWhatComesLate(t *testing.T) {
	o := p90
	o.MinRequests = 10
	hasty, held := foresail.NewJudge(0, o), foresail.NewJudge(0, o)
	held.Hold = foresail.RevisionLimit
	for i := range 30 {
		s := at(time.Duration(i)*foresail.Beat, foresail.Beat, 5, 0)
		if i > 0 { // of each beat, one request took so long that it is known a beat later
			s.Late = []*foresail.Snapshot{at(time.Duration(i-1)*foresail.Beat, foresail.Beat, 1, 1)}
		}
		hasty.Add(s)
		held.Add(s)
	}
	if held.Windows != 0 {
		t.Errorf("%d windows judged before they are final", held.Windows)
	}
	held.Flush()
	if hasty.Windows != 3 || hasty.Violated != 0 {
		t.Errorf("hasty: %d of %d violated", hasty.Violated, hasty.Windows)
	}
	if held.Windows != 3 || held.Violated != 3 || held.Bad != 29 || held.Requests != 30*5+29 {
		t.Errorf("held: %d of %d violated, %v of %v bad", held.Violated, held.Windows, held.Bad, held.Requests)
	}
	if len(held.Episodes) != 1 || !held.Episodes[0].Start.Equal(epoch) {
		t.Errorf("episodes %v, want one from %v", held.Episodes, epoch)
	}
}

func TestAnEpisodeStartsWithTheEarliestLateRequest(t *testing.T) {
	o := p90
	o.MinRequests = 1
	j := foresail.NewJudge(0, o)
	first, second := at(0, 500*time.Millisecond, 5, 5), at(500*time.Millisecond, 500*time.Millisecond, 5, 5)
	first.Endpoints[0].FirstLate = epoch.Add(450 * time.Millisecond)
	second.Endpoints[0].FirstLate = epoch.Add(-3 * time.Second) // it ended in the second half and arrived long before
	j.Add(first)
	j.Add(second)
	if len(j.Episodes) != 1 || !j.Episodes[0].Start.Equal(epoch.Add(-3*time.Second)) {
		t.Errorf("%v", j.Episodes)
	}
}
