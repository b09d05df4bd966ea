package powerchief

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
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
)

func manager(t testing.TB, app *foresail.App, c Config) *Manager {
	t.Helper()
	m, err := New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

var wide = foresail.Bounds{MinReplicas: 1, MaxReplicas: 20, MinCPU: 0.1, MaxCPU: 4}

// The paper's equations, at one core a replica: L × s + s; a second instance L/2 × s + s; a frequency 1/α times as high
// L × αs + αs, where the same cores are half as many again or less.
func TestTheDelayIsThePapers(t *testing.T) {
	at := func(replicas int, cpu float64) foresail.Allocation {
		return foresail.Allocation{Replicas: replicas, CPU: cpu}
	}
	s := &service{svc: &foresail.Service{Bounds: wide}, from: at(1, 1), demand: 0.02, queue: 6}
	near(t, "the metric", s.delay(), 6*0.02+0.02)
	near(t, "instance boosting", s.after(at(2, 1)), 3*0.02+0.02)
	s.from = at(1, 0.5) // a service time of 40 ms; 1/α = 1.25
	near(t, "the metric at half a core", s.delay(), 6*0.04+0.04)
	near(t, "frequency boosting", s.after(at(1, 0.625)), 6*0.8*0.04+0.8*0.04)
	s.from = at(1, 2)
	near(t, "two requests at once", s.delay(), 6*0.02/2+0.02)
}

func TestWhatIsPredictedToBeFasterIsDone(t *testing.T) {
	m := manager(t, plantest.App(1), Config{})
	for _, c := range []struct {
		name         string
		from         foresail.Allocation
		queue        float64
		replicas     int
		cpu          float64
		worthItAtAll bool
	}{
		{"more CPU is faster while a request can use it", foresail.Allocation{Replicas: 1, CPU: 0.5}, 6, 1, 0.6, true},
		{"and does as well as a replica beyond", foresail.Allocation{Replicas: 2, CPU: 2}, 6, 2, 2.4, true},
		{"a replica when one can't have more", foresail.Allocation{Replicas: 2, CPU: 4}, 6, 3, 4, true},
		{"nothing when nobody waits", foresail.Allocation{Replicas: 2, CPU: 2}, 0.001, 2, 2.4, false},
		{"nothing when everything is at its maximum", foresail.Allocation{Replicas: 20, CPU: 4}, 6, 20, 4, false},
	} {
		s := &service{svc: &foresail.Service{Bounds: wide}, from: c.from, demand: 0.02, queue: c.queue}
		to, gain, _ := m.best(s)
		if to.Replicas != c.replicas || math.Abs(to.CPU-c.cpu) > 1e-9 || (gain >= leastGain) != c.worthItAtAll {
			t.Errorf("%s: %v, %.3f shorter", c.name, to, gain)
		}
	}
}

// second is one in which services answered so many requests, which took so long altogether and called for so long.
func second(app *foresail.App, i int, answered float64, cores, took []float64) *foresail.Snapshot {
	start := plantest.Epoch.Add(time.Duration(i) * time.Second)
	s := &foresail.Snapshot{Start: start, End: start.Add(time.Second), Has: foresail.SignalEdges | foresail.SignalEndpoints}
	for k := range app.Services {
		l := sketch.New()
		l.AddN(took[k], answered)
		s.Services = append(s.Services, foresail.ServiceStats{Allocation: foresail.Allocation{Replicas: 2, CPU: 1},
			Usage: foresail.Usage{Has: foresail.SignalsAll, Ready: 2, CPU: cores[k], Arrivals: answered, Completions: answered, Latency: l}})
		if k > 0 {
			s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(k - 1), To: foresail.ServiceID(k), Calls: answered, Latency: l.Clone()})
		}
	}
	l := sketch.New()
	l.AddN(took[0], answered)
	s.Endpoints = []foresail.EndpointStats{{Arrivals: answered, Requests: answered, Latency: l}}
	return s
}

