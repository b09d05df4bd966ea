package sim_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

func apply(t testing.TB, c *sim.Cluster, id foresail.ServiceID, to foresail.Allocation) {
	t.Helper()
	if err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{{Service: id, To: to}}}); err != nil {
		t.Fatal(err)
	}
}

func alloc(replicas int, cpu float64) foresail.Allocation {
	return foresail.Allocation{Replicas: replicas, CPU: cpu}
}

// moment is a service at the end of a beat: its ready replicas, all its replicas, its cores per replica.
type moment struct {
	ready, listed int
	cpu           float64
	pending       bool
}

func next(t testing.TB, c *sim.Cluster, id int) moment {
	t.Helper()
	s, err := c.Next(background)
	if err != nil {
		t.Fatal(err)
	}
	sv := &s.Services[id]
	return moment{sv.Ready, len(sv.Replicas), sv.Allocation.CPU, sv.Pending != nil}
}

func TestStartUpAndWarmUp(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{
		Operations: op(work(foresail.Constant, 10*ms)), Start: 2 * time.Second, Warmup: 4 * time.Second, ColdFactor: 5,
	})
	bp.App.Services[0].Initial = alloc(1, 50)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(200), Seed: 1})
	s := run(t, c, time.Second, nil)
	within(t, "latency, warm", s.Services[0].Latency.Mean(), 10*ms, 0.001)
	apply(t, c, 0, alloc(2, 50))
	for range 19 {
		equal(t, "while it starts", next(t, c, 0), moment{1, 2, 50, true})
	}
	next(t, c, 0) // the event is due when this beat has ended
	equal(t, "when it has started", next(t, c, 0), moment{2, 2, 50, false})
	s = run(t, c, 900*time.Millisecond, nil)
	cold, warm := &s.Services[0].Replicas[1], &s.Services[0].Replicas[0]
	equal(t, "names differ", cold.Name != warm.Name, true)
	equal(t, "asked for", cold.Started, midnight.Add(time.Second))
	within(t, "latency of the warm", warm.Latency.Mean(), 10*ms, 0.001)
	within(t, "latency of the cold", cold.Latency.Mean(), 10*ms*(1+4*(1-0.55/4)), 0.03) // 0.1 to 1 s after it was ready
	run(t, c, 3*time.Second, nil)
	s = run(t, c, time.Second, nil)
	within(t, "latency when warmed up", s.Services[0].Replicas[1].Latency.Mean(), 10*ms, 0.001)
}

var midnight = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// From two large replicas to four small ones: CPU falls only when all four are ready.
func TestNeverShrunkBeforeReady(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 10*ms)), Start: 300 * time.Millisecond})
	bp.App.Services[0].Initial = alloc(2, 2)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(10), Seed: 1})
	next(t, c, 0)
	apply(t, c, 0, alloc(4, 1))
	for range 3 {
		equal(t, "while they start", next(t, c, 0), moment{2, 4, 2, true})
	}
	equal(t, "when they are ready", next(t, c, 0), moment{4, 4, 1, false})

	// And back: CPU is raised at once, so the surplus may go at once.
	apply(t, c, 0, alloc(2, 2))
	m := next(t, c, 0)
	equal(t, "ready", m.ready, 2)
	equal(t, "cpu", m.cpu, 2)
	equal(t, "pending", m.pending, false)

	// A start that is no longer wanted is cancelled; asking twice starts nothing twice.
	apply(t, c, 0, alloc(5, 2))
	apply(t, c, 0, alloc(5, 2))
	equal(t, "two asked for", next(t, c, 0), moment{2, 5, 2, true})
	apply(t, c, 0, alloc(3, 2))
	next(t, c, 0)
	equal(t, "one left", next(t, c, 0), moment{2, 3, 2, true})
	next(t, c, 0)
	equal(t, "one ready", next(t, c, 0), moment{3, 3, 2, false})
}

