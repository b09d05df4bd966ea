package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

func disk(mean float64) foresail.Step {
	return foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Mean: mean}}}
}

// latencyOf is the one latency that all requests have when nothing is random and they don't meet.
func latencyOf(t *testing.T, services ...foresail.ServiceBlueprint) float64 {
	t.Helper()
	bp := blueprint(services...)
	for i := range bp.App.Services {
		bp.App.Services[i].Initial.CPU = 100
	}
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(0.5), Seed: 1})
	s := run(t, c, 200*time.Second, nil)
	if s.Endpoints[0].Latency.Count() < 50 || s.Endpoints[0].Errors > 0 {
		t.Fatalf("%v requests, %v errors", s.Endpoints[0].Latency.Count(), s.Endpoints[0].Errors)
	}
	return s.Endpoints[0].Latency.Mean()
}

func TestStepsCallsAndCaches(t *testing.T) {
	leaf := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 3*ms))}
	slow := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 7*ms))}
	twice, async, hit, miss := call(1), call(2), call(1), call(1)
	twice.Repeat = 2
	async.Async = true
	hit.Cached, hit.Hit = true, 1
	hit.Miss = []foresail.Step{calls(call(2))}
	miss.Cached, miss.Hit = true, 0
	miss.Miss = []foresail.Step{work(foresail.Constant, 1*ms), calls(call(2))}
	never := call(2)
	never.Probability = 0
	both := foresail.Step{Work: foresail.Demand{CPU: foresail.Dist{Mean: 2 * ms}, IO: foresail.Dist{Mean: 1 * ms}}, Calls: []foresail.Call{call(1)}}
	for _, tt := range []struct {
		name  string
		steps []foresail.Step
		want  float64 // ms
	}{
		{"steps follow each other", []foresail.Step{work(foresail.Constant, 1*ms), calls(call(1)), disk(2 * ms)}, 6},
		{"calls of a step are parallel", []foresail.Step{calls(call(1), call(2))}, 7},
		{"work comes before calls, CPU before disk", []foresail.Step{both}, 6},
		{"repeats follow each other", []foresail.Step{calls(twice)}, 6},
		{"nobody waits for an asynchronous call", []foresail.Step{calls(async), work(foresail.Constant, 1*ms)}, 1},
		{"a hit ends the call", []foresail.Step{calls(hit)}, 3},
		{"a miss follows in the caller", []foresail.Step{calls(miss)}, 11},
		{"an improbable call", []foresail.Step{calls(never, call(1))}, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := latencyOf(t, foresail.ServiceBlueprint{Operations: op(tt.steps...)}, leaf, slow)
			within(t, "latency", got*1000, tt.want, 0.02) // requests that meet share nothing but the disk
		})
	}
}

// Without a queue, c workers are Erlang's loss system: it refuses by formula B whatever the distribution of the work.
func TestRefusal(t *testing.T) {
	const service, servers, offered = 20 * ms, 3, 2.0
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.LogNormal, service)), Workers: servers})
	bp.App.Services[0].Initial.CPU = servers
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(offered / service), Seed: 1})
	s := run(t, c, 10*time.Minute, nil)
	b := 1.0
	for k := 1.0; k <= servers; k++ {
		b = offered * b / (k + offered*b)
	}
	e := &s.Endpoints[0]
	within(t, "share refused", e.Errors/e.Requests, b, 0.03)
	equal(t, "errors of the service", s.Services[0].Errors, e.Errors)
	equal(t, "most in flight", s.Services[0].InFlight.Max, servers)
}

// A queue of two: the third that waits is refused.
func TestQueueIsBounded(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(0.5)), Workers: 1, Queue: 2})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1})
	s := run(t, c, 10*time.Second, nil)
	equal(t, "most in flight", s.Services[0].InFlight.Max, 3)
	within(t, "answers", s.Services[0].Completions-s.Services[0].Errors, 20, 0.06)
}

