package callgraph_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/model/callgraph"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/sketch"
)

// endpointMixture is the mixture of an endpoint's graphs in a minute, own times as they were observed in it.
func endpointMixture(t *testing.T, s *foresail.Snapshot, e foresail.EndpointID) (m *callgraph.Mixture, latency *sketch.Sketch) {
	latency = sketch.New()
	var parts []callgraph.Weighted
	var shares []float64
	for i := range s.Shapes {
		sh := &s.Shapes[i]
		if sh.Form.Endpoint != e || sh.Latency.Count() == 0 {
			continue
		}
		latency.Merge(sh.Latency)
		stages := make([]dist.Stage, len(sh.Form.Visits))
		for k := range stages {
			var err error
			if stages[k], err = profile.Empirical(profile.OfSketch(sh.Own[k])); err != nil {
				stages[k] = dist.Fixed(0)
			}
		}
		g, err := callgraph.NewGraph(sh.Form, stages)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, callgraph.Weighted{Graph: g})
		shares = append(shares, sh.Latency.Count())
	}
	if latency.Count() < 3000 {
		return nil, latency
	}
	if _, err := callgraph.Normalise(shares); err != nil {
		t.Fatal(err)
	}
	for i := range parts {
		parts[i].Share = shares[i]
	}
	m, err := callgraph.NewMixture(parts...)
	if err != nil {
		t.Fatal(err)
	}
	return m, latency
}

// In simulation, percentiles computed from the own times of a minute as if they were independent, and the same corrected by what
// the minute before showed, against those observed.
func TestPercentilesInSimulation(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates minutes of three applications")
	}
	var plain, corrected []float64
	for _, app := range []string{"hotel-reservation", "social-network", "media"} {
		bp, err := appfile.ReadApp(app)
		if err != nil {
			t.Fatal(err)
		}
		l, err := appfile.ReadLoad("../../examples/loads/"+app+"/shifting.yaml", bp.App)
		if err != nil {
			t.Fatal(err)
		}
		const minutes = 3
		c, err := traced.New(sim.Config{Blueprint: bp, Load: l, Seed: 11, Beat: time.Second, Duration: minutes * time.Minute}, foresail.Needs{Required: foresail.SignalShapes})
		if err != nil {
			t.Fatal(err)
		}
		before := map[foresail.EndpointID]*callgraph.Calibration{}
		for m := range minutes {
			var seconds []*foresail.Snapshot
			for range 60 {
				s, err := c.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				seconds = append(seconds, s)
			}
			s := foresail.Merge(seconds...)
			for e := range bp.App.Endpoints {
				id := foresail.EndpointID(e)
				mix, latency := endpointMixture(t, s, id)
				if mix == nil {
					continue
				}
				for _, p := range []float64{0.95, 0.99} {
					ratio := mix.Percentile(p) / latency.Quantile(p)
					t.Logf("%s, %s, minute %d: percentile %g computed %.3f of observed, corrected %.3f", app, bp.App.Endpoints[e].Name, m, p, ratio, ratio*before[id].Ratio(p))
					if before[id] != nil {
						plain = append(plain, math.Abs(math.Log(ratio)))
						corrected = append(corrected, math.Abs(math.Log(ratio*before[id].Ratio(p))))
					}
				}
				if before[id], err = mix.Calibrate(latency, 1.5); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	slices.Sort(plain)
	slices.Sort(corrected)
	n := len(corrected)
	if n < 8 {
		t.Fatalf("%d percentiles compared: too few to say anything", n)
	}
	t.Logf("%d percentiles: off by %.1f %% in the median and %.1f %% at the 90th percentile, corrected %.1f %% and %.1f %%", n,
		100*plain[n/2], 100*plain[n*9/10], 100*corrected[n/2], 100*corrected[n*9/10])
	if corrected[n*9/10] > 0.1 {
		t.Errorf("nine tenths of percentiles are within %.1f %%, want 10 %%", 100*corrected[n*9/10])
	}
}
