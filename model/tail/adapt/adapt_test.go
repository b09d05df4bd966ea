package adapt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/adapt"
	"foresail.dev/model/tail/drift"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func app() *foresail.App {
	return &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}},
		Endpoints: []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}}
}

// step is a second with a p99; every second that ends on a full minute is violated.
func step(at time.Time, p99 float64) tail.Step {
	s := tail.Step{End: at, Services: []tail.ServiceStep{{Cores: 2}}, Endpoints: []tail.EndpointStep{{Requests: 100}}}
	s.Latency[tail.P99] = p99
	if at.Second() == 0 {
		s.Endpoints[0].Late = 50
	}
	return s
}

func run(from time.Time, n int) tail.Run {
	r := tail.Run{Name: "a run"}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range n {
		r.Steps = append(r.Steps, step(from.Add(time.Duration(i)*time.Second), 100+10*rng.NormFloat64()))
	}
	return r
}

// The buffer holds the newest seconds, whatever comes: against a list of all.
func TestBuffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40).Draw(t, "limit")
		b := adapt.NewBuffer(time.Duration(limit) * time.Second)
		at := start
		var all []time.Time
		for _, jump := range rapid.SliceOfN(rapid.SampledFrom([]int{1, 1, 1, 1, 1, 2, 7, -3}), 0, 120).Draw(t, "jumps") {
			at = at.Add(time.Duration(jump) * time.Second)
			if jump < 0 {
				all = nil
			}
			all = append(all, at)
			b.Add(step(at, 1))
		}
		want := all[max(len(all)-limit, 0):]
		since := start.Add(time.Duration(rapid.IntRange(-1, 60).Draw(t, "since")) * time.Second)
		var got []time.Time
		for _, r := range b.Since(since) {
			for i, s := range r.Steps {
				if i > 0 && s.End.Sub(r.Steps[i-1].End) != time.Second {
					t.Fatal("a run with a gap")
				}
				got = append(got, s.End)
			}
		}
		var late []time.Time
		for _, w := range want {
			if w.After(since) {
				late = append(late, w)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(late) || b.Seconds() != len(want) {
			t.Fatalf("%v, want %v", got, late)
		}
	})
}

// What is learnt and what is judged on are apart by as much as one sample reaches over, and the newest are judged on.
func TestSplit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var runs []tail.Run
		at := start
		for _, n := range rapid.SliceOfN(rapid.IntRange(1, 50), 1, 4).Draw(t, "runs") {
			runs = append(runs, run(at, n))
			at = at.Add(time.Duration(n)*time.Second + time.Hour)
		}
		total := adapt.Count(runs)
		held := rapid.IntRange(0, total+5).Draw(t, "held")
		learn, judge := adapt.Split(runs, held)
		if got := adapt.Count(judge); got != min(held, total) {
			t.Fatalf("%d are held, want %d", got, min(held, total))
		}
		if lost := total - adapt.Count(learn) - adapt.Count(judge); lost < 0 || lost > tail.Past+tail.Horizon {
			t.Fatalf("%d are in neither", lost)
		}
		if len(learn) > 0 && len(judge) > 0 {
			l, j := learn[len(learn)-1].Steps, judge[0].Steps
			if apart := j[0].End.Sub(l[len(l)-1].End); apart <= (tail.Past+tail.Horizon)*time.Second {
				t.Fatalf("they are %v apart", apart)
			}
		}
	})
}

// says is a predictor that always says the same.
type says struct {
	p    tail.Prediction
	seen [][]float64
}

func (s *says) Look([]tail.Step) error { return nil }
func (s *says) Try(cores [][]float64, out []tail.Prediction) {
	s.seen = append(s.seen, cores...)
	out[0] = s.p
}

func saying(p99, violation float64) *says {
	s := &says{}
	s.p.Latency[tail.P99], s.p.Violation = p99, violation
	return s
}

func measure(p adapt.Predictor, r tail.Run) adapt.Score {
	missed := func(steps []tail.Step) bool {
		return slices.ContainsFunc(steps, func(s tail.Step) bool { return s.Violated(app()) })
	}
	return adapt.Measure(5, p, missed, drift.Ceiling(app()), []tail.Run{r})
}

