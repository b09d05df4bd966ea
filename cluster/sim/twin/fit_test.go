package twin_test

import (
	"context"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/sim/twin"
	"foresail.dev/load"
)

const ms = 1e-3

// observe simulates an application and gives what can be seen of it from outside.
func observe(t interface {
	Helper()
	Fatal(...any)
}, bp *foresail.Blueprint, rate float64, d time.Duration, seed uint64) twin.Input {
	t.Helper()
	in := twin.Input{App: bp.App}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Name: "l", Curve: []load.Segment{{From: rate}}}, Seed: seed, Duration: d,
		TraceShare: 1, Spans: func(s []foresail.Span) { in.Spans = append(in.Spans, s...) }})
	if err != nil {
		t.Fatal(err)
	}
	for {
		s, err := c.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return in
		}
		if err != nil {
			t.Fatal(err)
		}
		in.Snapshots = append(in.Snapshots, s)
	}
}

func application(services ...foresail.ServiceBlueprint) *foresail.Blueprint {
	app := &foresail.App{Name: "test"}
	for i := range services {
		app.Services = append(app.Services, foresail.Service{
			Name: string(rune('a' + i)), Initial: foresail.Allocation{Replicas: 1, CPU: 8},
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 10, MinCPU: 0.1, MaxCPU: 8},
		})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "home", Operation: "op"}}
	return &foresail.Blueprint{App: app, Services: services, Entries: []foresail.Target{{}}, Timeouts: make([]foresail.Patience, 1)}
}

func one(steps ...foresail.Step) foresail.ServiceBlueprint {
	return foresail.ServiceBlueprint{Operations: []foresail.Operation{{Name: "op", Steps: steps, Request: 300, Response: 2000}}}
}

func work(shape foresail.DistShape, mean, cv float64) foresail.Step {
	return foresail.Step{Work: foresail.Demand{CPU: foresail.Dist{Shape: shape, Mean: mean, CV: cv}}}
}

func call(to int) foresail.Call {
	return foresail.Call{Target: foresail.Target{Service: foresail.ServiceID(to)}, Probability: 1, Repeat: 1}
}

func calls(c ...foresail.Call) foresail.Step { return foresail.Step{Calls: c} }

func near(t *testing.T, what string, got, want, relative float64) {
	t.Helper()
	if !(math.Abs(got-want) <= relative*math.Abs(want)) {
		t.Errorf("%s is %v, want %v within %v %%", what, got, want, 100*relative)
	}
}

