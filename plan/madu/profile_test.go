package madu

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

// A fifth of the points may be anything, at any place: the line is found all the same. Tolerances are those of noise of 2 %.
func TestTheLineIsThatOfMostPoints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slope, base := rapid.Float64Range(1e-5, 1e-3).Draw(t, "slope"), rapid.Float64Range(0, 0.3).Draw(t, "base")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		var f fitter
		for i := range 30 {
			x := 200 + 1000*rng.Float64()
			p := xy{x, (slope*x + base) * (1 + 0.02*rng.NormFloat64())}
			if i%5 == 0 {
				p.y *= rapid.SampledFrom([]float64{0, 0.1, 5, 100}).Draw(t, "wrong")
			}
			f.points = append(f.points, p)
		}
		l, ok := f.line(false)
		at := slope*700 + base
		// Where calls are a small part of the CPU, noise may say that they cost less than nothing: then the line is proportional
		// to calls, and right where the points are and no more.
		tolerance := 0.06
		if slope*700 < 0.2*at {
			tolerance = 0.4
		}
		if got := l.Slope*700 + l.Base; !ok || math.Abs(got/at-1) > tolerance {
			t.Fatalf("%v at the middle, want %v: %+v", got, at, l)
		}
		if l.Slope < 0 || l.Base < 0 {
			t.Fatalf("%+v", l)
		}
	})
}

// Where all points lie at one place, CPU is in proportion to calls, and memory what it is.
func TestPointsTooCloseToTellASlope(t *testing.T) {
	f := fitter{points: []xy{{100, 0.2}, {101, 0.21}, {99, 0.19}, {100, 0.2}, {102, 0.2}}}
	if l, ok := f.line(false); !ok || math.Abs(l.Slope-0.002) > 5e-5 || l.Base != 0 {
		t.Errorf("CPU %+v", l)
	}
	if l, ok := f.line(true); !ok || l.Slope != 0 || l.Base != 0.2 {
		t.Errorf("memory %+v", l)
	}
	if _, ok := (&fitter{}).line(false); ok {
		t.Error("a line through nothing")
	}
}

// What starts, drains, is gone, or was not observed tells nothing of how calls use a replica.
func TestSamplesAreOfReplicasThatWorkedAllTheMinute(t *testing.T) {
	start := plantest.Epoch
	s := &foresail.Snapshot{Start: start, End: start.Add(time.Minute)}
	has := foresail.SignalCPU | foresail.SignalArrivals | foresail.SignalReady | foresail.SignalErrors
	replica := func(cpu, calls float64) foresail.ReplicaStats {
		return foresail.ReplicaStats{Started: start.Add(-time.Hour), Usage: foresail.Usage{Has: has, Ready: 1, CPU: cpu, Arrivals: calls}}
	}
	st := &foresail.ServiceStats{Usage: foresail.Usage{Has: has | foresail.SignalAllocation}, Allocation: foresail.Allocation{Replicas: 4, CPU: 1}}
	starting, draining, gone, hidden := replica(60, 1), replica(1, 0), replica(5, 5), replica(0, 900)
	starting.Started = start.Add(20 * time.Second)
	draining.Ready, gone.Gone, hidden.Has = 0, true, foresail.SignalArrivals
	st.Replicas = []foresail.ReplicaStats{replica(12, 100), starting, replica(24, 200), draining, gone, hidden}
	got, ok := sampleOf(st, s)
	if want := (sample{Calls: 150, CPU: 0.3}); !ok || got.Calls != 150 || math.Abs(got.CPU-0.3) > 1e-12 || got.Spoilt {
		t.Errorf("%+v, want %+v", got, want)
	}
	st.Replicas[0].Errors = 30
	if got, _ = sampleOf(st, s); !got.Spoilt {
		t.Error("a minute in which a tenth failed tells what failing costs")
	}
	st.Replicas = st.Replicas[1:2]
	if _, ok := sampleOf(st, s); ok {
		t.Error("a start was taken for work")
	}
}

// Failing and saturated minutes don't count while there are others.
func TestSpoiltMinutesDoNotMoveTheLine(t *testing.T) {
	p, f := profile{}, fitter{}
	for i := range 8 {
		p.Samples = append(p.Samples, sample{Calls: 500 + 50*float64(i%4), CPU: 0.004 * (500 + 50*float64(i%4)) / 10})
	}
	for range 12 {
		p.Samples = append(p.Samples, sample{Calls: 5000, CPU: 0.01, Spoilt: true})
	}
	p.fit(&f)
	if math.Abs(p.CPU.Slope/0.0004-1) > 1e-9 {
		t.Errorf("%+v", p.CPU)
	}
}

func TestEquation12(t *testing.T) {
	for _, c := range []struct {
		l              line
		calls, allowed float64
		want           float64
		ok             bool
	}{
		{line{0.001, 0}, 1000, 0.5, 2, true}, {line{0.001, 0}, 1001, 0.5, 3, true}, {line{0.001, 0.1}, 1000, 0.5, 3, true},
		{line{0.001, 0.5}, 1000, 0.5, 0, false}, {line{0, 0.1}, 1e9, 0.5, 0, true}, {line{1, 0}, 1e300, 0.5, 1e6, true},
	} {
		if n, ok := c.l.containers(c.calls, c.allowed); n != c.want || ok != c.ok {
			t.Errorf("%+v: %v %v", c, n, ok)
		}
	}
}
