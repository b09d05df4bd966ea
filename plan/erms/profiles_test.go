package erms

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
)

// interval is one service at so many calls a second of each of its two containers of a core, with so long own times.
func interval(i int, load, p95, used float64) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: plantest.Epoch.Add(time.Duration(i) * 15 * time.Second), Has: foresail.SignalShapes}
	s.End = s.Start.Add(15 * time.Second)
	before := s.Start.Add(-time.Minute)
	st := foresail.ServiceStats{}
	st.Has = foresail.SignalArrivals | foresail.SignalAllocation | foresail.SignalReady | foresail.SignalCPU
	st.Ready, st.Allocation = 2, foresail.Allocation{Replicas: 2, CPU: 1}
	st.CPU, st.Arrivals = 15*2*used, load*2*15
	st.Replicas = []foresail.ReplicaStats{{Name: "a", Started: before}, {Name: "b", Started: before}}
	s.Services = []foresail.ServiceStats{st}
	f, err := foresail.NewForm(0, []foresail.Visit{{Operation: "op", Parent: -1, Times: 1}})
	if err != nil {
		panic(err)
	}
	own := sketch.New()
	own.AddN(p95, load*2*15)
	s.Shapes = []foresail.ShapeStats{{Form: f, Requests: load * 2 * 15, Own: []*sketch.Sketch{own}}}
	return s
}

// Two pieces that were planted are found again, and the load that uses up a container, whatever overload is seen besides.
func TestPlantedModelsAreFoundAmongOverloads(t *testing.T) {
	app := plantest.App(1)
	rapid.Check(t, func(t *rapid.T) {
		knee := rapid.Float64Range(40, 60).Draw(t, "knee")
		slope := rapid.Float64Range(1e-5, 1e-4).Draw(t, "slope")
		steep := slope * rapid.Float64Range(10, 30).Draw(t, "times")
		base := rapid.Float64Range(0.001, 0.01).Draw(t, "base")
		p95 := func(load float64) float64 { return base + slope*load + (steep-slope)*max(load-knee, 0) }
		var p measured
		i := 0
		add := func(s *foresail.Snapshot) {
			p.Observe(app, s)
			i++
		}
		for load := 10.0; load <= 89; load += 2 {
			add(interval(i, load, p95(load), load/100))
			if !rapid.Bool().Draw(t, "overloaded") {
				continue
			}
			s := interval(i, load, 2, load/100)
			switch rapid.IntRange(0, 2).Draw(t, "how") {
			case 0: // calls fail
				s.Services[0].Errors = 0.2 * s.Services[0].Arrivals
			case 1: // a container was begun
				s.Services[0].Replicas[1].Started = s.Start.Add(time.Second)
			case 2: // CPU is used up, and what has queued up is worked off
				add(interval(i, load, 2, 0.97))
			}
			add(s)
		}
		m, ok := p.Pieces(0)
		if !ok {
			t.Fatal("no model")
		}
		for load := 12.0; load < 85; load++ {
			if got, want := m.at(load), p95(load); math.Abs(got-want) > 0.1*want+0.1*(p95(89)-base) {
				t.Fatalf("at %v calls/s: %v, want %v; %+v", load, got, want, m)
			}
		}
		if full := p.Full(0); math.Abs(full-100) > 1 {
			t.Errorf("%v calls/s use up a container, want 100", full)
		}
	})
}

// Too few runs are no model, and neither are those of containers of another size.
func TestTooFewRuns(t *testing.T) {
	app := plantest.App(1)
	var p measured
	for i := range fewest {
		if _, ok := p.Pieces(0); ok {
			t.Fatalf("a model after %d runs", i)
		}
		p.Observe(app, interval(i, 10+float64(i), 0.001*float64(1+i), 0.2))
	}
	if _, ok := p.Pieces(0); !ok {
		t.Error("no model")
	}
	s := interval(fewest, 10, 0.001, 0.1)
	s.Services[0].Allocation.CPU = 2
	p.Observe(app, s)
	if m, ok := p.Pieces(0); ok {
		t.Errorf("%+v of containers of another size", m)
	}
}