// Two replicas with long requests; one is taken away. It finishes what it has, and no request fails.
func TestDrain(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(400 * ms)), Workers: 1, Queue: 10})
	bp.App.Services[0].Initial = alloc(2, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 4), Seed: 1})
	run(t, c, time.Second, nil)
	apply(t, c, 0, alloc(1, 1))
	m := next(t, c, 0)
	equal(t, "ready", m.ready, 1)
	equal(t, "still there", m.listed, 2)
	told := 0
	s := run(t, c, 10*time.Second, func(s *foresail.Snapshot) {
		if held, _ := s.Services[0].Held(); len(s.Services[0].Replicas) == 2 && s.Services[0].Replicas[1].Gone {
			told++
			equal(t, "cores held once it is gone", held, 1)
		}
	})
	equal(t, "snapshots that tell that it is gone", told, 1)
	equal(t, "errors", s.Endpoints[0].Errors, 0)
	equal(t, "in flight at the end", s.Services[0].InFlight.Last, 0)
	equal(t, "replicas at the end", next(t, c, 0).listed, 1)
}

// What a draining replica has not finished in time fails.
func TestDrainLimit(t *testing.T) {
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(calls(call(1)))},
		foresail.ServiceBlueprint{Operations: op(disk(5)), Workers: 2, Queue: 10},
	)
	bp.App.Services[1].Initial = alloc(2, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 8), Seed: 1, DrainLimit: 500 * time.Millisecond})
	s := run(t, c, time.Second, nil)
	doomed := s.Services[1].Replicas[1].InFlight.Last
	if doomed < 2 {
		t.Fatalf("%v requests at the second replica: the test needs more", doomed)
	}
	apply(t, c, 1, alloc(1, 1))
	s = run(t, c, time.Second, nil)
	equal(t, "failed requests", s.Endpoints[0].Errors, doomed)
	equal(t, "replicas", next(t, c, 1).listed, 1)
	run(t, c, 60*time.Second, nil)
	equal(t, "records in use", c.Live(), 0)
}

// A replica whose drain limit is over does nothing any more: no call leaves it, and its work in progress is forgotten.
func TestNothingComesFromAReplicaThatIsGone(t *testing.T) {
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(disk(20*ms), calls(call(1)), work(foresail.Constant, 100)), Pool: 1},
		foresail.ServiceBlueprint{Operations: op(disk(30 * ms)), Workers: 100},
	)
	bp.App.Services[0].Initial = alloc(2, 1)
	var spans []foresail.Span
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 60), Seed: 1, DrainLimit: 100 * time.Millisecond,
		TraceShare: 1, Spans: func(s []foresail.Span) { spans = append(spans, s...) }})
	run(t, c, time.Second, nil)
	apply(t, c, 0, alloc(1, 1))
	s := run(t, c, 100*time.Millisecond, nil) // the limit is over when this ends
	killed := s.End
	s = run(t, c, 100*time.Millisecond, nil)
	doomed := s.Endpoints[0].Errors
	if doomed < 10 {
		t.Fatalf("%v requests failed: the test needs more", doomed)
	}
	last, err := c.Next(background)
	for c.Offset() < 4*time.Second && err == nil {
		last, err = c.Next(background)
	}
	if err != nil {
		t.Fatal(err)
	}
	// Of each request in flight: its call, its visit, its frame, its trace.
	equal(t, "records in use", float64(c.Live()), 4*last.Services[0].InFlight.Last)
	from := map[foresail.SpanID]string{}
	failed := 0.0
	for _, sp := range spans {
		if sp.Kind == foresail.KindClient {
			from[sp.ID] = sp.Replica
		}
		if sp.Replica == "a-1" && sp.Kind == foresail.KindServer {
			failed++
		}
	}
	equal(t, "requests that are over", failed, doomed)
	for _, sp := range spans {
		if from[sp.Parent] == "a-1" && sp.Start.After(killed) {
			t.Errorf("a call left the replica %s after it was gone", sp.Start.Sub(killed))
		}
	}
}

