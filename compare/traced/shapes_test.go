package traced_test

import (
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/load"
	"foresail.dev/loop"
)

// For who reads shapes, snapshots carry them: once a second, of as many requests as there were, but for chance; each minute of the
// history then holds them. What else is observed stays as it is, and for others nothing changes.
func TestShapesAreObservedWhereTheyAreNeeded(t *testing.T) {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 400}}}, Seed: 3}
	plain, err := traced.New(cfg, foresail.Needs{Required: foresail.SignalCPU})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := plain.(*sim.Cluster); !ok {
		t.Errorf("a simulation that nobody needs traces of is a %T", plain)
	}
	for _, needs := range []foresail.Needs{{Required: foresail.SignalShapes, Minutes: 2}, {Optional: foresail.SignalShapes, Minutes: 2, Traces: 0.1}} {
		c, err := traced.New(cfg, needs)
		if err != nil {
			t.Fatal(err)
		}
		h := foresail.NewHistory(bp.App, needs)
		for i := range 600 {
			s, err := c.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if !s.Has.Has(foresail.SignalShapes) || (s.Shapes != nil) != (i%10 == 9) {
				t.Fatalf("beat %d has %v and %d shapes", i, s.Has, len(s.Shapes))
			}
			h.Add(s)
		}
		m := h.Minutes(1)[0]
		told, asked := make([]float64, len(bp.App.Endpoints)), 0.0
		for _, s := range m.Shapes {
			told[s.Form.Endpoint] += s.Requests
		}
		for e := range m.Endpoints {
			n := m.Endpoints[e].Requests
			asked += n
			// Of a quarter or a tenth of the requests; five standard errors.
			if off := math.Abs(told[e] - n); off > 5*math.Sqrt(10*n) {
				t.Errorf("%v: %v requests of endpoint %d by their shapes, %v there were", needs.Traces, told[e], e, n)
			}
		}
		if asked < 20_000 {
			t.Fatalf("%v requests", asked)
		}
	}
}

// A manager that requires shapes is told where there are none.
func TestMissingShapesAreNamed(t *testing.T) {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 10}}}, Seed: 3, Duration: 5e9})
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	err = loop.Run(t.Context(), c, needy{}, loop.Options{Mode: loop.Auto, Events: loop.Events{Missing: func(s foresail.Signals) { missing = append(missing, s.String()) }}})
	if err != nil || len(missing) != 1 || missing[0] != "shapes" {
		t.Errorf("missing %v, %v", missing, err)
	}
}

type needy struct{}

func (needy) Name() string { return "needy" }
func (needy) Needs() foresail.Needs {
	return foresail.Needs{Every: 1e9, Required: foresail.SignalShapes | foresail.SignalCPU}
}
func (needy) Decide(*foresail.History) (*foresail.Plan, error) { return nil, nil }

// What shapes cost: a second of 1,000 requests to the social network, simulated as it is and with shapes of a tenth of them.
func BenchmarkSecond(b *testing.B) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		b.Fatal(err)
	}
	for name, needs := range map[string]foresail.Needs{"plain": {Minutes: 10}, "shapes": {Minutes: 10, Required: foresail.SignalShapes}} {
		b.Run(name, func(b *testing.B) {
			c, err := traced.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 1000}}}, Seed: 1}, needs)
			if err != nil {
				b.Fatal(err)
			}
			h := foresail.NewHistory(bp.App, needs)
			b.ReportAllocs()
			for range b.N {
				for range 10 {
					s, err := c.Next(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					h.Add(s)
				}
			}
		})
	}
}
