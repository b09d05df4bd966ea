package explore

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// The published constants of both applications come out of their objectives.
func TestPublishedConstants(t *testing.T) {
	for objective, want := range map[float64]Config{
		500: {Quantum: 100, Roof: 550, Rate: 20, Bias: [6]float64{4.1, 4, 2, .05, .05, .025}, Cap: 0.8},
		200: {Quantum: 25, Roof: 250, Rate: 50, Bias: [6]float64{2.51, 2.5, 2, .0025, .0025, .00125}, Cap: 0.7},
	} {
		want.Random, want.Hold, want.Unit, want.Warmup, want.Recovery, want.Reserve, want.Dwell = 0.01, 0.05, 1, 5, 30, 5*time.Second, 1
		if got := (Config{}).withDefaults(objective); got != want {
			t.Errorf("%v ms: got %+v\nwant %+v", objective, got, want)
		}
	}
}

// "p99 quantised up to 100 ms, above 550 INF; rps quantised up to 20."
func TestHiddenState(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	for _, c := range []struct {
		p99, rate float64
		want      string
	}{{120, 181, "2 10"}, {330, 180, "4 9"}, {510, 200, "6 10"}, {700, 1, "32767 1"}} {
		s.second(seen{p99: c.p99, rate: c.rate})
		n := &now{m: s.m, app: s.app, seconds: s.h.Seconds(3)}
		n.last = n.seconds[len(n.seconds)-1]
		n.see()
		if got := fmt.Sprint(n.hidden.now, n.hidden.rate); got != c.want {
			t.Errorf("p99 %v ms at %v requests/s: %s, want %s", c.p99, c.rate, got, c.want)
		}
	}
}

// "{-0.1x, -1, 0, +1, +0.25x, +0.5x}, ceil'd; reductions below 1 core: 0.8, then steps of 0.2, floor 0.2."
func TestOperations(t *testing.T) {
	for _, c := range []struct{ cores, most, unit, a, b, hold, d, e, f float64 }{
		{16, 16, 1, 15, 15, 16, 17, 20, 24},
		{9, 16, 1, 8, 8, 9, 10, 13, 17},
		{64, 128, 1, 52, 63, 64, 65, 96, 128},
		{4, 4, 1, 3, 3, 4, 5, 5, 6}, // 3.6 would be rounded up to 4
		{2, 4, 1, 1, 1, 2, 3, 3, 4},
		{1, 4, 1, 0.8, 0.8, 1, 2, 2, 3},
		{0.8, 4, 1, 0.6, 0.6, 0.8, 2, 2, 3},
		{0.2, 4, 1, 0.2, 0.2, 0.2, 2, 2, 3},
		{2, 128, 1, 0.8, 1, 2, 3, 34, 66},
		{5.5, 16, 1, 4, 5, 5.5, 7, 10, 14},
		{0.5, 16, 1, 0.4, 0.4, 0.5, 2, 5, 9},
		{0.5, 16, 0.25, 0.2, 0.25, 0.5, 0.75, 4.5, 8.5},
	} {
		want := [6]float64{c.a, c.b, c.hold, c.d, c.e, c.f}
		for k, o := range ops {
			if got := o.next(c.cores, c.most, c.unit); math.Abs(got-want[k]) > 1e-9 {
				t.Errorf("%s of %v cores, at most %v, in units of %v: %v, want %v", o.name, c.cores, c.most, c.unit, got, want[k])
			}
		}
	}
}

// Reductions reduce, down to a fifth; additions add.
func TestOperationsProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.SampledFrom([]float64{0.25, 0.5, 1, 2}).Draw(t, "unit")
		most := rapid.Float64Range(unit, 128).Draw(t, "most")
		cores := rapid.Float64Range(0.2*unit, most).Draw(t, "cores")
		for k, o := range ops {
			to := o.next(cores, most, unit)
			switch {
			case k < hold && !(to < cores-slack/2 || to <= 0.2*unit+slack), k == hold && to != cores, k > hold && to < cores+unit-2*slack && to < cores+o.share*most-2*slack:
				t.Fatalf("%s of %v cores leads to %v", o.name, cores, to)
			case k != hold && to < 0.2*unit-slack:
				t.Fatalf("%s of %v cores leads to %v, below a fifth", o.name, cores, to)
			}
		}
	})
}

