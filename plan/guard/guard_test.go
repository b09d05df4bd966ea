package guard_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/plantest"
)

// fake decides by a function of the time since the epoch.
type fake struct {
	name  string
	needs foresail.Needs
	f     func(at time.Duration, h *foresail.History) (*foresail.Plan, error)
	asked int
}

func (m *fake) Name() string          { return m.name }
func (m *fake) Needs() foresail.Needs { return m.needs }
func (m *fake) Decide(h *foresail.History) (*foresail.Plan, error) {
	m.asked++
	return m.f(h.Now().Sub(plantest.Epoch), h)
}

func each(name string, every time.Duration, f func(at time.Duration, h *foresail.History) (*foresail.Plan, error)) *fake {
	return &fake{name: name, needs: foresail.Needs{Every: every, Required: foresail.SignalCPU, Beats: 1}, f: f}
}

// ask is a plan of one change for service 0.
func ask(replicas int, cpu float64) *foresail.Plan {
	return &foresail.Plan{Changes: []foresail.Change{{To: foresail.Allocation{Replicas: replicas, CPU: cpu}, Reason: foresail.Reason{Rule: "test", Text: "because"}}}}
}

func quiet(time.Duration, *foresail.History) (*foresail.Plan, error) { return nil, nil }

func always(p *foresail.Plan) func(time.Duration, *foresail.History) (*foresail.Plan, error) {
	return func(time.Duration, *foresail.History) (*foresail.Plan, error) { return p, nil }
}