// One slow leaf fills its callers up to the users: each holds its worker and its connection while it waits.
func TestHotspotPropagatesThroughPools(t *testing.T) {
	front := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms), calls(call(1))), Workers: 50, Queue: 1000}
	middle := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms), calls(call(2))), Workers: 20, Queue: 1000, Pool: 2}
	leaf := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 10*ms)), Workers: 100}
	observe := func(cpu float64) *foresail.Snapshot {
		bp := blueprint(front, middle, leaf)
		bp.App.Services[2].Initial.CPU = cpu
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(50), Seed: 1})
		run(t, c, 5*time.Second, nil)
		return run(t, c, 5*time.Second, nil)
	}
	fast, slow := observe(2), observe(0.2) // needs half a core
	for i, most := range []float64{3, 3, 3} {
		if m := fast.Services[i].InFlight.Mean; m > most {
			t.Errorf("service %d has %v in flight with enough CPU", i, m)
		}
	}
	equal(t, "most in flight at the leaf", slow.Services[2].InFlight.Max, 2) // the pool
	if m := slow.Services[1].InFlight.Mean; m < 49 {
		t.Errorf("middle has %v in flight, want all of front's 50 workers", m)
	}
	if m := slow.Services[0].InFlight.Mean; m < 100 {
		t.Errorf("front has %v in flight, want its workers and a long queue", m)
	}
	if slow.Services[2].Throttled < 3*time.Second {
		t.Errorf("leaf throttled for %s of 5s", slow.Services[2].Throttled)
	}
}

// A caller that gives up after 10 ms makes three attempts; the callee works 50 ms on each, for nobody.
func TestTimeoutsAndRetries(t *testing.T) {
	c1 := call(1)
	c1.Patience = foresail.Patience{Timeout: 10 * time.Millisecond, Retries: 2, Backoff: 10 * time.Millisecond}
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(calls(c1))},
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 50*ms))},
	)
	bp.App.Services[1].Initial.CPU = 100
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(100*time.Second, 5), Seed: 1})
	s := run(t, c, 101*time.Second, nil)
	n := s.Endpoints[0].Requests
	equal(t, "failed requests", s.Endpoints[0].Errors, n)
	equal(t, "late requests", s.Endpoints[0].Late, n)
	equal(t, "calls", s.Edges[0].Calls, 3*n)
	equal(t, "failed calls", s.Edges[0].Errors, 3*n)
	equal(t, "the callee's completions", s.Services[1].Completions, 3*n)
	equal(t, "the callee's errors", s.Services[1].Errors, 0)
	within(t, "the callee's CPU", s.Services[1].CPU, 3*n*50*ms, 1e-9)
	// Three attempts, and waits of 10 and 20 ms times a number around one.
	within(t, "time until the caller gives up", s.Services[0].InFlight.Mean*101/n, 60*ms, 0.02)
	// Latency is of what did not fail: no request of the caller, no call, but all the work that the callee did for nobody.
	equal(t, "latencies of the caller", s.Services[0].Latency.Count(), 0)
	equal(t, "latencies of calls", s.Edges[0].Latency.Count(), 0)
	equal(t, "latencies of the callee", s.Services[1].Latency.Count(), 3*n)
}

// Retries after refusals succeed in the end.
func TestRetriesHelpWhereRefused(t *testing.T) {
	share := func(retries int) float64 {
		bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 10*ms)), Workers: 1})
		bp.Timeouts[0] = foresail.Patience{Retries: retries, Backoff: 50 * time.Millisecond}
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(20), Seed: 1})
		s := run(t, c, time.Minute, nil)
		return s.Endpoints[0].Errors / s.Endpoints[0].Requests
	}
	if none, three := share(0), share(3); none < 0.1 || three > none/10 {
		t.Errorf("share failed: %v without retries, %v with three", none, three)
	}
}

