package vpa

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/plantest"
)

func manager(t testing.TB, app *foresail.App, c Config) *Manager {
	t.Helper()
	m, err := New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Figures of upstream's estimator_test.go: nine samples, two minutes apart, are 9/(60·24) = 0.00625 days; no history is
// infinite or nothing, by the sign of the exponent.
func TestConfidenceIsUpstreams(t *testing.T) {
	h := newHistory(24 * time.Hour)
	if c := h.confidence(); c != 0 || !math.IsInf(multiplier(1, 1, c), 1) || multiplier(1, -1, c) != 0 {
		t.Errorf("no history: confidence %v", c)
	}
	for i := range 9 {
		h.add(1, 1, 1, plantest.Epoch.Add(time.Duration(2*i)*time.Minute))
	}
	if c := h.confidence(); c != 0.00625 {
		t.Errorf("confidence %v, want 0.00625", c)
	}
	if got := 3.14 * multiplier(0.1, 2, h.confidence()); math.Abs(got-907.46) > 1e-9 {
		t.Errorf("3.14 × (1 + 0.1/0.00625)^2 is %v, want 907.46", got)
	}
	// The multipliers that upstream's recommender.go documents.
	const minute = 1.0 / (24 * 60)
	for days, want := range map[float64]float64{0.5: 3, 1: 2, 7: 1.14} {
		if got := multiplier(1, 1, days); math.Abs(got-want) > 0.005 {
			t.Errorf("upper bound after %v days: × %v, want %v", days, got, want)
		}
	}
	for days, want := range map[float64]float64{5 * minute: 0.6, 30 * minute: 0.9, 60 * minute: 0.95} {
		if got := multiplier(0.001, -2, days); math.Abs(got-want) > 0.015 {
			t.Errorf("lower bound after %v days: × %v, want %v", days, got, want)
		}
	}
}

// Figures of upstream's TestPercentileEstimator, TestMarginEstimator and TestMinResourcesEstimator.
func TestTheRecommendation(t *testing.T) {
	b := foresail.Bounds{MaxCPU: 100, MaxMemory: 1 << 40}
	h := newHistory(24 * time.Hour)
	for i := range 3 {
		h.add(float64(i+1), 1, 1, plantest.Epoch)
		h.peak(fmt.Sprint(i), float64(i+1)*1e9, plantest.Epoch)
	}
	m := manager(t, plantest.App(1), Config{Percentile: 0.2, Margin: -1})
	r := m.recommend(h, b)
	if math.Abs(r.cpu.target-1) > 0.05 {
		t.Errorf("p20 of 1, 2 and 3 cores is %v, want 1 within 5 %%", r.cpu.target)
	}
	m = manager(t, plantest.App(1), Config{Percentile: 0.2, Margin: 0.1})
	if got := m.recommend(h, b); got.cpu.target != r.cpu.target*1.1 || math.Abs(got.memory.target-3e9*1.1) > 0.05*3.3e9 {
		t.Errorf("a margin of 10 %%: %+v of %+v, memory %v", got.cpu, r.cpu, got.memory)
	}
	idle := newHistory(24 * time.Hour)
	idle.add(0, 0, 1, plantest.Epoch)
	if got := m.recommend(idle, b); got.cpu.target != 0.025 || got.memory != nil {
		t.Errorf("nothing used: %+v, want 0.025 cores and no memory", got)
	}
	if got := m.recommend(h, foresail.Bounds{MinCPU: 0.1, MaxCPU: 0.5}); got.cpu.target != 0.5 || got.cpu.upper != 0.5 || got.memory != nil {
		t.Errorf("%+v: not within the bounds, or memory that is not managed", got)
	}
}

// A sample of a replica that asks for more weighs more; p50 of one minute at 1 core with a request of 4 and two at 0.1
// with a request of 1 is the former's.
func TestASampleWeighsItsRequest(t *testing.T) {
	h := newHistory(24 * time.Hour)
	h.add(1, 4, 1, plantest.Epoch)
	h.add(0.1, 1, 2, plantest.Epoch.Add(time.Minute))
	if got := h.CPU.Percentile(0.5); math.Abs(got-1) > 0.06 {
		t.Errorf("p50 is %v, want 1", got)
	}
}

func TestAPeakOfMemoryCountsOnceADay(t *testing.T) {
	h := newHistory(24 * time.Hour)
	at := plantest.Epoch
	for i, mb := range []float64{100, 300, 200} {
		h.peak("a", mb*1e6, at.Add(time.Duration(i)*time.Hour))
	}
	if got := h.Memory.Percentile(0); math.Abs(got-300e6) > 0.06*300e6 {
		t.Errorf("the lowest peak of the day is %v, want 300 MB", got)
	}
	h.peak("a", 50e6, at.Add(25*time.Hour))
	if lo, hi := h.Memory.Percentile(0), h.Memory.Percentile(1); math.Abs(lo-50e6) > 0.25*50e6 || math.Abs(hi-300e6) > 0.06*300e6 {
		t.Errorf("two days: %v to %v, want 50 and 300 MB", lo, hi)
	}
}

// Cases of upstream's TestUpdateLonglivedPods and TestUpdateShortlivedPods: target 5, bounds 1 to 6.
func TestTheUpdatersRules(t *testing.T) {
	r := recommendation{cpu: estimate{lower: 1, target: 5, upper: 6}}
	for _, c := range []struct {
		cpu  float64
		old  bool
		want bool
	}{
		{4, true, false}, {1, true, true}, {8, true, true}, {5, true, false}, // old: 25 % is less than 50 %, 400 % is more
		{4, false, false}, {1, false, false}, {10, false, true}, {0.9, false, true}, // young: only what is outside
	} {
		if why, got := r.due(foresail.Allocation{Replicas: 1, CPU: c.cpu}, c.old, 0.5); got != c.want || got != (why != "") {
			t.Errorf("%v cores, old %v: %v (%s), want %v", c.cpu, c.old, got, why, c.want)
		}
	}
	r.memory = &estimate{lower: 1e9, target: 2e9, upper: 3e9}
	if _, ok := r.due(foresail.Allocation{Replicas: 1, CPU: 5}, false, 0.5); !ok {
		t.Error("memory that was never asked for lies within the bounds")
	}
	if _, ok := r.due(foresail.Allocation{Replicas: 1, CPU: 4, Memory: 15e8}, true, 0.5); !ok { // 25 % and 33 %
		t.Error("differences are not summed over resources")
	}
}

// One core is asked for and all of it is used: the target is p90 plus 15 %, and each step on the way is throttled again,
// since the allocation is what a replica is limited to. So it takes hours to double.
func TestAThrottledServiceGrowsStepByStep(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Beat: time.Second, Until: 3 * time.Hour, Demand: func(foresail.ServiceID, time.Duration) float64 { return 2 }}
	m := manager(t, app, Config{})
	var got []string
	if err := loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{Decided: func(d loop.Decision) {
		if ch, ok := d.Plan.Change(0); ok {
			got = append(got, fmt.Sprintf("%v %.2f", c.Now(), ch.To.CPU))
			if ch.Reason.Rule != "vpa/update" || ch.Reason.Text == "" || len(ch.Reason.Considered) == 0 || ch.To.Replicas != 1 {
				t.Errorf("%+v", ch)
			}
		}
	}}}); err != nil {
		t.Fatal(err)
	}
	if len(got) < 4 || c.Have(0).CPU < 1.9 {
		t.Errorf("%v after 3 hours of a demand of 2 cores: %v", c.Have(0), got)
	}
}

