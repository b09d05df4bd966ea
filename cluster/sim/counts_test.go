package sim_test

import (
	"encoding/gob"
	"fmt"
	"hash/fnv"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

// ledger is all that was counted over a run that was drained: nothing is in progress at its end.
type ledger struct {
	services  []account
	edges     map[[2]foresail.ServiceID]account
	endpoints []account
	spans     []foresail.Span
}

type account struct {
	arrivals, completions, errors float64
	homeless                      float64 // arrivals in no replica
	area, latency                 float64 // request-seconds in flight; the sum of latencies
	latencies                     float64
	cpu                           float64
}

// drained runs until the load is over and all work has ended.
func drained(t *rapid.T, cfg sim.Config) *ledger {
	l := &ledger{edges: map[[2]foresail.ServiceID]account{}}
	l.services, l.endpoints = make([]account, len(cfg.Blueprint.Services)), make([]account, len(cfg.Blueprint.Entries))
	cfg.TraceShare, cfg.Spans = 1, func(s []foresail.Span) { l.spans = append(l.spans, s...) }
	c, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for c.Offset() < 2500*time.Millisecond || c.Live() > 0 { // the load ends after two seconds
		s, err := c.Next(background)
		if err != nil {
			t.Fatal(err)
		}
		if c.Offset() > 48*time.Hour { // what a small container has queued in two seconds of overload may take hours
			t.Fatalf("%d records are still in use", c.Live())
		}
		l.add(s)
	}
	return l
}

func (l *ledger) add(s *foresail.Snapshot) {
	for i := range s.Services {
		a, u := &l.services[i], &s.Services[i].Usage
		a.arrivals, a.completions, a.errors = a.arrivals+u.Arrivals, a.completions+u.Completions, a.errors+u.Errors
		a.homeless += u.Arrivals
		for _, r := range s.Services[i].Replicas {
			a.homeless -= r.Arrivals
		}
		a.area += u.InFlight.Mean * s.Duration().Seconds()
		a.latency, a.latencies = a.latency+u.Latency.Sum(), a.latencies+u.Latency.Count()
		a.cpu += u.CPU
	}
	for i := range s.Edges {
		e := &s.Edges[i]
		a := l.edges[[2]foresail.ServiceID{e.From, e.To}]
		a.completions, a.errors = a.completions+e.Calls, a.errors+e.Errors
		a.latency, a.latencies = a.latency+e.Latency.Sum(), a.latencies+e.Latency.Count()
		l.edges[[2]foresail.ServiceID{e.From, e.To}] = a
	}
	for i := range s.Endpoints {
		a, e := &l.endpoints[i], &s.Endpoints[i]
		a.arrivals, a.completions, a.errors = a.arrivals+e.Arrivals, a.completions+e.Requests, a.errors+e.Errors
		a.latency, a.latencies = a.latency+e.Latency.Sum(), a.latencies+e.Latency.Count()
	}
}

// near compares sums of the same numbers in another order.
func near(t *rapid.T, what string, got, want float64) {
	if math.Abs(got-want) > 1e-7*(1+math.Abs(want)) {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

func same(t *rapid.T, what string, got, want float64) {
	if got != want {
		t.Fatalf("%s is %v, want %v", what, got, want)
	}
}

// calm makes an application in which nothing fails: nobody is refused and everybody waits as long as it takes.
func calm(bp *foresail.Blueprint) *foresail.Blueprint {
	var walk func([]foresail.Step)
	walk = func(steps []foresail.Step) {
		for i := range steps {
			for k := range steps[i].Calls {
				steps[i].Calls[k].Patience = foresail.Patience{}
				walk(steps[i].Calls[k].Miss)
			}
		}
	}
	for i := range bp.Services {
		bp.Services[i].Queue = 1e6
		for k := range bp.Services[i].Operations {
			walk(bp.Services[i].Operations[k].Steps)
		}
	}
	for i := range bp.Timeouts {
		bp.Timeouts[i] = foresail.Patience{}
	}
	return bp
}

func gentleLoad(t *rapid.T) *load.Load {
	l := anyLoad(t)
	l.Curve[0].From = min(l.Curve[0].From, 30)
	return l
}

// Where nothing fails the counters alone tell all, exactly: a service's arrivals are the calls to it by cause, from each
// caller and from users; what its callers saw of it is what it saw itself; and Little's law holds for each service, for
// each endpoint and for all calls to a service: the mean in flight is the arrival rate times the mean time.
func TestCountersAgreeWhereNothingFails(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := calm(anyBlueprint(t))
		bp.Overhead = foresail.Overhead{} // which users and callers see, and the service doesn't
		l := drained(t, sim.Config{Blueprint: bp, Load: gentleLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: rapid.IntRange(1, 8).Draw(t, "cores")})
		calls, latency := make([]float64, len(l.services)), make([]float64, len(l.services))
		for e, a := range l.edges {
			calls[e[1]] += a.completions
			latency[e[1]] += a.latency
			same(t, fmt.Sprint("errors of edge ", e), a.errors, 0)
		}
		entry := bp.Entries[0].Service
		calls[entry] += l.endpoints[0].completions
		latency[entry] += l.endpoints[0].latency
		for i, a := range l.services {
			where := fmt.Sprint("service ", i, ": ")
			same(t, where+"arrivals", a.arrivals, calls[i])
			same(t, where+"completions", a.completions, a.arrivals)
			same(t, where+"errors", a.errors, 0)
			same(t, where+"latencies", a.latencies, a.completions)
			near(t, where+"sum of latencies, of all causes", latency[i], a.latency)
			near(t, where+"request-seconds in flight", a.area, a.latency)
		}
		e := l.endpoints[0]
		same(t, "requests", e.completions, e.arrivals)
		same(t, "latencies of requests", e.latencies, e.completions)
		if len(l.edges) == 0 || calls[entry] == e.completions { // nobody else calls the first service
			near(t, "request-seconds of the endpoint in flight", l.services[entry].area, e.latency)
		}
	})
}

// Whatever fails, each attempt that a caller counts is one client span, and each arrival in a replica one server span; an
// arrival has one cause, and an attempt without an arrival failed on its way: it waited for a connection in vain, found no
// replica, nested too deep or lost its caller.
func TestCallsAreArrivalsByCause(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		l := drained(t, sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: 4})
		ids := map[string]foresail.ServiceID{}
		for i := range bp.App.Services {
			ids[bp.App.Services[i].Name] = foresail.ServiceID(i)
		}
		clients, caused := map[foresail.SpanID]foresail.Span{}, map[foresail.SpanID]foresail.Span{}
		made, failedCalls := make([]float64, len(ids)), make([]float64, len(ids))
		for _, s := range l.spans {
			if s.Kind == foresail.KindClient {
				clients[s.ID] = s
				made[ids[s.Service]]++
				if s.Failed {
					failedCalls[ids[s.Service]]++
				}
			}
		}
		arrived, failed := make([]float64, len(ids)), make([]float64, len(ids))
		users := 0.0
		byCause := map[[2]foresail.ServiceID]float64{}
		for _, s := range l.spans {
			if s.Kind != foresail.KindServer {
				continue
			}
			id := ids[s.Service]
			arrived[id]++
			if s.Failed {
				failed[id]++
			}
			if s.Parent == (foresail.SpanID{}) {
				users++
				same(t, "the service that users call", float64(id), float64(bp.Entries[0].Service))
				continue
			}
			k, ok := clients[s.Parent]
			if _, again := caused[s.Parent]; !ok || again {
				t.Fatalf("a request of %s has no cause, or shares it: %+v", s.Service, s)
			}
			caused[s.Parent] = s
			byCause[[2]foresail.ServiceID{ids[k.Service], id}]++
			if s.Start.Before(k.Start) || !k.Failed && (s.Failed || s.End.After(k.End)) {
				t.Fatalf("a call that did not fail has no answer that did not: %+v for %+v", s, k)
			}
		}
		for id, k := range clients {
			if _, ok := caused[id]; !ok && !k.Failed {
				t.Fatalf("a call that nobody got did not fail: %+v", k)
			}
		}
		for i := range l.services {
			where := fmt.Sprint("service ", i, ": ")
			a := &l.services[i]
			same(t, where+"arrivals in replicas", a.arrivals-a.homeless, arrived[i])
			same(t, where+"errors in replicas", a.errors-a.homeless, failed[i])
			var calls, errors float64
			for e, b := range l.edges {
				if e[0] == foresail.ServiceID(i) {
					calls, errors = calls+b.completions, errors+b.errors
					if byCause[e] > b.completions {
						t.Fatalf("%v calls from %d to %d had %v arrivals", b.completions, e[0], e[1], byCause[e])
					}
				}
			}
			same(t, where+"calls made", calls, made[i])
			same(t, where+"calls that failed", errors, failedCalls[i])
		}
		most := l.endpoints[0].completions * float64(1+bp.Timeouts[0].Retries)
		if users > most || l.endpoints[0].completions != l.endpoints[0].arrivals {
			t.Fatalf("%v requests with at most %v attempts arrived %v times: %+v", l.endpoints[0].arrivals, most, users, l.endpoints[0])
		}
	})
}

