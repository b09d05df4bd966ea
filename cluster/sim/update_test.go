package sim_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"pgregory.net/rapid"
)

// slowerB is twoServices with a b that needs twice the CPU.
func slowerB() *foresail.Blueprint {
	bp := twoServices()
	bp.Services[1].Operations[0].Steps[0].Work.CPU.Mean *= 2
	return bp
}

// withC is twoServices with b gone, c in its place, and a second endpoint that calls c alone.
func withC() *foresail.Blueprint {
	bp := twoServices()
	bp.App.Services[1].Name = "c"
	bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: "GET /c", Entry: 1, Operation: "op"})
	bp.Entries = append(bp.Entries, foresail.Target{Service: 1})
	bp.Timeouts = append(bp.Timeouts, foresail.Patience{})
	return bp
}

func at(d time.Duration, old, next *foresail.Blueprint) sim.Update {
	return sim.Update{At: d, Blueprint: foresail.Align(old, next)}
}

// Four replicas of b become four of another version as Kubernetes would do it: at most five at once, at least three ready,
// and no request fails or waits.
func TestAnUpdateRolls(t *testing.T) {
	bp := twoServices()
	bp.Services[1].Start = 500 * time.Millisecond
	next := slowerB()
	next.Services[1].Start = bp.Services[1].Start
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Updates: []sim.Update{at(10*second, bp, next)}, Duration: 30 * second})
	before := run(t, c, 10*second, nil)
	equal(t, "the generation before", c.App().Generation, 0)
	var trail []string
	during := run(t, c, 5*second, func(s *foresail.Snapshot) {
		equal(t, "the generation", s.Generation, 1)
		b := &s.Services[1]
		held := 0
		for _, r := range b.Replicas {
			if !r.Gone {
				held++
			}
		}
		if b.Ready < 3 || held > 6 { // one may drain
			t.Errorf("%d ready of %d", b.Ready, held)
		}
		now := fmt.Sprintf("%d of %d", b.Ready, held)
		if len(trail) == 0 || trail[len(trail)-1] != now {
			trail = append(trail, now)
		}
	})
	after := run(t, c, 15*second, nil)
	if want := []string{"3 of 5", "4 of 4"}; !reflect.DeepEqual([]string{trail[0], trail[len(trail)-1]}, want) {
		t.Errorf("ready of all: %v", trail)
	}
	equal(t, "errors", before.Endpoints[0].Errors+during.Endpoints[0].Errors+after.Endpoints[0].Errors, 0)
	within(t, "CPU of b for each request", after.Services[1].CPU/after.Services[1].Completions, 8*ms, 0.05)
	within(t, "CPU of a for each request", after.Services[0].CPU/after.Services[0].Completions, 2*ms, 0.05)
	names := ""
	for _, r := range after.Services[1].Replicas {
		names += r.Name + " "
	}
	equal(t, "replicas of b", names, "b-4 b-5 b-6 b-7 ")
	equal(t, "replicas of a", after.Services[0].Replicas[0].Name, "a-0") // untouched
	equal(t, "the generation after", c.App().Generation, 1)
}

// A service goes, another comes, and the numbers of the rest stay: snapshots are longer, and edges in their order.
func TestServicesComeAndGo(t *testing.T) {
	bp := twoServices()
	next := at(10*second, bp, withC())
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Updates: []sim.Update{next, at(20*second, next.Blueprint, twoServices())}, Duration: 40 * second})
	run(t, c, 10*second, nil)
	run(t, c, second, nil)
	s := run(t, c, 8*second, nil)
	if len(s.Services) != 3 || len(s.Endpoints) != 2 || s.Services[1].Ready != 0 || s.Services[2].Ready != 4 || s.Services[1].Arrivals != 0 {
		t.Errorf("after the first: %d services, %d endpoints, ready %d and %d", len(s.Services), len(s.Endpoints), s.Services[1].Ready, s.Services[2].Ready)
	}
	if len(s.Edges) != 1 || s.Edges[0].To != 2 || s.Endpoints[1].Requests < 300 || s.Endpoints[0].Errors+s.Endpoints[1].Errors != 0 {
		t.Errorf("edges %+v, endpoints %+v", s.Edges, s.Endpoints)
	}
	err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{{Service: 1, To: alloc(2, 1)}, {Service: 2, To: alloc(2, 1)}}})
	var failed *foresail.ApplyError
	if !errors.As(err, &failed) || len(failed.Failed) != 1 || !strings.Contains(failed.Failed[1].Error(), "b is no longer part of the application") {
		t.Errorf("%v", err)
	}
	run(t, c, 2*second, nil)
	s = run(t, c, 10*second, nil)
	if len(s.Services) != 3 || s.Services[1].Ready != 4 || s.Services[2].Ready != 0 || s.Endpoints[1].Arrivals != 0 || s.Endpoints[0].Errors != 0 || s.Generation != 2 {
		t.Errorf("back: %+v", s.Endpoints)
	}
	within(t, "requests that only one endpoint gets", s.Endpoints[0].Requests, 1000, 0.1)
}