func TestAYoungReplicaThatHasTooMuchKeepsIt(t *testing.T) {
	app := plantest.App(1)
	started := plantest.Epoch
	decide := func(age time.Duration, life time.Duration) *foresail.Plan {
		m := manager(t, app, Config{Life: life})
		h := foresail.NewHistory(app, m.Needs())
		for i := range 10 {
			start := started.Add(age + time.Duration(i)*time.Minute)
			u := foresail.Usage{Has: foresail.SignalCPU | foresail.SignalReady, Ready: 1, CPU: 0.3 * 60}
			h.Add(&foresail.Snapshot{Start: start, End: start.Add(time.Minute), Services: []foresail.ServiceStats{{
				Usage: foresail.Usage{Has: u.Has | foresail.SignalAllocation, CPU: u.CPU}, Allocation: foresail.Allocation{Replicas: 1, CPU: 1},
				Replicas: []foresail.ReplicaStats{{Name: "a", Started: started, Usage: u}}}}})
		}
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := decide(11*time.Hour, 0); p != nil {
		t.Errorf("after 11 h: %+v", p)
	}
	if p := decide(23*time.Hour, 24*time.Hour); p != nil {
		t.Errorf("after 23 h of 24: %+v", p)
	}
	for _, p := range []*foresail.Plan{decide(12*time.Hour, 0), decide(0, -1)} {
		if ch, ok := p.Change(0); !ok || math.Abs(ch.To.CPU-0.3*1.15) > 0.06*0.345 {
			t.Errorf("%+v, want 0.345 cores", p)
		}
	}
}

// An update disturbs: a difference from the target has to wait for another 12 h.
func TestAnUpdateCountsAsADisturbance(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, Config{HalfLife: time.Minute, Life: 20 * time.Minute})
	h := foresail.NewHistory(app, m.Needs())
	have := 1.0
	var at []int
	for i := range 70 {
		start := plantest.Epoch.Add(time.Duration(i) * time.Minute)
		u := foresail.Usage{Has: foresail.SignalCPU | foresail.SignalReady, Ready: 1, CPU: have * 60 / 2}
		h.Add(&foresail.Snapshot{Start: start, End: start.Add(time.Minute), Services: []foresail.ServiceStats{{
			Usage: foresail.Usage{Has: u.Has | foresail.SignalAllocation, CPU: u.CPU}, Allocation: foresail.Allocation{Replicas: 1, CPU: have},
			Replicas: []foresail.ReplicaStats{{Name: "a", Started: plantest.Epoch.Add(-time.Hour), Usage: u}}}}})
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		if ch, ok := p.Change(0); ok {
			have = ch.To.CPU
			at = append(at, i)
		}
	}
	if fmt.Sprint(at) != "[0 20 40 60]" {
		t.Errorf("changed in minutes %v, want every 20", at)
	}
}