func TestMeasure(t *testing.T) {
	r := run(start.Add(time.Second), 600)
	got := measure(saying(100, 1.0/15), r)
	// Ten minutes have ten violated seconds, each of which is in the four windows that begin one to four seconds before it; the last
	// is the run's last second, and three of its windows would reach beyond.
	if got.Seconds != 595 || got.Windows != 591 || got.Violations != 37 {
		t.Errorf("%+v", got)
	}
	if math.Abs(got.RMSE-10) > 1 {
		t.Errorf("RMSE %v of noise of 10", got.RMSE)
	}
	want := -(37*math.Log(1.0/15) + 554*math.Log(14.0/15)) / 591
	if math.Abs(got.LogLoss-want) > 1e-9 {
		t.Errorf("log loss %v, want %v", got.LogLoss, want)
	}
	far := run(start, 100)
	for i := range far.Steps {
		far.Steps[i].Latency[tail.P99] = 5000
	}
	if got := measure(saying(700, 0), far); got.RMSE != 0 {
		t.Error("how far beyond the objective a violation is has counted:", got.RMSE)
	}
}

func TestBetter(t *testing.T) {
	s := func(rmse, loss float64) adapt.Score {
		return adapt.Score{Seconds: 300, Windows: 296, RMSE: rmse, LogLoss: loss}
	}
	few := s(1, 0.1)
	few.Seconds = 20
	for _, c := range []struct {
		name     string
		old, new adapt.Score
		better   bool
		says     string
	}{
		{"both", s(40, 0.3), s(20, 0.1), true, "it is better: before: p99 off by 40.0 ms, log loss 0.300"},
		{"latency alone", s(40, 0.3), s(30, 0.3), true, "better"},
		{"probability alone", s(40, 0.3), s(40, 0.2), true, "better"},
		{"hardly", s(40, 0.3), s(39, 0.295), false, "hardly better"},
		{"latency at the cost of safety", s(40, 0.1), s(20, 0.3), false, "worse"},
		{"no number", s(40, 0.1), s(math.NaN(), 0.1), false, "worse"},
		{"the same", s(40, 0.1), s(40, 0.1), false, "hardly"},
		{"too few", few, few, false, "too few"},
	} {
		if why, better := adapt.Better(c.old, c.new, 0.05); better != c.better || !strings.Contains(why, c.says) {
			t.Errorf("%s: %v, %s", c.name, better, why)
		}
	}
}

func TestPolicy(t *testing.T) {
	c := adapt.Default()
	found := []drift.Finding{{Kind: drift.Input, Text: "the mix", Since: start.Add(time.Minute)}, {Kind: drift.Residual, Text: "it is off", Since: start}}
	if got := adapt.From(found); !got.Equal(start) {
		t.Error(got)
	}
	var p adapt.Policy
	now := start.Add(time.Hour)
	ask := func(seconds int, found []drift.Finding) string {
		why, due := p.Due(c, now, found, seconds)
		return fmt.Sprint(due, " ", why)
	}
	for _, want := range []struct{ got, says string }{
		{ask(3600, nil), "false the model fits"},
		{ask(600, found), "10m0s of the 15m0s"},
		{ask(3600, found), "true the mix since 2026-03-01 00:01:00; it is off since"},
		{ask(3600, []drift.Finding{{Kind: drift.Services, Text: "ads came", Since: start}}), "false ads came since 2026-03-01 00:00:00: train a model anew"},
	} {
		if !strings.Contains(want.got, want.says) {
			t.Errorf("%s: want %q", want.got, want.says)
		}
	}
	// Each attempt in vain doubles the time to the next, up to a limit.
	var waits []time.Duration
	for range 7 {
		p.Tried(now, false)
		was := now
		for {
			if _, due := p.Due(c, now, found, 3600); due {
				break
			}
			now = now.Add(time.Minute)
		}
		waits = append(waits, now.Sub(was))
	}
	if got := fmt.Sprint(waits); got != "[20m0s 40m0s 1h20m0s 2h40m0s 4h0m0s 4h0m0s 4h0m0s]" {
		t.Error(got)
	}
	p.Tried(now, true)
	now = now.Add(c.Every)
	if _, due := p.Due(c, now, found, 3600); !due {
		t.Error("after one that was of use, the time to the next is not what it was")
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	if c := adapt.Default(); c.Check() != nil {
		t.Error(c.Check())
	}
	err := (&adapt.Config{Margin: 2}).Check()
	for _, field := range []string{"least", "every", "held", "margin"} {
		if err == nil || !strings.Contains(err.Error(), field+" ") {
			t.Errorf("%s is not in %v", field, err)
		}
	}
}

func ExampleBetter() {
	old := adapt.Score{Seconds: 300, RMSE: 41, Windows: 296, Violations: 12, LogLoss: 0.21}
	tuned := adapt.Score{Seconds: 300, RMSE: 22, Windows: 296, Violations: 12, LogLoss: 0.11}
	why, better := adapt.Better(old, tuned, 0.05)
	fmt.Println(better, why)
	// Output: true it is better: before: p99 off by 41.0 ms, log loss 0.210 (12 violations in 296 windows); after: p99 off by 22.0 ms, log loss 0.110 (12 violations in 296 windows)
}