// A request whose user has gone is dropped when it leaves the accept queue, without work.
func TestDroppedFromTheQueue(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 100*ms)), Workers: 1, Queue: 1000})
	bp.Timeouts[0].Timeout = 150 * time.Millisecond
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(10*time.Second, 50), Seed: 1})
	s := run(t, c, 12*time.Second, nil)
	equal(t, "requests", s.Endpoints[0].Requests, s.Endpoints[0].Arrivals)
	equal(t, "completions", s.Services[0].Completions, s.Services[0].Arrivals)
	worked := s.Services[0].CPU / 0.1
	if worked > 105 || s.Services[0].Latency.Count() > 105 {
		t.Errorf("%v were worked on, %v have a latency; the worker has time for 102", worked, s.Services[0].Latency.Count())
	}
}

func TestFailedCallFailsTheOperation(t *testing.T) {
	c1, c2 := call(1), call(1)
	c2.Async = true
	for name, k := range map[string]struct {
		call foresail.Call
		want float64
	}{"awaited": {c1, 1}, "asynchronous": {c2, 0}} {
		k.call.Timeout = time.Millisecond
		bp := blueprint(foresail.ServiceBlueprint{Operations: op(calls(k.call))}, foresail.ServiceBlueprint{Operations: op(disk(5 * ms))})
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(10), Seed: 1})
		s := run(t, c, 10*time.Second, nil)
		equal(t, name+": share failed", s.Endpoints[0].Errors/s.Endpoints[0].Requests, k.want)
	}
}

func TestRepeatsStopAtTheFirstFailure(t *testing.T) {
	k := call(1)
	k.Repeat, k.Timeout = 3, time.Millisecond
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(calls(k))}, foresail.ServiceBlueprint{Operations: op(disk(5 * ms))})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(10), Seed: 1})
	s := run(t, c, 10*time.Second, nil)
	equal(t, "calls", s.Edges[0].Calls, s.Endpoints[0].Requests)
}

// A declared cycle ends by chance, or by MaxDepth.
func TestCycles(t *testing.T) {
	back, there := call(0), call(1)
	back.Probability = 0.5
	services := func() []foresail.ServiceBlueprint {
		return []foresail.ServiceBlueprint{
			{Operations: op(work(foresail.Constant, 1*ms), calls(there))}, {Operations: op(work(foresail.Constant, 1*ms), calls(back))},
		}
	}
	bp := blueprint(services()...)
	bp.Cycles = [][]foresail.ServiceID{{0, 1}}
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(20), Seed: 1})
	s := run(t, c, time.Minute, nil)
	within(t, "visits per request", s.Services[0].Arrivals/s.Endpoints[0].Requests, 2, 0.1)

	back.Probability = 1
	c = newSim(t, sim.Config{Blueprint: blueprint(services()...), Load: constant(1), Seed: 1})
	s = run(t, c, 20*time.Second, nil)
	if e := &s.Endpoints[0]; e.Requests < 10 || e.Errors != e.Requests {
		t.Errorf("%v of %v endless requests failed", e.Errors, e.Requests)
	}
}

// N users who think for Z and are served in S without waiting send N/(Z+S) requests per second.
func TestClosedLoop(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, 20*ms))})
	bp.App.Services[0].Initial.CPU = 100
	l := constant(40)
	l.Mode, l.Think = load.Closed, 180*time.Millisecond
	c := newSim(t, sim.Config{Blueprint: bp, Load: l, Seed: 1})
	run(t, c, 5*time.Second, nil)
	s := run(t, c, time.Minute, nil)
	within(t, "requests per second", s.Endpoints[0].Requests/60, 40/0.2, 0.03)

	l = constant(10) // users who are too many leave
	l.Mode, l.Think = load.Closed, 180*time.Millisecond
	c.SetLoad(l)
	run(t, c, 5*time.Second, nil)
	s = run(t, c, time.Minute, nil)
	within(t, "requests per second of fewer users", s.Endpoints[0].Requests/60, 10/0.2, 0.05)

	c.SetLoad(constant(0)) // and all when the load is open
	run(t, c, 5*time.Second, nil)
	equal(t, "records in use", c.Live(), 0)
}