// Refusals, timeouts and retries add up. A caller makes one call to a callee that is too small for it; of a call's attempts
// all but the last failed. So attempts are first attempts and retries, and those that failed are the retries and the
// calls that failed in the end, whatever the reason; that a timeout is the reason shows in its length.
func TestRefusalsTimeoutsAndRetriesAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := call(1)
		k.Retries = rapid.IntRange(0, 3).Draw(t, "retries")
		k.Backoff = time.Duration(rapid.IntRange(0, 20).Draw(t, "backoff ms")) * time.Millisecond
		k.Timeout = time.Duration(rapid.SampledFrom([]int{0, 0, 15, 60}).Draw(t, "timeout ms")) * time.Millisecond
		bp := blueprint(
			foresail.ServiceBlueprint{Operations: op(calls(k)), Pool: rapid.IntRange(0, 8).Draw(t, "pool")},
			foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, 10*ms)), Workers: rapid.IntRange(1, 3).Draw(t, "workers"), Queue: rapid.IntRange(0, 5).Draw(t, "queue")},
		)
		l := drained(t, sim.Config{Blueprint: bp, Load: during(2*time.Second, rapid.SampledFrom([]float64{50, 100, 300}).Draw(t, "rate")), Seed: rapid.Uint64().Draw(t, "seed")})
		caller, callee, edge := l.services[0], l.services[1], l.edges[[2]foresail.ServiceID{0, 1}]
		retries := edge.completions - caller.arrivals
		same(t, "attempts that failed", edge.errors, retries+caller.errors)
		same(t, "users' errors", l.endpoints[0].errors, caller.errors)
		if retries < 0 || retries > caller.arrivals*float64(k.Retries) || caller.errors > 0 && retries < caller.errors*float64(k.Retries) {
			t.Fatalf("%v retries of %v calls of which %v failed", retries, caller.arrivals, caller.errors)
		}
		late := 0.0
		for _, s := range l.spans {
			if s.Kind == foresail.KindClient && s.Failed && k.Timeout > 0 && s.End.Sub(s.Start) == k.Timeout {
				late++
			} else if s.Kind == foresail.KindClient && k.Timeout > 0 && s.End.Sub(s.Start) > k.Timeout {
				t.Fatalf("a call took %s with a timeout of %s", s.End.Sub(s.Start), k.Timeout)
			}
		}
		// What failed otherwise was refused; who gave up while in the accept queue was dropped and is an error of the callee too.
		refused := edge.errors - late
		if refused > callee.errors || callee.errors > refused+late || k.Timeout == 0 && refused != callee.errors {
			t.Fatalf("of %v attempts that failed %v were late, and the callee counts %v errors", edge.errors, late, callee.errors)
		}
	})
}