// Requests that are in progress end by the version that they began with.
func TestRequestsInProgressEndOnTheOldVersion(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 0.5))})
	bp.App.Services[0].Initial = alloc(4, 4)
	next := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(20), Seed: 1, Updates: []sim.Update{at(5*second, bp, next)}, Duration: 10 * second})
	run(t, c, 5*second, nil)
	s := run(t, c, 5*second, nil)
	equal(t, "errors", s.Endpoints[0].Errors, 0)
	if slowest := s.Endpoints[0].Latency.Quantile(1); slowest < 0.45 {
		t.Errorf("none took its time: %v", slowest)
	}
	if median := s.Endpoints[0].Latency.Quantile(0.5); median > 10*ms {
		t.Errorf("the median is %v", median)
	}
}

// An update of a service in the midst of a bad release of it ends that: what is rolled back then is not the update.
func TestAnUpdateOfABadReleaseEndsIt(t *testing.T) {
	bp := twoServices()
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Duration: 40 * second, Updates: []sim.Update{at(15*second, bp, slowerB())},
		Faults: &fault.Schedule{Fixed: []fault.Fault{{Kind: fault.BadRelease, At: 5 * second, For: 20 * second, Errors: 0.5, Target: fault.Target{Service: "b"}}}}})
	run(t, c, 7*second, nil)
	if s := run(t, c, 8*second, nil); s.Services[1].Errors < 300 {
		t.Errorf("%v errors of the bad release", s.Services[1].Errors)
	}
	run(t, c, second, nil)
	s := run(t, c, 24*second, nil)
	equal(t, "errors after", s.Services[1].Errors, 0)
	equal(t, "replicas", len(s.Services[1].Replicas), 4)
	within(t, "CPU of b for each request", s.Services[1].CPU/s.Services[1].Completions, 8*ms, 0.05)
}

func TestUpdatesMustFollowEachOther(t *testing.T) {
	bp := twoServices()
	good := at(second, bp, withC())
	for _, tt := range []struct {
		name string
		u    []sim.Update
		want string
	}{
		{"not aligned", []sim.Update{{At: second, Blueprint: withC()}}, "generation 0 does not follow 0: see foresail.Align"},
		{"aligned to something else", []sim.Update{good, at(2*second, foresail.Align(bp, twoServices()), twoServices())}, "service 2 is not c any more"},
		{"not in order", []sim.Update{good, at(second, good.Blueprint, twoServices())}, "must be after 1s"},
		{"past the end", []sim.Update{at(20*second, bp, withC())}, "past the end of the run, 10s"},
		{"none", []sim.Update{{At: second}}, "no blueprint"},
	} {
		_, err := sim.New(sim.Config{Blueprint: bp, Load: constant(1), Duration: 10 * second, Updates: tt.u})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// Whatever an application becomes, twice in a run, with faults besides: no request is lost, and the same seed gives the same
// bytes.
func TestUpdatesKeepTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := anyBlueprint(t)
		second1 := foresail.Align(first, anyBlueprint(t))
		third := foresail.Align(second1, anyBlueprint(t))
		cfg := sim.Config{Blueprint: first, Load: during(6*second, 60), Seed: rapid.Uint64().Draw(t, "seed"), Duration: 6000 * second,
			Updates: []sim.Update{{At: 1500 * time.Millisecond, Blueprint: second1}, {At: 3 * second, Blueprint: third}}, NodeCores: 8, DrainLimit: second}
		if rapid.Bool().Draw(t, "faults") {
			cfg.Faults = &fault.Schedule{}
			for _, r := range anyFaults().Random {
				if r.Kind != fault.NodeLost && r.Kind != fault.BlockingCycle {
					r.Until, r.Leak = 6*second, fault.Range[float64]{}
					cfg.Faults.Random = append(cfg.Faults.Random, r)
				}
			}
		}
		begin := func() *sim.Cluster {
			c, err := sim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c, again := begin(), begin()
		open := make([]float64, 100)
		sent, ended := 0.0, 0.0
		for beat := 0; beat < 90 || c.Live() > 0; beat++ {
			s, err := c.Next(background)
			if err != nil {
				t.Fatalf("%d records are still in use: %v", c.Live(), err)
			}
			if beat < 70 {
				if other, err := again.Next(background); err != nil || snapshotDigest(t.Fatal, s) != snapshotDigest(t.Fatal, other) {
					t.Fatal("the same seed gave other bytes")
				}
			}
			if app := c.App(); len(s.Services) != len(app.Services) || len(s.Endpoints) != len(app.Endpoints) || s.Generation != app.Generation {
				t.Fatalf("a snapshot of %d services of generation %d, the application has %d of %d", len(s.Services), s.Generation, len(app.Services), app.Generation)
			}
			for i := range s.Services {
				u := &s.Services[i]
				open[i] += u.Arrivals - u.Completions
				if open[i] != u.InFlight.Last {
					t.Fatalf("beat %d: %v in flight, %v by the books", beat, u.InFlight.Last, open[i])
				}
			}
			for i := range s.Edges {
				if i > 0 && !(s.Edges[i-1].From < s.Edges[i].From || s.Edges[i-1].From == s.Edges[i].From && s.Edges[i-1].To < s.Edges[i].To) {
					t.Fatalf("edges out of order: %+v", s.Edges)
				}
			}
			for i := range s.Endpoints {
				sent, ended = sent+s.Endpoints[i].Arrivals, ended+s.Endpoints[i].Requests
			}
		}
		if sent != ended {
			t.Fatalf("%v requests were sent, %v ended", sent, ended)
		}
	})
}