// Users who are refused at once and don't think must not stop the clock.
func TestClosedLoopWithoutThinkingGoesOn(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(10 * ms)), Workers: 1})
	l := constant(5)
	l.Mode = load.Closed
	c := newSim(t, sim.Config{Blueprint: bp, Load: l, Seed: 1})
	s := run(t, c, time.Second, nil)
	within(t, "answers", s.Services[0].Completions-s.Services[0].Errors, 100, 0.1)
}

func TestMixOfEndpoints(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(1 * ms))})
	bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: "second"})
	bp.Entries = append(bp.Entries, foresail.Target{})
	l := constant(500)
	l.Mix = []load.MixPoint{{Shares: []float64{3, 1}}, {At: 10 * time.Second, Shares: []float64{0, 1}}}
	c := newSim(t, sim.Config{Blueprint: bp, Load: l, Seed: 1})
	s := run(t, c, 10*time.Second, nil)
	within(t, "share of the first", s.Endpoints[0].Arrivals/(s.Endpoints[0].Arrivals+s.Endpoints[1].Arrivals), 0.75, 0.03)
	s = run(t, c, 10*time.Second, nil)
	equal(t, "arrivals of the first, later", s.Endpoints[0].Arrivals, 0)
	equal(t, "late requests without an objective", s.Endpoints[1].Late, 0)
}

// Late requests are counted exactly, and the first late one is told by when it was sent.
func TestLate(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 100*ms))})
	bp.App.Services[0].Initial.CPU = 100
	for _, tt := range []struct {
		objective time.Duration
		late      float64
	}{{100 * time.Millisecond, 0}, {100*time.Millisecond - 1, 1}} {
		bp.App.Endpoints[0].Objective.Latency = tt.objective
		c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 20), Seed: 1})
		s := run(t, c, 2*time.Second, nil)
		equal(t, fmt.Sprintf("share over %s", tt.objective), s.Endpoints[0].Late/s.Endpoints[0].Requests, tt.late)
		equal(t, "a first late one", !s.Endpoints[0].FirstLate.IsZero(), tt.late > 0)
		if tt.late > 0 && !s.Endpoints[0].FirstLate.Before(s.Start.Add(500*time.Millisecond)) {
			t.Errorf("the first late one was sent at %s", s.Endpoints[0].FirstLate)
		}
	}
}

// A call that stands for several is made to each as often, whether or not one of them is busy, with what that one's call says.
func TestACallStandsForOneOfSeveral(t *testing.T) {
	leaf := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))}
	slow := foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 50*ms))}
	cached := call(2)
	cached.Cached, cached.Miss = true, []foresail.Step{calls(call(3))}
	either := foresail.Call{Either: []foresail.Call{call(1), cached}}
	c := newSim(t, sim.Config{Blueprint: blueprint(foresail.ServiceBlueprint{Operations: op(calls(either, call(3)))}, leaf, slow, leaf), Load: constant(15), Seed: 1})
	s := run(t, c, 400*time.Second, nil)
	all := s.Endpoints[0].Requests
	for service, want := range map[int]float64{1: 0.5, 2: 0.5, 3: 1.5} {
		if got := s.Services[service].Completions / all; got < want*0.95 || got > want*1.05 {
			t.Errorf("service %d has %.3f requests for each of the users', want %v", service, got, want)
		}
	}
	twice := foresail.Call{Either: []foresail.Call{either, call(1)}}
	if _, err := sim.New(sim.Config{Blueprint: blueprint(foresail.ServiceBlueprint{Operations: op(calls(twice))}, leaf, leaf, leaf), Load: constant(1)}); err == nil || !strings.Contains(err.Error(), "stands for more") {
		t.Error(err)
	}
}