// The CPU that a service used is the sum of what its requests needed, to a nanosecond of a core per request.
func TestCPUIsTheSumOfDemands(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp := calm(anyBlueprint(t))
		bp.Overhead = foresail.Overhead{} // whose CPU is nobody's demand
		needs := map[string]float64{}     // core-seconds, by service and operation
		var constant func(steps []foresail.Step) float64
		constant = func(steps []foresail.Step) (sum float64) {
			for i := range steps {
				steps[i].Work.CPU.Shape = foresail.Constant
				sum += steps[i].Work.CPU.Mean
				for k := range steps[i].Calls {
					c := &steps[i].Calls[k]
					c.Probability = 1
					c.Hit = math.Round(c.Hit + 0.1)
					if miss := constant(c.Miss); c.Cached && c.Hit == 0 {
						sum += float64(c.Repeat) * miss
					}
				}
			}
			return sum
		}
		jobs := 1.0
		for i := range bp.Services {
			bp.Services[i].ColdFactor = 1
			for k := range bp.Services[i].Operations {
				o := &bp.Services[i].Operations[k]
				needs[bp.App.Services[i].Name+"/"+o.Name] = constant(o.Steps)
			}
		}
		cores := rapid.IntRange(1, 8).Draw(t, "cores")
		l := drained(t, sim.Config{Blueprint: bp, Load: gentleLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: cores})
		want := map[string]float64{}
		for _, s := range l.spans {
			if s.Kind == foresail.KindServer {
				want[s.Service] += needs[s.Service+"/"+s.Operation]
				jobs++
			}
		}
		for i, a := range l.services {
			// A service's time is cut into nanoseconds whenever a thread comes, goes or waits for the next period.
			slack := 1e-9 * float64(cores) * (100*jobs + 1e4)
			if name := bp.App.Services[i].Name; math.Abs(a.cpu-want[name]) > slack {
				t.Fatalf("service %s used %v core-seconds, its requests needed %v", name, a.cpu, want[name])
			}
		}
	})
}