// "Score(op) = (CI_now - E[CI_next]) * bias(op) * (0.8 if sat<viol) * exp(-0.99*util*cur/next), CI = sqrt(p(1-p))/sqrt(n),
// counts start at 0.1/0.1, E over Bernoulli outcome", by the long way.
func TestScore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := count{int32(rapid.IntRange(0, 30).Draw(t, "sat")), int32(rapid.IntRange(0, 30).Draw(t, "viol"))}
		bias, util := rapid.Float64Range(0, 5).Draw(t, "bias"), rapid.Float64Range(0, 1).Draw(t, "utilisation")
		cur, next := rapid.Float64Range(0.2, 16).Draw(t, "cores"), rapid.Float64Range(0.2, 16).Draw(t, "next")
		ci := func(s, v float64) float64 { p := s / (s + v); return math.Sqrt(p*(1-p)) / math.Sqrt(s+v) }
		s, v := 0.1+float64(c.sat), 0.1+float64(c.viol)
		p := s / (s + v)
		want := (ci(s, v) - (p*ci(s+1, v) + (1-p)*ci(s, v+1))) * bias * math.Exp(-0.99*util*cur/next)
		if c.sat < c.viol {
			want *= 0.8
		}
		if got := c.score(bias, util, cur, next); math.Abs(got-want) > 1e-12 {
			t.Fatalf("%v, want %v", got, want)
		}
	})
	if a, b := (count{}).gain(), (count{5, 0}).gain(); !(a > b) {
		t.Errorf("an arm never tried promises %v, one tried five times %v", a, b)
	}
}

// "First 5 steps: all services at max."
func TestWarmUp(t *testing.T) {
	s := newStage(t, still, 1)
	for range 5 {
		s.second(seen{p99: 50})
		if !same(s.cores(), []float64{4, 16, 128}) {
			t.Fatalf("%v after %d decisions", s.cores(), s.m.state.Decided)
		}
	}
	s.second(seen{p99: 50})
	if !same(s.cores(), []float64{3, 15, 116}) {
		t.Errorf("%v: then the largest bias, which goes down, decides among arms never tried", s.cores())
	}
}

// "min_cpu = ceil(cur*util/0.8) if mean util of last 3 steps > 0.8, else 0.2."
func TestUtilisationFloor(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	s.have[0].CPU, s.have[1].CPU = 2, 8
	for range recent - 1 {
		s.m.state.Holding = 1
		s.second(seen{p99: 50, used: []float64{0.95, 0.75, 0}})
	}
	s.second(seen{p99: 50, used: []float64{0.95, 0.75, 0}})
	if s.have[0].CPU != 3 { // ceil(2*0.95/0.8)
		t.Errorf("cart has %v cores: used to 95 %% of 2 it must have 3", s.have[0].CPU)
	}
	if s.have[1].CPU != 7 {
		t.Errorf("front has %v cores: used to 75 %% of 8 it may go down by one", s.have[1].CPU)
	}
	if c, _ := s.plan.Change(0); !strings.Contains(fmt.Sprint(c.Reason.Considered), "more than 80 %") {
		t.Errorf("the reason does not say so: %+v", c.Reason)
	}
}

// tried sums the counts over all arms of a service.
func tried(s *stage, service int32) (c count) {
	for a, v := range s.m.state.Arms {
		if a.service == service {
			c.sat, c.viol = c.sat+v.sat, c.viol+v.viol
		}
	}
	return c
}

