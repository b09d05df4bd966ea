package sinan_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan/plantest"
	"foresail.dev/plan/sinan"
)

// drawn is a run in which cores, use and latencies are drawn: slow where a service has little.
func drawn(app *foresail.App, seconds int, seed uint64) tail.Run {
	r := rand.New(rand.NewPCG(seed, 1))
	out := tail.Run{Name: fmt.Sprint("run-", seed)}
	for t := range seconds {
		s := tail.Step{End: plantest.Epoch.Add(time.Duration(t) * time.Second), Rate: 100 + 50*r.Float64(), Endpoints: make([]tail.EndpointStep, len(app.Endpoints))}
		least := 80.0
		for range app.Services {
			cores := 1 + 79*r.Float64()
			least = min(least, cores)
			s.Services = append(s.Services, tail.ServiceStep{Replicas: 20, Cores: cores, Used: 0.05, Memory: 67, InFlight: 80 / cores, Arrivals: s.Rate})
		}
		ms := 40 + 60/least + 5*r.Float64()
		for k := range s.Latency {
			s.Latency[k] = ms
		}
		s.Endpoints[0] = tail.EndpointStep{Requests: s.Rate}
		if ms > 85 {
			s.Endpoints[0].Late = s.Rate
		}
		out.Steps = append(out.Steps, s)
	}
	return out
}

// trained is a model of the reference configuration: 300 trees on the published network's features.
func trained(t testing.TB, app *foresail.App, trees int) *tail.Model {
	cfg := tail.Default()
	cfg.Epochs, cfg.Trees, cfg.Patience, cfg.HoldOut, cfg.Source = 1, trees, trees, 0, "drawn"
	m, _, err := tail.Train(context.Background(), tail.SchemaOf(app), []tail.Run{drawn(app, 400, 1), drawn(app, 400, 2)}, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// decided is a manager with a trained model after its first seconds, and the history that it decides on next.
func decided(t testing.TB, services, trees int) (*sinan.Manager, *foresail.History, func()) {
	app := plantest.App(services)
	app.Endpoints[0].Objective.Latency = time.Minute // which it keeps, so that everything is tried
	m, err := sinan.New(app, trained(t, app, trees), sinan.Config{}, 1)
	if err != nil {
		t.Fatal(err)
	}
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
	for i := range app.Services {
		c.Put(foresail.ServiceID(i), foresail.Allocation{Replicas: 20, CPU: 2})
	}
	h := foresail.NewHistory(app, m.Needs())
	next := func() {
		for range 10 {
			h.Add(c.Step())
		}
	}
	for range 20 {
		next()
		if _, err := m.Decide(h); err != nil {
			t.Fatal(err)
		}
	}
	return m, h, next
}

// A real model satisfies what the manager asks of one.
func TestWithATrainedModel(t *testing.T) {
	m, h, next := decided(t, 4, 20)
	for range 10 {
		next()
		if _, err := m.Decide(h); err != nil {
			t.Fatal(err)
		}
	}
	if tr := m.Trust(); tr.Scored == 0 {
		t.Errorf("%+v: no prediction was scored", tr)
	}
}

// go test -bench DecideSinan ./plan/sinan
func BenchmarkDecideSinan(b *testing.B) {
	for _, n := range []int{28, 142} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			m, h, next := decided(b, n, 300)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				next()
				b.StartTimer()
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
