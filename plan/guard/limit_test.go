package guard_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

// after is what becomes of one request, made when the cluster has run for 20 s with the given usage.
func after(t *testing.T, c guard.Config, have, to foresail.Allocation, used float64) (foresail.Allocation, *foresail.Plan) {
	t.Helper()
	cl := &plantest.Cluster{Application: plantest.App(1), Demand: func(foresail.ServiceID, time.Duration) float64 { return used }}
	cl.Put(0, have)
	g := wrap(t, each("m", time.Second, always(&foresail.Plan{Changes: []foresail.Change{{To: to, Reason: foresail.Reason{Text: "so"}}}})),
		each("base", time.Second, quiet), c)
	p, err := g.Decide(cl.Filled(g.Needs(), 20*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if ch, ok := p.Change(0); ok {
		return ch.To, p
	}
	return have, p
}

func TestLimits(t *testing.T) {
	a := func(n int, cpu float64) foresail.Allocation { return foresail.Allocation{Replicas: n, CPU: cpu} }
	cases := []struct {
		name     string
		have, to foresail.Allocation
		used     float64
		want     foresail.Allocation
		rule     string // of the change, or "note" where nothing is left of it; empty: the manager's own
	}{
		{"within all limits", a(2, 1), a(4, 1), 1, a(4, 1), ""},
		{"above the bounds", a(5, 1), a(21, 1), 1, a(20, 1), "guard/bounds"},
		{"below the bounds", a(2, 1), a(0, 0), 0, a(2, 0.5), "guard/step-limit"},
		{"five times at most, in replicas", a(2, 1), a(20, 1), 1, a(10, 1), "guard/step-limit"},
		{"five times at most, in CPU", a(1, 0.5), a(1, 4), 0.4, a(1, 2.5), "guard/step-limit"},
		{"five times at most, in both", a(1, 1), a(20, 4), 1, a(1, 4), "guard/step-limit"},
		{"from one replica to five, the baseline's largest step", a(1, 1), a(5, 1), 1, a(5, 1), ""},
		{"half must be left, in replicas", a(8, 1), a(1, 1), 0, a(4, 1), "guard/step-limit"},
		{"half must be left, in CPU", a(1, 4), a(1, 0.1), 0, a(1, 2), "guard/step-limit"},
		{"what was used over 80 %", a(8, 1), a(4, 1), 4, a(5, 1), "guard/usage"},
		{"what was used over 80 %, in CPU", a(1, 4), a(1, 2), 2, a(1, 2.5), "guard/usage"},
		{"exactly what was used over 80 %", a(2, 1), a(1, 1), 0.8, a(1, 1), ""},
		{"all is used, so nothing may go", a(4, 1), a(2, 1), 4, a(4, 1), "note"},
		{"fewer and larger replicas are no cut", a(4, 1), a(1, 4), 4, a(1, 4), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, p := after(t, guard.Config{}, c.have, c.to, c.used)
			if !got.Equal(c.want) {
				t.Errorf("%v became %v, want %v: %+v", c.to, got, c.want, p)
			}
			rule := ""
			if ch, ok := p.Change(0); ok {
				rule = ch.Reason.Rule
				if rule != "" && (!strings.Contains(ch.Reason.Text, "m asked for "+c.to.String()+" and gets "+c.want.String()) || ch.Reason.Bound == "" || len(ch.Reason.Considered) == 0) {
					t.Errorf("the reason does not say what was made of it: %+v", ch.Reason)
				}
			} else if strings.Contains(p.Note, "kept at") {
				rule = "note"
			}
			if rule != c.rule {
				t.Errorf("rule %q, want %q: %+v", rule, c.rule, p)
			}
		})
	}
}

func TestAReasonReadsWell(t *testing.T) {
	_, p := after(t, guard.Config{}, foresail.Allocation{Replicas: 8, CPU: 1}, foresail.Allocation{Replicas: 4, CPU: 1}, 4)
	r := p.Changes[0].Reason
	want := "m asked for 4 × 1.00 cores and gets 5 × 1.00 cores: up to 4.00 cores were used in the last 20s, which at most 80 % utilisation takes 5.00"
	if r.Text != want || r.Bound != "observed usage" || r.Considered[0] != "m: so" {
		t.Errorf("%+v", r)
	}
}

// A peak four minutes ago still holds the allocation; six minutes later it no longer does.
func TestUsageIsTheLargestOfFiveMinutes(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Beat: time.Second, Until: 10 * time.Minute,
		Demand: func(_ foresail.ServiceID, at time.Duration) float64 {
			if at >= time.Minute && at < 80*time.Second {
				return 6
			}
			return 0.5
		}}
	c.Put(0, foresail.Allocation{Replicas: 10, CPU: 1})
	down := func(at time.Duration, _ *foresail.History) (*foresail.Plan, error) {
		if at < 2*time.Minute {
			return nil, nil
		}
		return ask(1, 1), nil
	}
	g := wrap(t, each("m", time.Second, down), each("base", time.Second, quiet), guard.Config{})
	var at []string
	for _, l := range play(t, c, g) {
		if strings.Contains(l, "s0 to ") {
			at = append(at, strings.Join(strings.Fields(l)[:5], " "))
		}
	}
	// Ten replicas may become 6 / 0.8 = 7.5 at once. From 6m10s on less than ten seconds of the peak are in the window.
	if len(at) < 3 || at[0] != "2m0s s0 to 8 ×" || !strings.HasPrefix(at[1], "6m11s") || c.Have(0).Replicas != 1 {
		t.Errorf("lowered %q", at)
	}
}