// "On violation every action in the last 5 steps is charged a violation and the log cleared; otherwise an action is credited
// only when it is 5 steps old."
func TestCredit(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	for k := range 8 { // eight actions: the fifth second after one credits it
		s.second(seen{p99: 50})
		if got, want := tried(s, 0), (count{sat: int32(max(k-4, 0))}); got != want {
			t.Fatalf("after %d actions %+v, want %+v", k+1, got, want)
		}
	}
	s.second(seen{p99: 520}) // within the region of interest
	if got := tried(s, 0); got != (count{3, 5}) {
		t.Errorf("after a violation %+v: the five actions before it are charged", got)
	}
	s.second(seen{p99: 520})
	if got := tried(s, 0); got != (count{3, 6}) {
		t.Errorf("after the next %+v: the log was cleared, so that only the action since is charged", got)
	}
}

// An arm is what the service had, not what was asked for.
func TestCreditOfWhatWasRefused(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	s.refused = true
	for range 7 {
		s.second(seen{p99: 50})
	}
	for a := range s.m.state.Arms {
		if a.service == 0 && a.milli != 4000 {
			t.Errorf("arm of %d thousandths of a core, which it never had", a.milli)
		}
	}
	if len(s.m.state.Arms) == 0 {
		t.Error("nothing was credited")
	}
}

// "p99 > 550: recovery = only up-ops, for all services, at once; after recovery hold 3 steps; not updated during recovery."
func TestRecovery(t *testing.T) {
	s := newStage(t, Config{Random: 1, Hold: 1}, 1) // neither chance counts then
	s.warm()
	s.have[0].CPU, s.have[1].CPU, s.have[2].CPU = 0.4, 3, 0.1
	s.m.state.Log = []entry{{Milli: []int32{400, 3000, 1600}}}
	for k := range 3 {
		before := s.cores()
		rules := s.second(seen{p99: 600})
		for i, r := range rules {
			if r != "explore/recover" || s.cores()[i] <= before[i] {
				t.Errorf("second %d: %s went from %v to %v by %q", k, s.app.Services[i].Name, before[i], s.cores()[i], r)
			}
		}
		if got := tried(s, 0); got != (count{viol: 1}) {
			t.Errorf("second %d: %+v, only what was done before the recovery is charged", k, got)
		}
		s.have[0].CPU, s.have[1].CPU, s.have[2].CPU = 0.4, 3, 0.1
	}
	before := s.cores()
	for k := range 3 {
		if rules := s.second(seen{p99: 90}); !same(s.cores(), before) {
			t.Errorf("second %d after the recovery: %v", k, rules)
		}
	}
	s.m.c.Random, s.m.c.Hold = 0, 0
	s.second(seen{p99: 90})
	if same(s.cores(), before) {
		t.Error("it holds for longer than three seconds")
	}
}

// The artefact gives a run up after 30 seconds of recovery; here everything goes to its maximum.
func TestLost(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	for k := range 31 {
		s.have[0].CPU = 0.2
		s.second(seen{p99: 900})
		if lost := s.plan.Changes[0].Reason.Rule == "explore/lost"; lost != (k >= 30) {
			t.Fatalf("second %d of recovery: %+v", k+1, s.plan.Changes[0].Reason)
		}
	}
	if !same(s.cores(), []float64{4, 16, 128}) {
		t.Errorf("%v", s.cores())
	}
}

// Requests that come and never end are as bad as slow ones.
func TestStall(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	snap := &foresail.Snapshot{Start: s.at, End: s.at.Add(time.Second), Has: foresail.SignalEndpoints, Services: make([]foresail.ServiceStats, 3),
		Endpoints: []foresail.EndpointStats{{Arrivals: 80}}}
	for i := range snap.Services {
		snap.Services[i].Has, snap.Services[i].Allocation = foresail.SignalAllocation, foresail.Allocation{Replicas: s.have[i].Replicas, CPU: 1}
	}
	s.h.Add(snap)
	if rules := s.decide(); rules[0] != "explore/recover" {
		t.Errorf("%v, and none of 80 requests ended", rules)
	}
}