// Little's law: 100 requests/s that spend 50 ms in the service itself are five, in two replicas.
func TestQueuesAreOwnTimeTimesArrivals(t *testing.T) {
	app := plantest.App(2)
	parts := []*foresail.Snapshot{second(app, 0, 100, []float64{0.5, 1}, []float64{0.08, 0.03}), second(app, 1, 100, []float64{0.5, 1}, []float64{0.08, 0.03})}
	all := estimate(app, parts, parts)
	if len(all) != 2 {
		t.Fatalf("%d services", len(all))
	}
	for i, want := range []float64{100 * 0.05 / 2, 100 * 0.03 / 2} {
		if math.Abs(all[i].queue-want) > 0.03*want {
			t.Errorf("service %d: %v requests at each replica, want %v", i, all[i].queue, want)
		}
	}
	near(t, "demand", all[0].demand, 0.005)
	near(t, "most", all[1].most, 1)
	// Calls in parallel can take longer together than the request: then what is left is its CPU.
	parts = []*foresail.Snapshot{second(app, 0, 100, []float64{0.5, 1}, []float64{0.03, 0.08})}
	near(t, "queue", estimate(app, parts, parts)[0].queue, 100*0.005/2)
}

func TestTheBands(t *testing.T) {
	decide := func(took []float64, cores []float64, n int) *foresail.Plan {
		app := plantest.App(3)
		m := manager(t, app, Config{})
		h := foresail.NewHistory(app, m.Needs())
		var p *foresail.Plan
		for i := range n {
			h.Add(second(app, i, 200, cores, took))
			var err error
			if p, err = m.Decide(h); err != nil {
				t.Fatal(err)
			}
		}
		for i := 0; p != nil && i < len(p.Changes); i++ {
			if r := p.Changes[i].Reason; r.Rule == "" || r.Text == "" || len(r.Considered) == 0 {
				t.Errorf("%+v", r)
			}
		}
		return p
	}
	// The objective is 100 ms. Above half of it: the one with the longest delay is boosted, at once.
	p := decide([]float64{0.09, 0.08, 0.01}, []float64{0.5, 1.5, 0.5}, 1)
	if len(p.Changes) != 1 || p.Changes[0].Service != 1 || p.Changes[0].To.Cores() <= 2 || p.Changes[0].Reason.Rule != "powerchief/boost" {
		t.Errorf("%+v", p)
	}
	// Below a quarter: after six intervals the least loaded is lowered, by the step.
	calm, busy := []float64{0.02, 0.012, 0.005}, []float64{0.5, 0.6, 0.1}
	if p := decide(calm, busy, 5); p != nil {
		t.Errorf("%+v", p)
	}
	p = decide(calm, busy, 6)
	if len(p.Changes) != 1 || p.Changes[0].Service != 2 || math.Abs(p.Changes[0].To.Cores()-1.6) > 0.01 || p.Changes[0].Reason.Rule != "powerchief/withdraw" {
		t.Errorf("%+v", p)
	}
	// Never to more than 80 % utilisation: 1.5 cores used of 2 may become 1.875 at least, and 1.6 used none.
	p = decide([]float64{0.02, 0.012, 0.011}, []float64{1.6, 1.6, 1.5}, 6)
	if len(p.Changes) != 1 || p.Changes[0].To.Cores() < 0.99*1.5/mostUse {
		t.Errorf("%+v", p)
	}
	// In between: the bottleneck gets what the least loaded lose.
	p = decide([]float64{0.04, 0.038, 0.001}, []float64{0.1, 1.6, 0.1}, 6)
	sum := 0.0
	for _, c := range p.Changes {
		sum += c.To.Cores() - 2
	}
	if len(p.Changes) < 2 || math.Abs(sum) > 0.01 {
		t.Errorf("moved %v cores: %+v", sum, p)
	}
}