func TestWhatWasRaisedIsNotLoweredForAWhile(t *testing.T) {
	n := 0
	seesaw := func(time.Duration, *foresail.History) (*foresail.Plan, error) {
		n++
		return ask(2+2*(n%2), 1), nil // up, down, up, down
	}
	c := &plantest.Cluster{Application: plantest.App(1), Until: time.Minute}
	g := wrap(t, each("m", time.Second, seesaw), each("base", time.Second, quiet), guard.Config{})
	changes := 0
	for _, l := range play(t, c, g) {
		if strings.Contains(l, "s0 to ") {
			changes++
		}
	}
	if changes != 3 { // up at 1 s, down after 30 s, up
		t.Errorf("%d changes in a minute", changes)
	}
}

func TestMemoryIsLimitedLikeCPU(t *testing.T) {
	app := plantest.App(1)
	app.Services[0].Bounds.MinMemory, app.Services[0].Bounds.MaxMemory = 16<<20, 1<<30
	for _, c := range []struct{ to, want int64 }{
		{80 << 20, 80 << 20},   // a replica uses 64 MiB: 80 MiB at 80 %
		{16 << 20, 80 << 20},   // not below what is used
		{1 << 30, 500 << 20},   // five times
		{100 << 40, 500 << 20}, // bounds first
	} {
		cl := &plantest.Cluster{Application: app}
		cl.Put(0, foresail.Allocation{Replicas: 2, CPU: 1, Memory: 100 << 20})
		to := foresail.Allocation{Replicas: 2, CPU: 1, Memory: c.to}
		g := wrap(t, each("m", time.Second, always(&foresail.Plan{Changes: []foresail.Change{{To: to}}})), each("base", time.Second, quiet), guard.Config{})
		p, err := g.Decide(cl.Filled(g.Needs(), time.Second))
		if ch, ok := p.Change(0); err != nil || !ok || ch.To.Memory != c.want {
			t.Errorf("%d MiB: %+v, want %d MiB", c.to>>20, p, c.want>>20)
		}
	}
}

// hostile draws a plan that a broken or malicious manager might make.
func hostile(t *rapid.T, services int) *foresail.Plan {
	number := rapid.OneOf(rapid.Float64Range(0, 5), rapid.Float64Range(0, 5), rapid.Float64Range(0, 5),
		rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), -1, 0, 1e-300, 1e300, math.MaxFloat64}))
	whole := rapid.OneOf(rapid.IntRange(0, 25), rapid.IntRange(0, 25), rapid.SampledFrom([]int{math.MinInt, -1, 0, math.MaxInt, math.MaxInt32}))
	p := &foresail.Plan{}
	for range rapid.IntRange(0, services+1).Draw(t, "changes") {
		p.Changes = append(p.Changes, foresail.Change{
			Service: foresail.ServiceID(rapid.OneOf(rapid.IntRange(0, services-1), rapid.IntRange(0, services-1), rapid.IntRange(-2, services+2)).Draw(t, "service")),
			To: foresail.Allocation{Replicas: whole.Draw(t, "replicas"), CPU: number.Draw(t, "cpu"), Memory: int64(whole.Draw(t, "memory")),
				Settings: map[string]float64{"ways": number.Draw(t, "ways"), "unknown": 1}},
		})
	}
	return p
}

