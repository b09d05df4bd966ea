package sim_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

const ms = 1e-3 // seconds

var background = context.Background()

// blueprint makes an application of the given services, called a, b, c…, whose first operation of the first service is
// its one endpoint.
func blueprint(services ...foresail.ServiceBlueprint) *foresail.Blueprint {
	app := &foresail.App{Name: "test"}
	for i := range services {
		app.Services = append(app.Services, foresail.Service{
			Name:    string(rune('a' + i)),
			Initial: foresail.Allocation{Replicas: 1, CPU: 1},
			Bounds:  foresail.Bounds{MinReplicas: 1, MaxReplicas: 100, MinCPU: 0.01, MaxCPU: 1000},
		})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "GET /", Operation: "op",
		Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}}}
	return &foresail.Blueprint{App: app, Services: services, Entries: []foresail.Target{{}}, Timeouts: make([]foresail.Patience, 1)}
}

// op is a service's only operation.
func op(steps ...foresail.Step) []foresail.Operation {
	return []foresail.Operation{{Name: "op", Steps: steps}}
}

func work(shape foresail.DistShape, mean float64) foresail.Step {
	return foresail.Step{Work: foresail.Demand{CPU: foresail.Dist{Shape: shape, Mean: mean}}}
}

func call(to foresail.ServiceID) foresail.Call {
	return foresail.Call{Target: foresail.Target{Service: to}, Probability: 1, Repeat: 1}
}

func calls(c ...foresail.Call) foresail.Step { return foresail.Step{Calls: c} }

func constant(level float64) *load.Load {
	return &load.Load{Name: "constant", Curve: []load.Segment{{From: level}}}
}

// once sends n requests per second for so long, then nothing.
func during(d time.Duration, level float64) *load.Load {
	return &load.Load{Curve: []load.Segment{{From: level, For: d}, {From: 0}}}
}

func newSim(t testing.TB, cfg sim.Config) *sim.Cluster {
	t.Helper()
	c, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// run simulates d and merges what was observed; each, if not nil, sees every snapshot.
func run(t testing.TB, c *sim.Cluster, d time.Duration, each func(*foresail.Snapshot)) *foresail.Snapshot {
	t.Helper()
	var total *foresail.Snapshot
	for until := c.Offset() + d; c.Offset() < until; {
		s, err := c.Next(background)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if each != nil {
			each(s)
		}
		if total == nil {
			total = s
		} else {
			total = foresail.Merge(total, s)
		}
	}
	return total
}

func within(t testing.TB, what string, got, want, relative float64) {
	t.Helper()
	if !(got >= want*(1-relative) && got <= want*(1+relative)) {
		t.Errorf("%s is %v, want %v within %v %%", what, got, want, relative*100)
	}
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}