func TestTheSlowestEndpoint(t *testing.T) {
	app := plantest.App(1)
	app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: "rare", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}})
	var seconds []*foresail.Snapshot
	for i := range 40 {
		s := second(app, i, 200, []float64{1}, []float64{0.05})
		l := sketch.New()
		l.AddN(0.9, 5)
		s.Endpoints = append(s.Endpoints, foresail.EndpointStats{Requests: 5, Latency: l})
		seconds = append(seconds, s)
	}
	if w, ok := slowest(app, seconds); !ok || w.name != "rare" || math.Abs(w.ratio-0.9) > 0.05 {
		t.Errorf("%+v: 5 requests/s are 100 in 20 s", w)
	}
	seconds[39].Endpoints[0].Errors = 50
	if w, _ := slowest(app, seconds); w.ratio != 10 {
		t.Errorf("%+v: a quarter failed", w)
	}
	if _, ok := slowest(app, nil); ok {
		t.Error("nothing was judged")
	}
}

// A service with too little is found behind the one that waits for it, and raised until the objective is met.
func TestABottleneckIsBoostedUntilTheObjectiveIsMet(t *testing.T) {
	app := plantest.App(3)
	c := &plantest.Cluster{Application: app, Until: time.Minute, Demand: func(id foresail.ServiceID, _ time.Duration) float64 {
		return []float64{0.5, 6, 0.5}[id]
	}}
	if err := loop.Run(context.Background(), c, manager(t, app, Config{}), loop.Options{Mode: loop.Auto}); err != nil {
		t.Fatal(err)
	}
	if have := c.Have(1); have.Cores() < 3 || have.Cores() > 10 {
		t.Errorf("%v", have)
	}
	if c.Have(0).Cores() > 1.3 || c.Have(2).Cores() > 1.3 {
		t.Errorf("%v and %v were not the bottleneck", c.Have(0), c.Have(2))
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	app := plantest.App(2)
	for _, hidden := range []foresail.Signals{foresail.SignalEndpoints, foresail.SignalCPU, foresail.SignalLatency} {
		c := &plantest.Cluster{Application: app, Hidden: func(time.Duration) foresail.Signals { return hidden },
			Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.5 }}
		m := manager(t, app, Config{})
		if _, err := m.Decide(c.Filled(m.Needs(), 5*time.Second)); !errors.Is(err, foresail.ErrStale) {
			t.Errorf("without %v: %v", hidden, err)
		}
	}
	quiet := &plantest.Cluster{Application: app} // nobody comes
	m := manager(t, app, Config{})
	if p, err := m.Decide(quiet.Filled(m.Needs(), 5*time.Second)); err != nil || p == nil || len(p.Changes) > 0 || p.Note == "" {
		t.Errorf("%+v, %v", p, err)
	}
	if _, err := m.Decide(foresail.NewHistory(app, m.Needs())); !errors.Is(err, foresail.ErrStale) {
		t.Errorf("nothing yet: %v", err)
	}
}

func TestARestartKeepsTheTurn(t *testing.T) {
	m := manager(t, plantest.App(1), Config{})
	m.state.Calm = 5
	b, err := m.Save()
	again := manager(t, plantest.App(1), Config{})
	if err != nil || again.Restore(b) != nil || again.state != m.state {
		t.Errorf("%+v", again.state)
	}
	for _, bad := range []string{"{", `{"Calm":-1}`} {
		if again.Restore([]byte(bad)) == nil {
			t.Errorf("%s was restored", bad)
		}
	}
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := New(plantest.App(1), Config{Interval: 1, Step: 2, Low: 3})
	for _, s := range []string{"interval 1ns", "step 2", "low 3"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
}

// benchstat: go test -bench DecidePowerChief -count 6 ./plan/powerchief | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecidePowerChief(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.8 }}
			m := manager(b, app, Config{})
			h := c.Filled(m.Needs(), 12*time.Second)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}
