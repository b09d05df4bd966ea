package sim_test

import (
	"testing"
	"time"

	"foresail.dev/cluster/sim"
)

// Events allocate nothing once everything has grown: a beat of ten seconds with some 40,000 events costs its snapshot.
func TestSteadyStateAllocatesOnlySnapshots(t *testing.T) {
	c := newSim(t, sim.Config{Blueprint: benchmarkApplication(), Load: constant(200), Seed: 1, Beat: 10 * time.Second})
	next := func() {
		if _, err := c.Next(background); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		next()
	}
	before := c.Events()
	n := testing.AllocsPerRun(10, next)
	events := float64(c.Events()-before) / 11
	if events < 20_000 || n > 700 {
		t.Errorf("%v allocations in a beat of %v events", n, events)
	}
}