func fit(t *testing.T, in twin.Input) *foresail.Blueprint {
	t.Helper()
	bp, _, err := twin.Fit(in)
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

// A frontend works, asks a cache whose misses go to a database and back into the cache, asks two services side by side,
// tells a third without waiting, and works again.
func rich() *foresail.Blueprint {
	cached := call(1)
	cached.Cached, cached.Hit = true, 0.8
	cached.Miss = []foresail.Step{{Work: work(foresail.LogNormal, 0.4*ms, 0.5).Work, Calls: []foresail.Call{call(2)}}, calls(call(6))}
	sometimes := call(4)
	sometimes.Probability = 0.3
	tell := call(5)
	tell.Async = true
	return application(
		one(
			foresail.Step{Work: work(foresail.LogNormal, 2*ms, 0.5).Work, Calls: []foresail.Call{cached}},
			foresail.Step{Work: work(foresail.LogNormal, 1*ms, 0.5).Work, Calls: []foresail.Call{call(3), sometimes}},
			calls(tell),
			work(foresail.LogNormal, 1.5*ms, 0.5)),
		one(work(foresail.Constant, 0.1*ms, 0)),
		one(foresail.Step{Work: foresail.Demand{CPU: foresail.Dist{Shape: foresail.LogNormal, Mean: 0.5 * ms, CV: 0.5}, IO: foresail.Dist{Shape: foresail.LogNormal, Mean: 2 * ms, CV: 0.5}}}),
		one(work(foresail.Exponential, 1*ms, 1)),
		one(work(foresail.Constant, 3*ms, 0)),
		one(work(foresail.LogNormal, 4*ms, 0.5)),
		one(work(foresail.LogNormal, 0.2*ms, 0.5)),
	)
}

func TestStructureIsRecovered(t *testing.T) {
	got := fit(t, observe(t, rich(), 50, 2*time.Minute, 1))
	steps := got.Services[0].Operations[0].Steps
	if len(steps) != 4 {
		t.Fatalf("%d steps: %+v", len(steps), steps)
	}
	near(t, "first work", steps[0].Work.CPU.Mean, 2*ms, 0.05)
	near(t, "its variation", steps[0].Work.CPU.CV, 0.5, 0.1)
	get := steps[0].Calls[0]
	if len(steps[0].Calls) != 1 || get.Target.Service != 1 || !get.Cached || len(get.Miss) != 2 {
		t.Fatalf("the cache: %+v", steps[0])
	}
	near(t, "hits", get.Hit, 0.8, 0.03)
	near(t, "work after a miss", get.Miss[0].Work.CPU.Mean, 0.4*ms, 0.1)
	if get.Miss[0].Calls[0].Target.Service != 2 || get.Miss[1].Calls[0].Target.Service != 6 || get.Miss[0].Calls[0].Probability != 1 || get.Miss[1].Calls[0].Probability != 1 {
		t.Errorf("what follows a miss: %+v", get.Miss)
	}
	near(t, "second work", steps[1].Work.CPU.Mean, 1*ms, 0.05)
	if c := steps[1].Calls; len(c) != 2 || c[0].Target.Service != 3 || c[0].Probability != 1 || c[1].Target.Service != 4 {
		t.Fatalf("side by side: %+v", steps[1])
	}
	near(t, "the probable call", steps[1].Calls[1].Probability, 0.3, 0.1)
	if c := steps[2].Calls; len(c) != 1 || c[0].Target.Service != 5 || !c[0].Async {
		t.Errorf("asynchronous: %+v", steps[2])
	}
	near(t, "last work", steps[3].Work.CPU.Mean, 1.5*ms, 0.05)

	database := got.Services[2].Operations[0].Steps[0].Work
	near(t, "the database's CPU", database.CPU.Mean, 0.5*ms, 0.1)
	near(t, "the database's disk", database.IO.Mean, 2*ms, 0.1)
	if d := got.Services[3].Operations[0].Steps[0].Work.CPU; d.Shape != foresail.Exponential {
		t.Errorf("exponential work is %+v", d)
	}
	if d := got.Services[4].Operations[0].Steps[0].Work.CPU; d.Shape != foresail.Constant {
		t.Errorf("constant work is %+v", d)
	}
	near(t, "request", float64(got.Services[3].Operations[0].Request), 300, 0.05)
	near(t, "response", float64(got.Services[3].Operations[0].Response), 2000, 0.05)
}

// The fitted application does to its users what the real one does, at a load that it was not fitted at.
func TestTwinBehavesAlike(t *testing.T) {
	real := rich()
	fitted := fit(t, observe(t, real, 50, 2*time.Minute, 1))
	latency := func(bp *foresail.Blueprint) (p50, p99, cores float64) {
		in := observe(t, bp, 250, time.Minute, 7)
		total := foresail.Merge(in.Snapshots...)
		for i := range total.Services {
			cores += total.Services[i].CPU / 60
		}
		return total.Endpoints[0].Latency.Quantile(0.5), total.Endpoints[0].Latency.Quantile(0.99), cores
	}
	p50, p99, cores := latency(real)
	f50, f99, fcores := latency(fitted)
	near(t, "p50", f50, p50, 0.1)
	near(t, "p99", f99, p99, 0.15)
	near(t, "cores", fcores, cores, 0.05)
}

func TestOverheadsAreRecovered(t *testing.T) {
	bp := rich()
	bp.Overhead = foresail.Overhead{Caller: 300 * time.Microsecond, Network: 150 * time.Microsecond, Users: 400 * time.Microsecond}
	got := fit(t, observe(t, bp, 50, 2*time.Minute, 1)).Overhead
	near(t, "caller", got.Caller.Seconds(), 300e-6, 0.15)
	near(t, "network", got.Network.Seconds(), 150e-6, 0.25)
	if got.Callee > 30*time.Microsecond { // there is none; the database's disk must not pass for one
		t.Errorf("callee is %v", got.Callee)
	}
}

func TestHostileInput(t *testing.T) {
	good := observe(t, rich(), 50, 10*time.Second, 1)
	never := rich()
	never.App.Services = append(never.App.Services, foresail.Service{Name: "idle", Initial: foresail.Allocation{Replicas: 1, CPU: 1}})
	renamed := rich()
	renamed.App.Services[3].Name = "stock"
	uncalled := rich()
	uncalled.App.Endpoints = append(uncalled.App.Endpoints, foresail.Endpoint{Name: "buy", Operation: "buy"})
	for _, test := range []struct {
		name   string
		change func(*twin.Input)
		want   string
	}{
		{"no application", func(in *twin.Input) { in.App = nil }, "no application is given"},
		{"no spans", func(in *twin.Input) { in.Spans = nil }, "there are no spans"},
		{"no snapshots", func(in *twin.Input) { in.Snapshots = nil }, "there are no snapshots"},
		{"neither", func(in *twin.Input) { in.Spans, in.Snapshots = nil, nil }, "there are no spans\ntwin: nothing to fit from: there are no snapshots"},
		{"no CPU", func(in *twin.Input) {
			s := *in.Snapshots[0]
			s.Services = make([]foresail.ServiceStats, len(s.Services))
			in.Snapshots = []*foresail.Snapshot{&s}
		}, "no snapshot tells of CPU"},
		{"out of order", func(in *twin.Input) { in.Snapshots = []*foresail.Snapshot{in.Snapshots[1], in.Snapshots[0]} }, "snapshot 1 is older"},
		{"an unknown service", func(in *twin.Input) { in.App = renamed.App }, `spans are of services that the application does not have: "d" (`},
		{"a service that never ran", func(in *twin.Input) { in.App = never.App }, "service idle never ran"},
		{"an endpoint that nobody called", func(in *twin.Input) { in.App = uncalled.App }, `endpoint buy was never called: no server span of a is named "buy"`},
		{"too few", func(in *twin.Input) { in.Spans = in.Spans[:20] }, "at least 30 are needed"},
		{"all failed", func(in *twin.Input) {
			in.Spans = append([]foresail.Span(nil), in.Spans...)
			for i := range in.Spans {
				in.Spans[i].Failed = true
			}
		}, "0 complete visits without a failure"},
		{"spans that are their own parents", func(in *twin.Input) {
			in.Spans = append([]foresail.Span(nil), in.Spans...)
			for i := range in.Spans {
				in.Spans[i].Parent = in.Spans[i].ID
			}
		}, ""},
		{"spans that end before they begin", func(in *twin.Input) {
			in.Spans = append([]foresail.Span(nil), in.Spans...)
			for i := range in.Spans {
				in.Spans[i].Start, in.Spans[i].End = in.Spans[i].End.Add(1), in.Spans[i].Start
			}
		}, "never ran"},
		{"each span twice", func(in *twin.Input) { in.Spans = append(append([]foresail.Span(nil), in.Spans...), in.Spans...) }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := good
			test.change(&in)
			bp, _, err := twin.Fit(in)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want == "":
				if _, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 1}}}}); err != nil {
					t.Error(err)
				}
			case err == nil || !strings.Contains(err.Error(), test.want):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// A call made several times in a row, with nothing between, is one call that is repeated.
func TestRepeatedCalls(t *testing.T) {
	c := call(1)
	c.Repeat = 4
	got := fit(t, observe(t, application(one(work(foresail.Constant, 1*ms, 0), calls(c)), one(work(foresail.Constant, 1*ms, 0))), 20, time.Minute, 1))
	if steps := got.Services[0].Operations[0].Steps; len(steps) != 1 || len(steps[0].Calls) != 1 || steps[0].Calls[0].Repeat != 4 {
		t.Errorf("%+v", steps)
	}
}