// Whatever both managers say, and whatever is not observed, no plan leaves the bounds or the step limits, and nothing is
// lowered below what was used. The limits are computed here anew from what the cluster really had.
func TestNoPlanLeavesWhatIsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const services = 2
		app := plantest.App(services)
		app.Services[1].Bounds.Settings = map[string]foresail.Range{"ways": {Min: 1, Max: 8}}
		demand := rapid.SliceOfN(rapid.Float64Range(0, 12), 8, 8).Draw(t, "demand")
		hidden := rapid.SliceOfN(rapid.SampledFrom([]foresail.Signals{0, 0, 0, foresail.SignalCPU, foresail.SignalAllocation, foresail.SignalsAll}), 8, 8).Draw(t, "hidden")
		silent := rapid.SliceOfN(rapid.SampledFrom([]bool{false, false, false, true}), 8, 8).Draw(t, "silent")
		phase := func(at time.Duration) int { return int(at/(10*time.Second)) % 8 }
		c := &plantest.Cluster{Application: app, Beat: time.Second,
			Delay:  time.Duration(rapid.IntRange(0, 5).Draw(t, "delay")) * time.Second,
			Demand: func(_ foresail.ServiceID, at time.Duration) float64 { return demand[phase(at)] },
			Hidden: func(at time.Duration) foresail.Signals { return hidden[phase(at)] },
			Silent: func(at time.Duration) bool { return silent[phase(at)] },
		}
		say := func(time.Duration, *foresail.History) (*foresail.Plan, error) {
			if rapid.IntRange(0, 9).Draw(t, "fault") == 0 {
				panic("hostile")
			}
			return hostile(t, services), nil
		}
		cfg := guard.Config{Period: 20 * time.Second, Cooldown: 5 * time.Second, Return: 1}
		g, err := guard.New(each("m", time.Second, say), each("base", time.Second, say), cfg)
		if err != nil {
			t.Fatal(err)
		}
		h := foresail.NewHistory(app, g.Needs())
		asked := make([]foresail.Allocation, services) // what each was last to have
		totals := make([][]float64, services)          // of each second
		for i := range asked {
			asked[i] = app.Services[i].Initial
		}
		var used [services][]float64
		for range 80 {
			at := c.Now()
			h.Add(c.Step())
			seen := !c.Silent(at) && c.Hidden(at)&foresail.SignalCPU == 0
			for i := range services {
				totals[i] = append(totals[i], asked[i].Cores())
				if seen {
					used[i] = append(used[i], min(demand[phase(at)], c.Have(foresail.ServiceID(i)).Cores()))
				}
			}
			p, err := g.Decide(h)
			if err != nil {
				t.Fatalf("the guard erred: %v", err)
			}
			if p == nil {
				continue
			}
			if strings.HasPrefix(p.Fallback, g.Name()) {
				t.Fatalf("the guard panicked: %s", p.Fallback)
			}
			last := foresail.ServiceID(-1)
			for _, ch := range p.Changes {
				if ch.Service <= last || int(ch.Service) >= services {
					t.Fatalf("services out of order: %+v", p.Changes)
				}
				last = ch.Service
				i := ch.Service
				to, was := ch.To.Cores(), asked[i].Cores()
				if in, bound := app.Services[i].Bounds.Clamp(ch.To); bound != "" || len(in.Settings) != len(ch.To.Settings) || !in.Equal(ch.To) {
					t.Fatalf("%v leaves the bounds (%s)", ch.To, bound)
				}
				if ch.Reason.Text == "" && ch.Reason.Rule != "" {
					t.Fatalf("a change without a reason: %+v", ch)
				}
				most, least := was*5, was*0.5
				for _, old := range totals[i][max(0, len(totals[i])-20):] {
					most, least = min(most, old*16), max(least, old*0.25)
				}
				if slack := 2e-6; to > max(most, was)+slack || to < min(least, was)-slack {
					t.Fatalf("%v after %v leaves the steps %v to %v", ch.To, asked[i], least, most)
				}
				if to < was-2e-6 {
					if c.Silent(at) {
						t.Fatalf("lowered in silence: %v after %v", ch.To, asked[i])
					}
					if len(used[i]) < 10 {
						t.Fatalf("lowered after %d s of observed CPU", len(used[i]))
					}
					recent := used[i][len(used[i])-10:] // observed seconds may lie further apart; then they are in several stretches
					sum := 0.0
					for _, u := range recent {
						sum += u
					}
					if h.Seconds(10)[0].Start.Add(9 * time.Second).After(h.Now()) {
						t.Fatal("test needs whole seconds")
					}
					if contiguous(h.Seconds(10)) && to < min(sum/10/0.8, was)-2e-6 {
						t.Fatalf("lowered to %v, and %v cores were used in the last 10 s", ch.To, sum/10)
					}
				}
				asked[i] = ch.To
			}
			_ = c.Apply(context.Background(), p)
		}
	})
}