// One seed gives the same bytes, snapshots and spans, over any application, load and configuration, run after run within
// one process and whatever ran between.
func TestSameSeedSameBytesOfSnapshotsAndSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp, l, seed := anyBlueprint(t), anyLoad(t), rapid.Uint64().Draw(t, "seed")
		cfg := sim.Config{Blueprint: bp, Load: l, NodeCores: rapid.IntRange(1, 8).Draw(t, "cores"), TraceShare: rapid.SampledFrom([]float64{0.3, 1}).Draw(t, "share"),
			DrainLimit: time.Duration(rapid.IntRange(1, 300).Draw(t, "drain ms")) * time.Millisecond,
			Beat:       time.Duration(rapid.SampledFrom([]int{50, 100, 400}).Draw(t, "beat ms")) * time.Millisecond}
		bytes := func(seed uint64) uint64 {
			h := fnv.New64a()
			e := gob.NewEncoder(h)
			cfg := cfg
			cfg.Seed = seed
			cfg.Spans = func(s []foresail.Span) {
				if err := e.Encode(s); err != nil {
					t.Fatal(err)
				}
			}
			c, err := sim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for beat := range 12 {
				s, err := c.Next(background)
				if err != nil {
					t.Fatal(err)
				}
				d := snapshotDigest(t.Fatal, s)
				h.Write(d[:])
				id := foresail.ServiceID(beat % len(bp.Services))
				to := alloc(1+beat%4, 0.3+float64(beat%5)/4)
				if err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{{Service: id, To: to}}}); err != nil {
					t.Fatal(err)
				}
			}
			return h.Sum64()
		}
		first := bytes(seed)
		bytes(seed + 1)
		if again := bytes(seed); again != first {
			t.Fatalf("two runs of seed %d differ", seed)
		}
	})
}

// How often one looks changes nothing of what happens: a run in long beats tells the sums of the same run in short ones.
func TestTheBeatChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := sim.Config{Blueprint: anyBlueprint(t), Load: gentleLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: 4}
		cfg.Blueprint.Overhead.Report, cfg.Blueprint.Overhead.ReportEvery = 0, 0 // the last may come after all work has ended
		short, long := cfg, cfg
		short.Beat, long.Beat = 50*time.Millisecond, time.Second
		a, b := drained(t, short), drained(t, long)
		for i := range a.services {
			x, y := a.services[i], b.services[i]
			where := fmt.Sprint("service ", i, ": ")
			same(t, where+"arrivals", x.arrivals, y.arrivals)
			same(t, where+"completions", x.completions, y.completions)
			same(t, where+"errors", x.errors, y.errors)
			near(t, where+"CPU", x.cpu, y.cpu)
			near(t, where+"latency", x.latency, y.latency)
			near(t, where+"request-seconds", x.area, y.area)
		}
		same(t, "spans", float64(len(a.spans)), float64(len(b.spans)))
	})
}