// The calls of a replica that is gone end with the attempt they are at: none is tried again, whether the attempt was under
// way or a wait before the next, none is repeated, and no work follows its cache miss.
func TestCallsOfAReplicaThatIsGoneAreNotTriedAgain(t *testing.T) {
	tried, waiting, repeated, missed := call(1), call(1), call(1), call(1)
	tried.Patience = foresail.Patience{Timeout: 60 * time.Millisecond, Retries: 1000}
	waiting.Patience = foresail.Patience{Timeout: time.Millisecond, Retries: 6, Backoff: 40 * time.Millisecond}
	repeated.Repeat = 1000
	missed.Cached, missed.Miss = true, []foresail.Step{calls(call(1)), calls(call(1))}
	for name, tt := range map[string]struct {
		call   foresail.Call
		callee float64 // seconds
	}{
		"tried again":           {tried, 70 * ms},
		"waiting to try again":  {waiting, 70 * ms},
		"repeated":              {repeated, 30 * ms},
		"followed after a miss": {missed, 200 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			bp := blueprint(
				foresail.ServiceBlueprint{Operations: op(calls(tt.call))},
				foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, tt.callee))},
			)
			bp.App.Services[0].Initial, bp.App.Services[1].Initial = alloc(2, 1), alloc(1, 1000)
			var spans []foresail.Span
			c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 40), Seed: 1, NodeCores: 1000, DrainLimit: 50 * time.Millisecond,
				TraceShare: 1, Spans: func(s []foresail.Span) { spans = append(spans, s...) }})
			run(t, c, time.Second, nil)
			killed := c.Now().Add(50 * time.Millisecond)
			apply(t, c, 0, alloc(1, 1))
			doomed := run(t, c, 100*time.Millisecond, nil).Endpoints[0].Errors
			for c.Live() > 0 {
				run(t, c, time.Second, nil)
			}
			if doomed < 2 {
				t.Fatalf("%v requests failed: the test needs more", doomed)
			}
			for _, sp := range spans {
				if sp.Replica == "a-1" && sp.Start.After(killed) {
					t.Fatalf("a call was made %s after its replica was gone", sp.Start.Sub(killed))
				}
			}
		})
	}
}

// What waits for the disk of a replica that is taken away does not go on to its CPU.
func TestNothingGoesOnInAReplicaThatIsGone(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(50*ms), work(foresail.Constant, 100))})
	bp.App.Services[0].Initial = alloc(2, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: during(time.Second, 60), Seed: 1, DrainLimit: 100 * time.Millisecond})
	run(t, c, time.Second, nil)
	apply(t, c, 0, alloc(1, 1))
	s := run(t, c, 4*time.Second, nil)
	// Of each request in flight: its call, its visit, its frame.
	equal(t, "records in use", float64(c.Live()), 3*s.Services[0].InFlight.Last)
}

// A request may leave the accept queue at the very instant at which its replica is taken away.
func TestGoneAtTheInstantAWaitingRequestBegins(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(150 * ms)), Workers: 1, Queue: 100})
	bp.App.Services[0].Initial = alloc(2, 1)
	l := constant(20) // users who don't think: they send at 0, and the disks are done at 150 ms and 300 ms
	l.Mode = load.Closed
	c := newSim(t, sim.Config{Blueprint: bp, Load: l, Seed: 1, DrainLimit: 100 * time.Millisecond})
	run(t, c, 200*time.Millisecond, nil)
	apply(t, c, 0, alloc(1, 1)) // gone at 300 ms
	c.SetLoad(constant(0))
	var arrived, done float64
	run(t, c, 5*time.Second, func(s *foresail.Snapshot) {
		arrived += s.Services[0].Arrivals
		done += s.Services[0].Completions
	})
	equal(t, "records in use", c.Live(), 0)
	if done < arrived+10 {
		t.Errorf("%v arrived and %v were answered", arrived, done)
	}
}

