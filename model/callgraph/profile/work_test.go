package profile

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// mixed is a minute of a service of ten containers whose visits read, for 1 ms of CPU, or write, for 6.
func mixed(minute int, reads, writes float64) (*foresail.App, *foresail.Snapshot) {
	app := &foresail.App{Services: []foresail.Service{{Name: "store"}}, Endpoints: []foresail.Endpoint{{Name: "read"}, {Name: "write"}}}
	start := time.Unix(int64(60*minute), 0)
	s := &foresail.Snapshot{Start: start, End: start.Add(time.Minute), Has: foresail.SignalShapes, Services: make([]foresail.ServiceStats, 1)}
	const containers = 10
	cpu := (0.001*reads + 0.006*writes) / containers // cores that each uses
	for i, n := range []float64{reads, writes} {
		f, err := foresail.NewForm(foresail.EndpointID(i), []foresail.Visit{{Parent: -1, Operation: []string{"read", "write"}[i], Times: 1}})
		if err != nil {
			panic(err)
		}
		own := sketch.New()
		for k := range 100 {
			own.AddN(0.002-0.004/(1-cpu/0.2)*math.Log(1-(float64(k)+0.5)/100), n*60/100)
		}
		s.Shapes = append(s.Shapes, foresail.ShapeStats{Form: f, Requests: n * 60, Own: []*sketch.Sketch{own}})
	}
	st := &s.Services[0]
	st.Has = foresail.SignalArrivals | foresail.SignalReady | foresail.SignalCPU | foresail.SignalAllocation
	st.Arrivals, st.Ready, st.CPU = 60*(reads+writes), containers, 60*cpu*containers
	st.Allocation = foresail.Allocation{Replicas: containers, CPU: 0.2}
	return app, s
}

// A write costs as much as six reads, so the same visits a second are another load when more of them write.
func ExampleProfiler_Weight() {
	p := New(Config{})
	for i := range 12 {
		p.Observe(mixed(i, float64(300+80*(i%4)), float64(40+45*(i%3))))
	}
	fmt.Printf("a write is %.0f reads\n", p.Weight(0, "write")/p.Weight(0, "read"))
	sat, _ := p.Saturation(0)
	load := func(reads, writes float64) float64 {
		return (reads*p.Weight(0, "read") + writes*p.Weight(0, "write")) / 10
	}
	fmt.Printf("20 and 80 of 100 visits that write use %.1f and %.1f cores\n", 10*(sat.Idle+sat.Visit*load(80, 20)), 10*(sat.Idle+sat.Visit*load(20, 80)))
	// Output:
	// a write is 6 reads
	// 20 and 80 of 100 visits that write use 0.2 and 0.5 cores
}

// Own times of a mix that was never seen, at as many visits as one that was, are those of the CPU that it uses.
func TestAMixThatWasNeverSeen(t *testing.T) {
	p := New(Config{})
	for i := range 12 {
		p.Observe(mixed(i, float64(300+80*(i%4)), float64(40+45*(i%3))))
	}
	for _, mix := range [][2]float64{{100, 200}, {500, 60}, {250, 150}} {
		load := (mix[0]*p.Weight(0, "read") + mix[1]*p.Weight(0, "write")) / 10
		stage, valid := p.Stage(0, "read", load)
		_, s := mixed(99, mix[0], mix[1])
		want := s.Shapes[0].Own[0].Quantile(0.95)
		if got := stage.Quantile(0.95); math.Abs(got/want-1) > 0.12 {
			t.Errorf("%v reads and %v writes: p95 %.4f s, observed %.4f (%s)", mix[0], mix[1], got, want, valid.Basis)
		}
	}
}

// Where operations always come in the same shares nothing tells them apart, and where too little was seen neither.
func TestWeightsThatNothingTells(t *testing.T) {
	for _, minutes := range []int{2, 12} {
		p := New(Config{})
		for i := range minutes {
			p.Observe(mixed(i, float64(100+10*i), float64(100+10*i)))
		}
		if a, b := p.Weight(0, "read"), p.Weight(0, "write"); math.Abs(a-1) > 0.02 || math.Abs(b-1) > 0.02 {
			t.Errorf("after %d minutes: %v and %v", minutes, a, b)
		}
	}
	if w := New(Config{}).Weight(3, "none"); w != 1 {
		t.Errorf("a service that was never seen: %v", w)
	}
}