// "explore_rate 0.01 (uniform random in [max(1,cur-1), max]), hold_rate 0.05"; ties are broken by a fair coin.
func TestChances(t *testing.T) {
	s := newStage(t, Config{}, 3)
	s.warm()
	const n = 4000
	held, random := 0, 0
	drawn := map[float64]int{}
	for range n {
		s.have[0].CPU, s.have[1].CPU, s.have[2].CPU = 3, 8, 4
		s.m.state.Arms, s.m.state.Log = arms{}, nil
		s.second(seen{p99: 50})
		if strings.Contains(s.plan.Note, "held") {
			held++
		}
		if c, ok := s.plan.Change(1); ok && strings.Contains(c.Reason.Text, "random") {
			random++
			drawn[c.To.Cores()]++
		}
	}
	near := func(what string, got int, want float64) {
		if math.Abs(float64(got)-want) > 4*math.Sqrt(want) {
			t.Errorf("%s in %d of %d seconds, want about %.0f", what, got, n, want)
		}
	}
	near("everything held", held, 0.05*n)
	near("front drawn at random", random, 0.95*0.01*n*8/9) // what is drawn is one of 8..16, and 8 is no change
	for c := range drawn {
		if c < 8 || c > 16 {
			t.Errorf("drawn: %v cores, where 7 to 16 may be", c)
		}
	}

	s = newStage(t, Config{Random: -1, Hold: -1, Bias: [6]float64{1, 1, 1, 1, 1, 1}}, 5)
	s.warm()
	won := map[float64]int{}
	for range 1000 {
		s.have[1].CPU = 8
		s.m.state.Arms, s.m.state.Log = arms{}, nil
		s.second(seen{p99: 50, used: []float64{0, 0, 0}})
		won[s.have[1].CPU]++
	}
	for _, cores := range []float64{7, 8, 9, 12, 16} { // two operations lead to 7
		want := 1000.0 / 6
		if cores == 7 {
			want *= 2
		}
		if math.Abs(float64(won[cores])-want) > 4*math.Sqrt(want) {
			t.Errorf("%v cores won %d of 1000 draws between equal scores, want about %.0f", cores, won[cores], want)
		}
	}
}

// What can't be observed is not explored: everything goes to its maximum. Snapshots that are too long are refused.
func TestBlind(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	s.second(seen{p99: 50})
	s.hidden = foresail.SignalEndpoints
	if rules := s.second(seen{}); rules[0] != "explore/blind" || !same(s.cores(), []float64{4, 16, 128}) {
		t.Errorf("%v %v", rules, s.cores())
	}
	s.hidden = 0
	s.h.Add(&foresail.Snapshot{Start: s.at, End: s.at.Add(15 * time.Second), Has: foresail.SignalEndpoints})
	if s.decide(); s.err == nil || !strings.Contains(s.err.Error(), "a snapshot covers 15s: exploring needs one each second") {
		t.Errorf("got %v", s.err)
	}
}

// A service that has gone is left alone; so is one that waits for replicas.
func TestGoneAndPending(t *testing.T) {
	s := newStage(t, still, 1)
	s.app.Services[0] = foresail.Service{Name: "cart", Gone: true}
	s.warm()
	if rules := s.second(seen{p99: 50}); rules[0] != "" || rules[1] == "" {
		t.Errorf("%v", rules)
	}
}

