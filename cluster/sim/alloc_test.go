//go:build !race

// With the race detector the compiler makes allocations of its own.

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
			beat := func(length time.Duration) (allocations, events float64) {
				c := newSim(t, sim.Config{Blueprint: benchmarkApplication(), Load: v.load, Seed: 1, Beat: length, Nodes: v.nodes})
				next := func() {
					if _, err := c.Next(background); err != nil {
						t.Fatal(err)
					}
				}
				for c.Offset() < time.Minute {
					next()
				}
				before := c.Events()
				allocations = testing.AllocsPerRun(3, next)
				return allocations, float64(c.Events()-before) / 4
			}
			short, few := beat(500 * time.Millisecond)
			long, many := beat(5 * time.Second)
			if many < 20_000 || many < 8*few || long > short+10 {
				t.Errorf("%v allocations in a beat of %v events, %v in one of %v", short, few, long, many)
			}
		})
	}
}