func wrap(t testing.TB, inner, baseline foresail.Manager, c guard.Config) *guard.Manager {
	t.Helper()
	g, err := guard.New(inner, baseline, c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// play runs the loop and writes down what the guard decided: time, allocation asked for, its rule, and the fallback.
// Decisions that say the same as the one before are left out.
func play(t *testing.T, c *plantest.Cluster, g foresail.Manager) []string {
	t.Helper()
	var lines []string
	last := "-"
	err := loop.Run(context.Background(), c, g, loop.Options{Mode: loop.Auto, Events: loop.Events{Decided: func(d loop.Decision) {
		if d.Err != nil {
			t.Errorf("%v: the guard erred: %v", c.Now(), d.Err)
		}
		what := describe(d.Plan)
		if what != last {
			lines = append(lines, fmt.Sprintf("%v %s", c.Now(), what))
		}
		last = what
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func describe(p *foresail.Plan) string {
	if p == nil {
		return "-"
	}
	var parts []string
	for _, ch := range p.Changes {
		parts = append(parts, fmt.Sprintf("s%d to %v by %s", ch.Service, ch.To, ch.Reason.Rule))
	}
	if p.Note != "" {
		parts = append(parts, "note: "+p.Note)
	}
	if p.Fallback != "" {
		parts = append(parts, "fallback: "+p.Fallback)
	}
	return strings.Join(parts, " | ")
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

func between(at, from, to time.Duration) bool { return at > from && at <= to }

// A manager that is fine is left alone, reasons and all.
func TestASafePlanPasses(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.5 }}
	g := wrap(t, each("m", time.Second, always(ask(2, 1.5))), each("base", time.Second, quiet), guard.Config{})
	p, err := g.Decide(c.Filled(g.Needs(), time.Second))
	if err != nil || len(p.Changes) != 1 || p.Manager != "guard(m)" || p.Fallback != "" || p.Note != "" {
		t.Fatalf("%+v, %v", p, err)
	}
	if ch := p.Changes[0]; ch.To.String() != "2 × 1.50 cores" || ch.Reason.Text != "because" {
		t.Errorf("%+v", ch)
	}
	if !p.At.Equal(plantest.Epoch.Add(time.Second)) {
		t.Errorf("decided at %v", p.At)
	}
}

// Each fault strikes a working manager from 5 s to 8 s. The baseline, which wants three replicas, must decide at 6 s, the
// first decision after it struck, and the inner manager be back after three good answers: at 11 s.
func TestEveryFaultFallsBackWithinOneDecisionAndComesBack(t *testing.T) {
	struck := func(at time.Duration) bool { return between(at, 5*time.Second, 8*time.Second) }
	bad := func(make func() (*foresail.Plan, error)) func(time.Duration, *foresail.History) (*foresail.Plan, error) {
		return func(at time.Duration, _ *foresail.History) (*foresail.Plan, error) {
			if struck(at) {
				return make()
			}
			return ask(2, 1), nil
		}
	}
	change := func(cs ...foresail.Change) func() (*foresail.Plan, error) {
		return func() (*foresail.Plan, error) { return &foresail.Plan{Changes: cs}, nil }
	}
	cases := []struct {
		name  string
		inner func(time.Duration, *foresail.History) (*foresail.Plan, error)
		set   func(*plantest.Cluster)
		why   string
	}{
		{"error", bad(func() (*foresail.Plan, error) { return nil, errors.New("no such row") }), nil, "no such row"},
		{"missing model", bad(func() (*foresail.Plan, error) { return nil, fmt.Errorf("sinan: %w", foresail.ErrNoModel) }), nil, "sinan: no model"},
		{"panic", bad(func() (*foresail.Plan, error) { panic(errors.New("index out of range")) }), nil, "panic: index out of range"},
		{"CPU is not a number", bad(change(foresail.Change{To: foresail.Allocation{Replicas: 1, CPU: math.NaN()}})), nil,
			"nonsense plan: s0 should have 1 replicas of NaN cores and 0 bytes"},
		{"infinite CPU", bad(change(foresail.Change{To: foresail.Allocation{Replicas: 1, CPU: math.Inf(1)}})), nil,
			"nonsense plan: s0 should have 1 replicas of +Inf cores and 0 bytes"},
		{"negative replicas", bad(change(foresail.Change{To: foresail.Allocation{Replicas: -1, CPU: 1}})), nil,
			"nonsense plan: s0 should have -1 replicas of 1 cores and 0 bytes"},
		{"unknown service", bad(change(foresail.Change{Service: 7, To: foresail.Allocation{Replicas: 1, CPU: 1}})), nil,
			"nonsense plan: service 7, and test has services 0 to 0"},
		{"a service twice", bad(change(foresail.Change{To: foresail.Allocation{Replicas: 2, CPU: 1}}, foresail.Change{To: foresail.Allocation{Replicas: 9, CPU: 1}})), nil,
			"nonsense plan: s0 twice"},
		{"a setting that is not a number", bad(change(foresail.Change{To: foresail.Allocation{Replicas: 1, CPU: 1, Settings: map[string]float64{"ways": math.NaN()}}})), nil,
			"nonsense plan: s0 should have ways NaN"},
		{"a missing signal", always(ask(2, 1)), func(c *plantest.Cluster) {
			c.Hidden = func(at time.Duration) foresail.Signals {
				if at >= 5*time.Second && at < 8*time.Second {
					return foresail.SignalCPU
				}
				return 0
			}
		}, "signals that m requires are missing: cpu"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			cl := &plantest.Cluster{Application: plantest.App(1), Until: 14 * time.Second,
				Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
			if c.set != nil {
				c.set(cl)
			}
			g := wrap(t, each("m", time.Second, c.inner), each("base", time.Second, always(ask(3, 1))), guard.Config{Cooldown: -1, Observed: time.Second})
			pre := "fallback: m: " + c.why + "; base decides since 12:00:06"
			want(t, play(t, cl, g),
				"1s s0 to 2 × 1.00 cores by test",
				"2s -",
				"6s s0 to 3 × 1.00 cores by test | "+pre,
				"7s "+pre,
				"9s note: 1 of 3 good answers before m is back | "+pre,
				"10s note: 2 of 3 good answers before m is back | "+pre,
				"11s s0 to 2 × 1.00 cores by test | note: m is back after 3 good answers",
				"12s -")
		})
	}
}

func TestSilenceLowersNothingAndRaisesStillPass(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(2), Until: 13 * time.Second,
		Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.1 },
		Silent: func(at time.Duration) bool { return at >= 4500*time.Millisecond && at < 9*time.Second }}
	c.Put(0, foresail.Allocation{Replicas: 4, CPU: 1})
	both := &foresail.Plan{Changes: []foresail.Change{
		{Service: 0, To: foresail.Allocation{Replicas: 3, CPU: 1}, Reason: foresail.Reason{Text: "low"}},
		{Service: 1, To: foresail.Allocation{Replicas: 2, CPU: 1}, Reason: foresail.Reason{Rule: "up"}},
	}}
	g := wrap(t, each("m", time.Second, quiet), each("base", time.Second, always(both)), guard.Config{})
	kept := "note: s0: kept at 4 × 1.00 cores, though base asked for 3 × 1.00 cores (low): nothing is lowered while nothing is observed"
	why := " | fallback: m: telemetry is stale: nothing was observed since 12:00:04; base decides since 12:00:05"
	silent := kept + why
	early := "note: s0: kept at 4 × 1.00 cores, though base asked for 3 × 1.00 cores (low): nothing is lowered before its CPU was observed for 10s, and it was for "
	want(t, play(t, c, g),
		"5s s1 to 2 × 1.00 cores by up | "+silent,
		"6s "+silent,
		"10s "+early+"5.5s; 1 of 3 good answers before m is back"+why,
		"11s "+early+"6.5s; 2 of 3 good answers before m is back"+why,
		"12s note: m is back after 3 good answers", "13s -")
}

func TestSilenceFromTheStart(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 2 * time.Second, Silent: func(time.Duration) bool { return true }}
	g := wrap(t, each("m", time.Second, always(ask(2, 1))), each("base", time.Second, always(ask(3, 1))), guard.Config{})
	for _, l := range play(t, c, g) {
		if !strings.Contains(l, "s0: kept as it is") || !strings.Contains(l, "nothing was observed yet") {
			t.Error(l)
		}
	}
	if len(c.Plans) != 0 {
		t.Errorf("applied %+v", c.Plans)
	}
}

func TestABaselineThatFailsTooKeepsEverything(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 2 * time.Second}
	g := wrap(t, each("m", time.Second, func(time.Duration, *foresail.History) (*foresail.Plan, error) { panic("a") }),
		each("base", time.Second, func(time.Duration, *foresail.History) (*foresail.Plan, error) { panic("b") }), guard.Config{})
	want(t, play(t, c, g), "1s fallback: m: panic: a; base failed too (panic: b), so everything is kept")
}

func TestAManagerIsBuiltAnewAfterAPanic(t *testing.T) {
	built := 0
	broken := each("m", time.Second, func(time.Duration, *foresail.History) (*foresail.Plan, error) { panic("inconsistent") })
	g := wrap(t, broken, each("base", time.Second, quiet), guard.Config{Rebuild: func() (foresail.Manager, error) {
		if built++; built < 3 {
			return nil, errors.New("not yet")
		}
		return each("m", time.Second, always(ask(2, 1))), nil
	}})
	c := &plantest.Cluster{Application: plantest.App(1), Until: 7 * time.Second}
	lines := play(t, c, g)
	if built != 3 || g.Inner() == broken || c.Have(0).Replicas != 2 {
		t.Errorf("built %d times, has %v:\n%s", built, c.Have(0), strings.Join(lines, "\n"))
	}
	g = wrap(t, broken, each("base", time.Second, quiet), guard.Config{Rebuild: func() (foresail.Manager, error) { panic("again") }})
	play(t, &plantest.Cluster{Application: plantest.App(1), Until: 2 * time.Second}, g)
}

// The inner manager decides each minute, the baseline each 15 s. A fault of telemetry is seen in between.
func TestTheGuardLooksAsOftenAsTheMoreFrequentManager(t *testing.T) {
	inner := each("m", time.Minute, quiet)
	base := each("base", 15*time.Second, always(ask(2, 1)))
	c := &plantest.Cluster{Application: plantest.App(1), Until: 2 * time.Minute, Silent: func(at time.Duration) bool {
		return at >= 65*time.Second && at < 80*time.Second
	}}
	g := wrap(t, inner, base, guard.Config{})
	if e := g.Needs().Every; e != 15*time.Second {
		t.Fatalf("decides each %v", e)
	}
	lines := play(t, c, g)
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "1m15s s0 to 2 × 1.00 cores by test | fallback: m: telemetry is stale") {
		t.Errorf("%s", strings.Join(lines, "\n"))
	}
	if inner.asked != 2 || base.asked != 8 {
		t.Errorf("the inner manager was asked %d times and the baseline %d, want 2 and 8", inner.asked, base.asked)
	}
}

func TestTheBaselineIsAskedAtOnceWhenItIsNeeded(t *testing.T) {
	base := each("base", time.Minute, always(ask(2, 1)))
	g := wrap(t, each("m", time.Second, func(at time.Duration, _ *foresail.History) (*foresail.Plan, error) {
		if at >= 5*time.Second {
			return nil, errors.New("lost")
		}
		return nil, nil
	}), base, guard.Config{})
	c := &plantest.Cluster{Application: plantest.App(1), Until: 6 * time.Second}
	want(t, play(t, c, g), "5s s0 to 2 × 1.00 cores by test | fallback: m: lost; base decides since 12:00:05",
		"6s fallback: m: lost; base decides since 12:00:05")
}

// The clock of snapshots is put back by an hour and later forward by two.
func TestClockJumps(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 60 * time.Second,
		Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.2 },
		Shift: func(at time.Duration) time.Duration {
			switch {
			case at >= 40*time.Second:
				return time.Hour
			case at >= 20*time.Second:
				return -time.Hour
			}
			return 0
		}}
	c.Put(0, foresail.Allocation{Replicas: 8, CPU: 1})
	g := wrap(t, each("m", time.Second, always(ask(1, 1))), each("base", time.Second, quiet), guard.Config{})
	var lowered []time.Duration
	for _, l := range play(t, c, g) {
		if strings.Contains(l, "s0 to ") {
			var at time.Duration
			at, _ = time.ParseDuration(strings.Fields(l)[0])
			lowered = append(lowered, at)
		}
		if strings.Contains(l, "fallback") {
			t.Error(l)
		}
	}
	// 8 to 4 to 2 within the first minute's limit; the jump back starts a new minute, but only once 10 s were observed of
	// it may anything be lowered.
	if fmt.Sprint(lowered) != "[10s 11s 30s]" {
		t.Errorf("lowered at %v", lowered)
	}
	if c.Have(0).Replicas != 1 {
		t.Errorf("ended at %v", c.Have(0))
	}
}

