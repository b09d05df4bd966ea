package sim_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

// Events allocate nothing once everything has grown: ten times as many in a beat cost as many allocations, those of its
// snapshot, which are a few large ones whatever the number of replicas.
func TestSteadyStateAllocatesOnlySnapshots(t *testing.T) {
	for _, v := range []struct {
		name  string
		load  *load.Load
		nodes []foresail.Node
	}{
		{"open", constant(200), nil},
		{"closed", &load.Load{Mode: load.Closed, Think: 100 * time.Millisecond, Curve: []load.Segment{{From: 20}}}, nil},
		{"on nodes", constant(200), fleet(8, usual)},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := newSim(t, sim.Config{Blueprint: benchmarkApplication(), Load: v.load, Seed: 1, Beat: 10 * time.Second, Nodes: v.nodes})
			next := func() {
				if _, err := c.Next(background); err != nil {
					t.Fatal(err)
				}
			}
			for range 15 {
				next()
			}
			before := c.Events()
			n := testing.AllocsPerRun(5, next)
			if events := float64(c.Events()-before) / 6; events < 20_000 || n > 40 {
				t.Errorf("%v allocations in a beat of %v events", n, events)
			}
		})
	}
}