func contiguous(parts []*foresail.Snapshot) bool {
	for _, p := range parts {
		if p.Stale || !p.Services[0].Has.Has(foresail.SignalCPU) {
			return false
		}
	}
	return len(parts) == 10
}

// benchstat: go test -bench DecideGuard -count 6 ./plan/guard | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideGuard(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			p := &foresail.Plan{}
			for i := range n { // a third up, a third down, a third out of bounds
				to := []foresail.Allocation{{Replicas: 6, CPU: 1}, {Replicas: 2, CPU: 1}, {Replicas: 99, CPU: 9}}[i%3]
				p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i), To: to})
				app.Services[i].Initial.Replicas = 4
			}
			c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 2 }}
			g := wrap(b, each("m", 0, always(p)), each("base", time.Second, quiet), guard.Config{}) // asked each time
			h := c.Filled(g.Needs(), 5*time.Minute)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := g.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}

// CPU that was seen long ago says nothing of now: a service that was idle then may be busy.
func TestNothingIsLoweredWhileCPUIsNotObserved(t *testing.T) {
	cl := &plantest.Cluster{Application: plantest.App(1),
		Demand: func(_ foresail.ServiceID, at time.Duration) float64 {
			if at < 20*time.Second {
				return 0
			}
			return 0.9
		},
		Hidden: func(at time.Duration) foresail.Signals {
			if at >= 20*time.Second {
				return foresail.SignalCPU
			}
			return 0
		}}
	cl.Put(0, foresail.Allocation{Replicas: 1, CPU: 1})
	low := &foresail.Plan{Changes: []foresail.Change{{To: foresail.Allocation{Replicas: 1, CPU: 0.1}, Reason: foresail.Reason{Text: "low"}}}}
	blind := each("m", time.Second, always(low)) // it decides without CPU, so that its absence is no fault
	blind.needs.Required = 0
	g := wrap(t, blind, each("base", time.Second, quiet), guard.Config{})
	p, err := g.Decide(cl.Filled(g.Needs(), 150*time.Second))
	if err != nil || p == nil || len(p.Changes) != 0 || !strings.Contains(p.Note, "while its CPU is not observed") {
		t.Errorf("%+v, %v: want the service kept, and why", p, err)
	}
}

func TestSilenceLowersNoSetting(t *testing.T) {
	for asked, want := range map[float64]float64{1: 10, 12: 12} {
		cl := &plantest.Cluster{Application: plantest.App(1), Until: 5 * time.Second,
			Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.1 },
			Silent: func(at time.Duration) bool { return at >= 2*time.Second }}
		cl.Application.Services[0].Bounds.Settings = map[string]foresail.Range{"ways": {Min: 1, Max: 16}}
		have := func(ways float64) foresail.Allocation {
			return foresail.Allocation{Replicas: 1, CPU: 1, Settings: map[string]float64{"ways": ways}}
		}
		cl.Put(0, have(10))
		base := each("base", time.Second, always(&foresail.Plan{Changes: []foresail.Change{{To: have(asked), Reason: foresail.Reason{Text: "so"}}}}))
		play(t, cl, wrap(t, each("m", time.Second, quiet), base, guard.Config{}))
		if got := cl.Have(0).Settings["ways"]; got != want {
			t.Errorf("asked for %v ways in silence, got %v, want %v", asked, got, want)
		}
	}
}
