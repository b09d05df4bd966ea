package traced_test

import (
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/load"
)

// Of a tenth of the requests, scaled up, the calls of each service are told as they are, but for chance: 4 standard errors,
// of which each traced request is worth ten.
func TestTracedCallsAreScaledUp(t *testing.T) {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 300}}}, Seed: 3}
	all, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	some, err := traced.New(cfg, foresail.Needs{Traces: 0.1})
	if err != nil {
		t.Fatal(err)
	}
	want, got := make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
	for range 200 {
		a, err := all.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := some.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			want[i] += a.Services[i].Arrivals
			got[i] += b.Services[i].Arrivals
			of := 0.0
			for k := range b.Services[i].Replicas {
				of += b.Services[i].Replicas[k].Arrivals
			}
			if of != b.Services[i].Arrivals {
				t.Fatalf("%v calls of the replicas, %v of the service", of, b.Services[i].Arrivals)
			}
			if a.Services[i].CPU != b.Services[i].CPU {
				t.Fatal("being traced changes what happens")
			}
		}
	}
	for i := range want {
		if off := math.Abs(got[i] - want[i]); off > 4*math.Sqrt(10*want[i]*3)+50 {
			t.Errorf("%s: %v calls by traces, %v there were", bp.App.Services[i].Name, got[i], want[i])
		}
	}
}
