package sinan

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
)

// outcome is what a simulated run came to.
type outcome struct {
	cores    []float64 // in effect, mean of each second
	violated []bool    // of each second: the endpoint with the most requests
	trust    []Trust
}

// mean is of the seconds [from, to).
func (o *outcome) mean(from, to int) (sum float64) {
	for _, c := range o.cores[from:to] {
		sum += c / float64(to-from)
	}
	return sum
}

// missed counts the seconds in violation of [from, to).
func (o *outcome) missed(from, to int) (n int) {
	for _, v := range o.violated[from:to] {
		if v {
			n++
		}
	}
	return n
}

// simulate lets a manager with a model run the hotel under a load.
func simulate(t *testing.T, model Model, curve []load.Segment, lasts time.Duration) *outcome {
	t.Helper()
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	m, err := With(bp.App, model, Config{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: curve}, Seed: 3, Duration: lasts})
	if err != nil {
		t.Fatal(err)
	}
	out := &outcome{}
	beat, cores, requests, late := 0, 0.0, 0.0, 0.0
	err = loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) {
			for i := range s.Services {
				held, _ := s.Services[i].Held()
				cores += held / 10
			}
			for i := range s.Endpoints {
				requests, late = requests+s.Endpoints[i].Requests, late+s.Endpoints[i].Late
			}
			if beat++; beat%10 == 0 {
				out.cores, out.violated, out.trust = append(out.cores, cores), append(out.violated, late > 0.01*requests), append(out.trust, m.Trust())
				cores, requests, late = 0, 0, 0
			}
		},
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				t.Errorf("%v: %v", d.At, d.Err)
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// hotel is the oracle for the hotel's objective of 200 ms.
func hotel() *oracle { return &oracle{base: 30, limit: 200, margin: 20} }

// A surge to four times the load, in queues that are real: it is met within seconds, and given back when it is over.
func TestASurgeInTheSimulator(t *testing.T) {
	curve := []load.Segment{{From: 250, For: 90 * time.Second}, {From: 1000, For: 60 * time.Second}, {From: 250}}
	o := simulate(t, hotel(), curve, 4*time.Minute)
	calm, surge, after := o.mean(60, 90), o.mean(120, 150), o.mean(210, 240)
	t.Logf("%.1f cores, %.1f in the surge, %.1f after it; seconds in violation %d, %d and %d", calm, surge, after, o.missed(10, 90), o.missed(90, 150), o.missed(150, 240))
	if n := o.missed(10, 90); n > 1 {
		t.Errorf("%d seconds in violation under a steady load", n)
	}
	if n := o.missed(98, 150); n > 1 {
		t.Errorf("%d seconds in violation later than 8 s after the surge began", n)
	}
	if surge < 1.5*calm || after > 1.5*calm || o.mean(0, 5) < 5*calm {
		t.Error("cores don't follow the load")
	}
}

// Surges that a blind model calls safe are misses, which take its trust: nothing is lowered then, until it has been right for
// a while.
func TestABlindModelInTheSimulator(t *testing.T) {
	blind := hotel()
	blind.try = func([]tail.Step, []float64) tail.Prediction { return of(20, 0.001) }
	blind.margin = 1
	curve := []load.Segment{{From: 100, For: 40 * time.Second}}
	for range 4 {
		curve = append(curve, load.Segment{From: 2500, For: 2 * time.Second}, load.Segment{From: 100, For: 18 * time.Second})
	}
	o := simulate(t, blind, append(curve, load.Segment{From: 100}), 4*time.Minute)
	lost := 0
	for i := 1; i < len(o.trust); i++ {
		if !o.trust[i].Lost {
			continue
		}
		lost++
		if o.trust[i-1].Lost && o.cores[i] < o.cores[i-1]*0.95 { // replicas that start have what the others had until they all have less
			t.Errorf("lowered from %.1f to %.1f cores at %d s, without trust", o.cores[i-1], o.cores[i], i)
		}
	}
	last := o.trust[len(o.trust)-1]
	t.Logf("%d misses, trust lost %d times, for %d s; %d of 240 seconds in violation", last.Misses, last.Losses, lost, o.missed(0, 240))
	if last.Losses == 0 || last.Lost || lost < 30 {
		t.Errorf("trust was lost %d times, for %d s: %+v", last.Losses, lost, last)
	}
}