func TestApplyTellsWhatItCouldNotDo(t *testing.T) {
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))},
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))},
	)
	for _, tt := range []struct {
		to   foresail.Allocation
		id   foresail.ServiceID
		want string
	}{
		{alloc(1, 1), 7, "no service has the number 7"},
		{alloc(1, 1), -1, "no service has the number -1"},
		{alloc(0, 1), 0, "0 replicas"},
		{alloc(1, math.NaN()), 0, "NaN cores"},
		{alloc(1, math.Inf(1)), 0, "+Inf cores"},
		{alloc(1, -1), 0, "-1 cores"},
		{alloc(101, 1), 0, "max replicas"},
		{alloc(1, 0.001), 0, "min CPU"},
		{foresail.Allocation{Replicas: 1, CPU: 1, Memory: -1}, 0, "memory"},
		{foresail.Allocation{Replicas: 1, CPU: 1, Settings: map[string]float64{"cache": 3}}, 0, "settings"},
	} {
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(1), Seed: 1})
		err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{{Service: tt.id, To: tt.to}, {Service: 1, To: alloc(1, 3)}}})
		var failed *foresail.ApplyError
		if !errors.As(err, &failed) || len(failed.Failed) != 1 || failed.Failed[tt.id] == nil {
			t.Errorf("%v: error %v", tt.to, err)
			continue
		}
		if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %q, want %q in it", tt.to, err, tt.want)
		}
		equal(t, "the other service", next(t, c, 1).cpu, 3)
		equal(t, "the failed service", next(t, c, 0), moment{1, 1, 1, false})
	}
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(1), Seed: 1})
	if err := c.Apply(background, nil); err != nil {
		t.Errorf("no plan: %v", err)
	}
	done, cancel := context.WithCancel(background)
	cancel()
	if err := c.Apply(done, &foresail.Plan{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that is done: %v", err)
	}
	if _, err := c.Next(done); !errors.Is(err, context.Canceled) || c.Offset() != 0 {
		t.Errorf("a context that is done: %v, offset %s", err, c.Offset())
	}
}

// More CPU in mid-run ends throttling, and less brings it.
func TestCPULimitActs(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, 10*ms))})
	bp.App.Services[0].Initial = alloc(1, 2)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(60), Seed: 1})
	wide := run(t, c, 20*time.Second, nil)
	apply(t, c, 0, alloc(1, 0.7))
	run(t, c, time.Second, nil)
	narrow := run(t, c, 20*time.Second, nil)
	apply(t, c, 0, alloc(1, 0.4)) // less than it needs
	run(t, c, time.Second, nil)
	starved := run(t, c, 10*time.Second, nil)
	p99 := func(s *foresail.Snapshot) float64 { return s.Endpoints[0].Latency.Quantile(0.99) }
	if !(p99(wide) < 0.09 && p99(narrow) > 1.5*p99(wide) && p99(starved) > 2*p99(narrow)) {
		t.Errorf("p99 %v s at 2 cores, %v at 0.7, %v at 0.4", p99(wide), p99(narrow), p99(starved))
	}
	// Periods do not start with the measurement, so up to one quota more or less of a hundred falls into it.
	within(t, "CPU when starved", starved.Services[0].CPU/10, 0.4, 0.01)
	if narrow.Services[0].Throttled < 10*wide.Services[0].Throttled || starved.Services[0].Throttled < 3*time.Second {
		t.Errorf("throttled %s, %s, %s", wide.Services[0].Throttled, narrow.Services[0].Throttled, starved.Services[0].Throttled)
	}
}

// The first tenth of a second under a lower limit, as Linux has it: the quota begins anew when it is written, and once
// more when the next period begins. Nothing of what the old limit allowed is paid back.
func TestLoweredCPUStallsNothing(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 10))})
	bp.App.Services[0].Initial = alloc(1, 2)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(200), Seed: 1})
	s := run(t, c, 950*time.Millisecond, nil)
	if used := s.Services[0].CPU; used < 1 {
		t.Fatalf("%v core-seconds used before: the test needs more", used)
	}
	apply(t, c, 0, alloc(1, 0.25))
	s = run(t, c, 100*time.Millisecond, nil)
	within(t, "CPU in the first beat", s.Services[0].CPU, 2*25*ms, 1e-6)
	s = run(t, c, 100*time.Millisecond, nil)
	within(t, "CPU in the second beat", s.Services[0].CPU, 25*ms, 1e-6)
}