func TestNewRefuses(t *testing.T) {
	app := shop(time.Second)
	app.Endpoints[0].Objective = nil
	if _, err := New(app, Config{}, 1); err == nil || !strings.Contains(err.Error(), "no endpoint of shop has an objective") {
		t.Errorf("got %v", err)
	}
	_, err := New(shop(time.Second), Config{Quantum: -1, Roof: 10, Cap: 2, Unit: math.NaN(), Budget: time.Second}, 1)
	for _, want := range []string{"quantum -1", "roof 10 ms: must be at least the objective, 1000 ms", "cap 2", "unit NaN", "budget 1s: must be above what is kept"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err := New(nil, Config{}, 1); err == nil {
		t.Error("no application, and no error")
	}
}

// Whatever is seen, what is asked for lies within the bounds; one that was saved and restored on the way decides alike.
func TestRandomSeconds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Config{Budget: rapid.SampledFrom([]time.Duration{0, 8 * time.Second}).Draw(t, "budget"), Pace: time.Minute, Unit: rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "unit")}
		seed := rapid.Uint64().Draw(t, "seed")
		a, b := newStage(quiet{}, c, seed), newStage(quiet{}, c, seed)
		for range rapid.IntRange(1, 40).Draw(t, "seconds") {
			v := seen{p99: rapid.Float64Range(0, 800).Draw(t, "p99"), rate: rapid.Float64Range(0, 300).Draw(t, "rate"),
				used: rapid.SliceOfN(rapid.Float64Range(0, 1.1), 3, 3).Draw(t, "used")}
			state, err := b.m.Save()
			if err != nil {
				t.Fatal(err)
			}
			if b.m, err = New(b.app, c, seed); err != nil {
				t.Fatal(err)
			}
			if err := b.m.Restore(state); err != nil {
				t.Fatal(err)
			}
			a.second(v)
			b.second(v)
			if got, want := fmt.Sprintf("%+v %v", b.plan, b.err), fmt.Sprintf("%+v %v", a.plan, a.err); got != want {
				t.Fatalf("restored %s\nits twin %s", got, want)
			}
			for i, have := range a.have {
				if got, bound := a.app.Services[i].Bounds.Clamp(have); bound != "" || got.Cores() != have.Cores() {
					t.Fatalf("%v is outside of %+v: %s", have, a.app.Services[i].Bounds, bound)
				}
			}
		}
	})
}

// quiet is a testing.TB that says nothing.
type quiet struct{ testing.TB }

func (quiet) Helper() {}

// A damaged state is refused, and nothing is changed.
func TestRestoreRefuses(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	before, _ := s.m.Save()
	for _, bad := range []string{"", "[]", `{"Decided": -1}`, `{"Arms": [[1,2,3]]}`, `{"Arms": [[1,2,3,4,5,6,-7]]}`, `{"Log": [{},{},{},{},{},{}]}`, `{"Spent": -5}`} {
		if err := s.m.Restore([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if after, _ := s.m.Save(); !slices.Equal(before, after) {
		t.Error("the state changed")
	}
}

// go test -fuzz FuzzRestore -fuzztime 10s ./plan/explore
func FuzzRestore(f *testing.F) {
	s := newStage(f, Config{}, 1)
	for range 20 {
		s.second(seen{p99: 50})
	}
	state, err := s.m.Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Add([]byte(`{"Log": [{"Milli": [1,2,3,4,5,6]}], "Holding": 1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := newStage(t, Config{Budget: time.Minute}, 1)
		if s.m.Restore(b) != nil {
			return
		}
		for range 8 {
			s.second(seen{p99: 50})
		}
	})
}

// Replicas stay as many as they are, unless they are to be moved as well.
func TestReplicas(t *testing.T) {
	for _, moved := range []bool{false, true} {
		c := still
		c.Replicas = moved
		s := newStage(t, c, 1)
		s.app.Services[0].Bounds.MaxReplicas = 3
		s.warm()
		want := map[bool]foresail.Allocation{false: {Replicas: 1, CPU: 4}, true: {Replicas: 3, CPU: 4}}[moved]
		if !s.have[0].Equal(want) {
			t.Errorf("moved %v: the maximum is %v, want %v", moved, s.have[0], want)
		}
	}
}

// When exploring is over everything is put to its maximum.
func TestEnd(t *testing.T) {
	s := newStage(t, still, 1)
	s.warm()
	for range 5 {
		s.second(seen{p99: 50})
	}
	p := s.m.End(s.h)
	for _, c := range p.Changes {
		s.have[c.Service] = c.To
	}
	if !same(s.cores(), []float64{4, 16, 128}) {
		t.Errorf("%v", s.cores())
	}
}