func TestANewGeneration(t *testing.T) {
	app := plantest.App(2)
	app.Generation = 1
	c := &plantest.Cluster{Application: plantest.App(1), Until: 3 * time.Second}
	second := &foresail.Plan{Changes: []foresail.Change{{Service: 1, To: foresail.Allocation{Replicas: 2, CPU: 1}, Reason: foresail.Reason{Rule: "new"}}}}
	g := wrap(t, each("m", time.Second, func(at time.Duration, h *foresail.History) (*foresail.Plan, error) {
		if at == time.Second {
			c.Application = app
		}
		return second, nil
	}), each("base", time.Second, quiet), guard.Config{Return: 1})
	want(t, play(t, c, g),
		"1s fallback: m: nonsense plan: service 1, and test has services 0 to 0; base decides since 12:00:01",
		"2s s1 to 2 × 1.00 cores by new | note: m is back after 1 good answers", "3s -")
}

// What the cluster can't give is named by the loop before the first decision, and the guard falls back in that decision.
func TestASignalThatTheClusterCannotGive(t *testing.T) {
	m := each("m", time.Second, always(ask(2, 1)))
	m.needs.Required |= foresail.SignalLatency
	g := wrap(t, m, each("base", time.Second, always(ask(3, 1))), guard.Config{})
	c := &plantest.Cluster{Application: plantest.App(1), Until: 5 * time.Second,
		Hidden: func(time.Duration) foresail.Signals { return foresail.SignalLatency }}
	var lines []string
	err := loop.Run(context.Background(), c, g, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Missing: func(s foresail.Signals) { lines = append(lines, fmt.Sprintf("%v missing %v", c.Now(), s)) },
		Decided: func(d loop.Decision) {
			if d.Applied {
				lines = append(lines, fmt.Sprintf("%v %s", c.Now(), describe(d.Plan)))
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want(t, lines, "1s missing latency",
		"1s s0 to 3 × 1.00 cores by test | fallback: m: signals that m requires are missing: latency; base decides since 12:00:01")
}

func TestTheFallbackOfAWrapperInsideIsHandedOn(t *testing.T) {
	g := wrap(t, each("m", time.Second, always(&foresail.Plan{Fallback: "the wrapper's own"})), each("base", time.Second, quiet), guard.Config{})
	want(t, play(t, &plantest.Cluster{Application: plantest.App(1), Until: time.Second}, g), "1s fallback: the wrapper's own")
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	m := each("m", time.Second, quiet)
	_, err := guard.New(m, m, guard.Config{StepUp: 0.5, StepDown: 2, PeriodUp: 0.1, PeriodDown: -1, Cap: 1.2, Period: -1, Sustain: time.Hour, Return: -1})
	for _, s := range []string{"StepUp 0.5", "StepDown 2", "PeriodUp 0.1", "PeriodDown -1", "Cap 1.2", "Period -1ns", "Window 5m0s", "Return -1", "build it twice"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
	if _, err := guard.New(nil, nil, guard.Config{}); err == nil || !strings.Contains(err.Error(), "no manager to guard") || !strings.Contains(err.Error(), "no baseline") {
		t.Errorf("got %v", err)
	}
}