func TestSilenceIsAnErrorAndNoIdleness(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Silent: func(at time.Duration) bool { return at >= 3*time.Minute },
		Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.9 }}
	m := manager(t, app, Config{})
	h := c.Filled(m.Needs(), 3*time.Minute)
	if _, err := m.Decide(h); err != nil {
		t.Fatal(err)
	}
	for range 600 {
		h.Add(c.Step())
	}
	if _, err := m.Decide(h); !errors.Is(err, foresail.ErrStale) || m.state.Services[0].Samples != 3 {
		t.Errorf("%v after %v samples", err, m.state.Services[0].Samples)
	}
}

func TestARestartKeepsTheHistograms(t *testing.T) {
	app := plantest.App(2)
	c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, at time.Duration) float64 { return 0.4 + at.Minutes()/10 }}
	m := manager(t, app, Config{})
	h := c.Filled(m.Needs(), 5*time.Minute)
	if _, err := m.Decide(h); err != nil {
		t.Fatal(err)
	}
	b, err := m.Save()
	again := manager(t, app, Config{})
	if err != nil || again.Restore(b) != nil {
		t.Fatal("not restored")
	}
	c.Put(1, foresail.Allocation{Replicas: 1, CPU: 0.1}) // by another hand, and far too little
	for range 600 {
		h.Add(c.Step())
	}
	p, _ := m.Decide(h)
	q, _ := again.Decide(h)
	if !reflect.DeepEqual(p, q) || p == nil {
		t.Errorf("%+v\nand %+v", p, q)
	}
	for _, bad := range []string{"{", `{"Services":[{"CPU":null}]}`, `{"Services":[{"CPU":{"Weights":[-1]}}]}`} {
		if again.Restore([]byte(bad)) == nil {
			t.Errorf("%s was restored", bad)
		}
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := New(plantest.App(1), Config{Percentile: 2, HalfLife: 1, MinCPU: -1, MinChange: -1, Margin: math.Inf(1)})
	for _, s := range []string{"percentile 2", "half-life 1ns", "minima -1", "least change -1", "margin +Inf"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
}

// benchstat: go test -bench DecideVPA -count 6 ./plan/vpa | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideVPA(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.8 }}
			m := manager(b, app, Config{})
			h := c.Filled(m.Needs(), 5*time.Minute)
			b.ReportAllocs()
			for b.Loop() {
				m.state.Last = plantest.Epoch.Add(4 * time.Minute) // one minute is new
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}
