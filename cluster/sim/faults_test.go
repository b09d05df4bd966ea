package sim_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

// twoServices is a, which calls b; both work, and b uses a disk. Each has four replicas of two cores.
func twoServices() *foresail.Blueprint {
	bp := blueprint(
		foresail.ServiceBlueprint{Workers: 50, Queue: 500, Operations: op(work(foresail.Exponential, 2*ms), calls(call(1)))},
		foresail.ServiceBlueprint{Workers: 50, Queue: 500, Operations: op(work(foresail.Exponential, 4*ms),
			foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Shape: foresail.Constant, Mean: 2 * ms}}})})
	for i := range bp.App.Services {
		bp.App.Services[i].Initial = alloc(4, 2)
		bp.Services[i].Operations[0].Request, bp.Services[i].Operations[0].Response = 1000, 4000
	}
	return bp
}

const second = time.Second

// onB is a fault on b from the 10th to the 20th second.
func onB(f fault.Fault) *fault.Schedule {
	f.At, f.For = 10*second, 10*second
	if f.From == "" && f.Replica == "" && f.Kind != fault.LoadSpike {
		f.Service = "b"
	}
	return &fault.Schedule{Fixed: []fault.Fault{f}}
}

// phases simulates a pair for 30 s under faults and merges what was before, during and after, once what the fault has left
// behind is worked off.
func phases(t *testing.T, bp *foresail.Blueprint, rate float64, s *fault.Schedule) [3]*foresail.Snapshot {
	t.Helper()
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rate), Seed: 1, Faults: s, Duration: 40 * second})
	var out [3]*foresail.Snapshot
	out[0] = run(t, c, 10*second, nil)
	out[1] = run(t, c, 10*second, nil)
	run(t, c, 5*second, nil)
	out[2] = run(t, c, 15*second, nil)
	return out
}

func quantile(s *foresail.Snapshot, service int, q float64) float64 {
	return s.Services[service].Latency.Quantile(q)
}

// What slows a service slows it by about as much as it says, slows those that wait for it, and ends with the fault. The
// same requests come to every service as without it.
func TestWhatSlowsAServiceSlowsItAndEnds(t *testing.T) {
	calm := phases(t, twoServices(), 100, nil)
	for _, tt := range []struct {
		name      string
		f         fault.Fault
		low, high float64 // the mean of b during the fault over that without it
		cpu       float64 // the CPU of b
	}{
		{"half of the cores", fault.Fault{Kind: fault.CPUContention, Amount: 0.75}, 1.2, 3, 1},
		{"the cache", fault.Fault{Kind: fault.CacheContention, Amount: 1}, 1.1, 1.25, 1.2},
		{"memory", fault.Fault{Kind: fault.MemoryContention, Amount: 0.9}, 1.2, 1.6, 1.45},
		{"the network, which is on the way to b and back", fault.Fault{Kind: fault.NetworkContention, Amount: 0.98}, 0.99, 1.01, 1},
		{"the disk taken by three quarters", fault.Fault{Kind: fault.DiskContention, Amount: 0.75}, 1.6, 3.5, 1},
		{"a disk four times as slow", fault.Fault{Kind: fault.SlowDisk, Amount: 4}, 1.6, 3.5, 1},
		{"a lock of 10 ms", fault.Fault{Kind: fault.Lock, Length: 10 * time.Millisecond}, 2.2, 4, 1},
	} {
		got := phases(t, twoServices(), 100, onB(tt.f))
		for k, phase := range []string{"before", "during", "after"} {
			for i := range 2 {
				x, y := &got[k].Services[i], &calm[k].Services[i]
				if math.Abs(x.Arrivals-y.Arrivals) > 10 || x.Errors != 0 { // those under way at the edges of a phase
					t.Errorf("%s, %s: %v requests of %d, %v failed; without the fault %v", tt.name, phase, x.Arrivals, i, x.Errors, y.Arrivals)
				}
			}
			if ratio := quantile(got[k], 1, 0.5) / quantile(calm[k], 1, 0.5); k != 1 && math.Abs(ratio-1) > 0.01 {
				t.Errorf("%s, %s: the median of b is %.2f times as long", tt.name, phase, ratio)
			}
		}
		mean := func(s *foresail.Snapshot) float64 { return s.Services[1].Latency.Sum() / s.Services[1].Latency.Count() }
		if ratio := mean(got[1]) / mean(calm[1]); ratio < tt.low*0.999 || ratio > tt.high*1.001 {
			t.Errorf("%s: b takes %.3f times as long", tt.name, ratio)
		}
		if got, want := got[1].Services[1].CPU/calm[1].Services[1].CPU, tt.cpu; math.Abs(got-want) > 0.03*want {
			t.Errorf("%s: b uses %.3f times as much CPU, want %v", tt.name, got, want)
		}
		if a, b := quantile(got[1], 0, 0.5), quantile(calm[1], 0, 0.5); a <= b {
			t.Errorf("%s: a, which waits for b, takes %v, without the fault %v", tt.name, a, b)
		}
	}
}

// Common random numbers: whatever goes wrong with b, the same requests come to a and c, and need the same there.
func TestAFaultChangesNoRequestElsewhere(t *testing.T) {
	three := func() *foresail.Blueprint {
		bp := blueprint(
			foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, 2*ms), calls(call(1)), calls(call(2)))},
			foresail.ServiceBlueprint{Operations: op(work(foresail.LogNormal, 4*ms), disk(1*ms))},
			foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, 3*ms))})
		for i := range bp.App.Services {
			bp.App.Services[i].Initial = alloc(3, 2)
		}
		return bp
	}
	total := func(f *fault.Schedule) *foresail.Snapshot {
		return run(t, newSim(t, sim.Config{Blueprint: three(), Load: during(20*second, 80), Seed: 3, Faults: f, Duration: 60 * second}), 60*second, nil)
	}
	calm := total(nil)
	for _, f := range []fault.Fault{
		{Kind: fault.CPUContention, Amount: 0.9}, {Kind: fault.CacheContention, Amount: 1}, {Kind: fault.MemoryContention, Amount: 0.9},
		{Kind: fault.NetworkContention, Amount: 0.9}, {Kind: fault.DiskContention, Amount: 0.9}, {Kind: fault.PacketLoss, Amount: 0.3},
		{Kind: fault.SlowDisk, Amount: 9}, {Kind: fault.Lock, Length: 20 * time.Millisecond}, {Kind: fault.BadRelease, Amount: 3},
		{Kind: fault.GCPause, Length: 300 * time.Millisecond, Period: second},
	} {
		got := total(onB(f))
		for i := range got.Services {
			x, y := &got.Services[i], &calm.Services[i]
			if x.Arrivals != y.Arrivals || i != 1 && math.Abs(x.CPU-y.CPU) > 1e-3 {
				t.Errorf("%s: %v requests of service %d need %v s of CPU, without it %v need %v", f.Kind, x.Arrivals, i, x.CPU, y.Arrivals, y.CPU)
			}
		}
	}
}

// Pauses of 300 ms each 5 s hit few requests, and these hard.
func TestPausesShiftTheTailAndNotTheMedian(t *testing.T) {
	calm := phases(t, twoServices(), 100, nil)
	got := phases(t, twoServices(), 100, onB(fault.Fault{Kind: fault.GCPause, Length: 300 * time.Millisecond, Period: 5 * second, Jitter: 0.2}))
	within(t, "the median", quantile(got[1], 1, 0.5), quantile(calm[1], 1, 0.5), 0.05)
	within(t, "the 90th percentile", quantile(got[1], 1, 0.9), quantile(calm[1], 1, 0.9), 0.1)
	// The less busy of two replicas is asked, so that few requests come to one that pauses.
	for q, low := range map[float64]float64{0.99: 0.05, 0.995: 0.1, 0.999: 0.2} {
		if got, calm := quantile(got[1], 1, q), quantile(calm[1], 1, q); got < low || got > 0.45 || calm > 0.05 {
			t.Errorf("the quantile %v is %v, without pauses %v", q, got, calm)
		}
	}
	within(t, "the 99th percentile after", quantile(got[2], 1, 0.99), quantile(calm[2], 1, 0.99), 0.01)
	// the collector uses a core, four replicas for 6 % of the time
	within(t, "the CPU", got[1].Services[1].CPU-calm[1].Services[1].CPU, 4*0.06*10, 0.35)
}

// Of the messages of an edge 10 % are lost: a call is late with probability 1 - 0.9², by 200 ms or more.
func TestMessagesLostByAFaultAreSentAgain(t *testing.T) {
	lossy := fault.Fault{Kind: fault.PacketLoss, Amount: 0.1}
	calm := phases(t, twoServices(), 100, nil)
	for name, target := range map[string]fault.Target{"the edge": {From: "a", To: "b"}, "the service": {Service: "b"}} {
		f := lossy
		f.Target = target
		got := phases(t, twoServices(), 100, onB(f))
		late := 0.0
		for i, n := range got[1].Services[0].Latency.Buckets() {
			if math.Exp2(float64(i)/16) > 0.2 {
				late += n
			}
		}
		within(t, name+": late calls", late/got[1].Services[0].Latency.Count(), 0.19, 0.15)
		within(t, name+": b itself", quantile(got[1], 1, 0.5), quantile(calm[1], 1, 0.5), 0.05)
		within(t, name+": after", quantile(got[2], 0, 0.99), quantile(calm[2], 0, 0.99), 0.01)
	}
}

// Eight workers of each replica of b wait for each other for ever: their requests are answered by nobody, callers give up,
// and the workers come back when it is over.
func TestADeadlockFillsWorkers(t *testing.T) {
	bp := twoServices()
	bp.Services[0].Operations[0].Steps[1].Calls[0].Timeout = 500 * time.Millisecond
	bp.Services[1].Workers = 8
	got := phases(t, bp, 100, onB(fault.Fault{Kind: fault.Deadlock, Amount: 8}))
	if b := got[1].Services[1]; b.InFlight.Max < 4*8 || b.Completions > 200 {
		t.Errorf("all workers are lost: %+v in flight, %v answers", b.InFlight, b.Completions)
	}
	if e := got[1].Endpoints[0]; e.Errors < 900 {
		t.Errorf("%v errors of %v", e.Errors, e.Requests)
	}
	few := phases(t, bp, 100, onB(fault.Fault{Kind: fault.Deadlock, Amount: 3}))
	if b := few[1].Services[1]; b.InFlight.Last < 4*3 {
		t.Errorf("three of each: %+v in flight", b.InFlight)
	}
	equal(t, "errors of callers, three of each", few[1].Services[0].Errors, 12)
	for _, s := range []*foresail.Snapshot{got[2], few[2]} {
		equal(t, "errors after", s.Endpoints[0].Errors, 0)
		if s.Services[1].InFlight.Max > 30 {
			t.Errorf("after: %+v", s.Services[1].InFlight)
		}
	}
}

// b calls a back: where both have few workers they exhaust each other's until callers give up; with enough in either they
// do not.
func TestABlockingCycleNeedsBothPools(t *testing.T) {
	errors := func(a, b int) [3]float64 {
		bp := twoServices()
		bp.Services[0].Workers, bp.Services[1].Workers = a, b
		bp.Services[0].Operations[0].Steps[1].Calls[0].Timeout = second
		bp.App.Services[0].Initial.Replicas, bp.App.Services[1].Initial.Replicas = 1, 1
		got := phases(t, bp, 150, onB(fault.Fault{Kind: fault.BlockingCycle, Target: fault.Target{From: "a", To: "b"}}))
		if got[1].Edges[len(got[1].Edges)-1].From != 1 || len(got[0].Edges) != 1 {
			t.Errorf("edges during %+v", got[1].Edges)
		}
		return [3]float64{got[0].Endpoints[0].Errors, got[1].Endpoints[0].Errors, got[2].Endpoints[0].Errors}
	}
	if e := errors(3, 3); e[0] != 0 || e[1] < 300 || e[2] != 0 {
		t.Errorf("few workers in both: %v errors", e)
	}
	if e := errors(0, 3); e != [3]float64{} {
		t.Errorf("enough in a: %v errors", e)
	}
	if e := errors(200, 3); e != [3]float64{} {
		t.Errorf("more in a than b can hold: %v errors", e)
	}
}

// A bad release comes by a rolling update and goes by another: its replicas need more CPU and fail requests.
func TestABadReleaseRollsOutAndBack(t *testing.T) {
	bp := twoServices()
	bp.Services[1].Start = 500 * time.Millisecond
	calm := phases(t, bp, 100, nil)
	got := phases(t, bp, 100, onB(fault.Fault{Kind: fault.BadRelease, Amount: 2, Errors: 0.2}))
	b := got[1].Services[1]
	if share := b.Errors / b.Completions; share < 0.15 || share > 0.2 {
		t.Errorf("%.3f of the requests fail", share)
	}
	if ratio := b.CPU / calm[1].Services[1].CPU; ratio < 1.4 || ratio > 1.65 { // those that fail need none
		t.Errorf("%.2f times as much CPU", ratio)
	}
	gone := 0
	for _, r := range b.Replicas {
		if r.Gone {
			gone++
		}
	}
	equal(t, "replicas of the version before that went", gone, 4)
	equal(t, "errors after", got[2].Services[1].Errors, 0)
	within(t, "the median after", quantile(got[2], 1, 0.5), quantile(calm[2], 1, 0.5), 0.05)
	names := map[string]bool{}
	for _, r := range got[2].Services[1].Replicas {
		names[r.Name] = true
	}
	if !reflect.DeepEqual(names, map[string]bool{"b-8": true, "b-9": true, "b-10": true, "b-11": true}) {
		t.Errorf("after: %v", names)
	}
}

// A leak of 10 MB/s uses up the 50 MB that are left each 5 s: the replica is restarted, and what it had is lost.
func TestALeakEndsInRestarts(t *testing.T) {
	bp := twoServices()
	bp.Services[1].BaseMemory = 50e6
	bp.App.Services[1].Initial.Memory = 100e6
	bp.App.Services[1].Bounds.MinMemory = 100e6
	most := int64(0)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Duration: 40 * second,
		Faults: onB(fault.Fault{Kind: fault.BadRelease, Leak: 10e6})})
	s := run(t, c, 40*second, func(s *foresail.Snapshot) {
		for _, r := range s.Services[1].Replicas {
			most = max(most, r.Memory)
		}
	})
	if most < 95e6 || most > 100e6 {
		t.Errorf("up to %d bytes", most)
	}
	equal(t, "replicas in all", len(s.Services[1].Replicas), 4+4+4+4) // before, bad ones, one restart of each, after
}

// A spike doubles the load, and leaves the requests that come without it as they are.
func TestASpikeAddsRequests(t *testing.T) {
	calm := phases(t, twoServices(), 50, nil)
	got := phases(t, twoServices(), 50, onB(fault.Fault{Kind: fault.LoadSpike, Amount: 3}))
	equal(t, "requests before", got[0].Endpoints[0].Arrivals, calm[0].Endpoints[0].Arrivals)
	within(t, "requests during", got[1].Endpoints[0].Arrivals, 3*500, 0.08)
	equal(t, "requests after", got[2].Endpoints[0].Arrivals, calm[2].Endpoints[0].Arrivals)
	within(t, "CPU after", got[2].Services[1].CPU, calm[2].Services[1].CPU, 1e-3)
	c := newSim(t, sim.Config{Blueprint: twoServices(), Load: &load.Load{Mode: load.Closed, Curve: []load.Segment{{From: 20}}, Think: second}, Seed: 1,
		Faults: onB(fault.Fault{Kind: fault.LoadSpike, Amount: 3}), Duration: 40 * second})
	before, during := run(t, c, 10*second, nil), run(t, c, 10*second, nil)
	within(t, "requests of three times the users", during.Endpoints[0].Arrivals/before.Endpoints[0].Arrivals, 3, 0.15)
}

// A share of the replicas, or one of them, is hit, and the others are not; one that starts meanwhile is hit as well where
// the share asks for it.
func TestAShareOfTheReplicas(t *testing.T) {
	slow := func(f fault.Fault) (names []string) {
		f.Kind, f.Amount, f.At = fault.BadRelease, 0, 0
		f = fault.Fault{Kind: fault.PacketLoss, Amount: 0.5, Target: f.Target}
		var hit []string
		c := newSim(t, sim.Config{Blueprint: twoServices(), Load: constant(10), Seed: 1, Duration: 10 * second,
			Faults: &fault.Schedule{Fixed: []fault.Fault{f}}, Truth: func(e fault.Truth) { hit = append(hit, e.Replicas...) }})
		run(t, c, 2*second, nil)
		apply(t, c, 1, alloc(8, 2))
		run(t, c, 2*second, nil)
		slices.Sort(hit)
		return hit
	}
	equal(t, "all", len(slow(fault.Fault{Target: fault.Target{Service: "b"}})), 8)
	equal(t, "half", len(slow(fault.Fault{Target: fault.Target{Service: "b", Share: 0.5}})), 4)
	equal(t, "a little", len(slow(fault.Fault{Target: fault.Target{Service: "b", Share: 0.01}})), 1)
	equal(t, "one", fmt.Sprint(slow(fault.Fault{Target: fault.Target{Replica: "b-2"}})), "[b-2]")
}

// Contention and loss on nodes go to the nodes; a node that is lost takes its replicas away until others have started.
func TestFaultsOnNodes(t *testing.T) {
	nodes := fleet(3, foresail.Node{Cores: 16, Cache: 8 << 20, MemoryBandwidth: 20e9, Network: 1e8, Disk: 1e8})
	all := &fault.Schedule{Fixed: []fault.Fault{
		{Kind: fault.NodeLost, At: 2 * second, For: 3 * second, Target: fault.Target{Node: nodes[0].Name}},
		{Kind: fault.CPUContention, At: 6 * second, For: 2 * second, Amount: 0.9, Target: fault.Target{Node: nodes[1].Name}},
		{Kind: fault.SlowDisk, At: 6 * second, For: 2 * second, Amount: 5, Target: fault.Target{Node: nodes[1].Name}},
		{Kind: fault.CacheContention, At: 9 * second, For: second, Amount: 0.5, Target: fault.Target{Service: "b"}},
	}}
	var told []string
	c := newSim(t, sim.Config{Blueprint: twoServices(), Load: constant(50), Seed: 1, Duration: 20 * second, Nodes: nodes, Detection: second, Faults: all,
		Truth: func(e fault.Truth) { told = append(told, fmt.Sprint(e.Fault.Kind, " ", e.Moment, " ", len(e.Nodes))) }})
	run(t, c, 3*second, func(s *foresail.Snapshot) {
		for _, r := range s.Services[1].Replicas {
			if r.Node == nodes[0].Name && !r.Gone && s.Start.Sub(c.Now().Add(-c.Offset())) >= 2*second {
				t.Errorf("%s runs on a node that is lost", r.Name)
			}
		}
	})
	if s := run(t, c, 12*second, nil); s.Services[1].Ready != 4 || s.Services[0].Ready != 4 {
		t.Errorf("%d and %d replicas at the end", s.Services[0].Ready, s.Services[1].Ready)
	}
	if want := []string{"node-lost begins 0", "node-lost ends 0", "cpu-contention begins 1", "slow-disk begins 1", "cpu-contention ends 1",
		"slow-disk ends 1", "cache-contention begins 2", "cache-contention ends 2"}; !reflect.DeepEqual(told, want) {
		t.Errorf("%v", told)
	}
}

// anyFaults is much of everything, on a run of 6 s.
func anyFaults() *fault.Schedule {
	s := &fault.Schedule{}
	for k := range fault.Kind(fault.Kinds) {
		r := fault.Random{Kind: k, Every: 4 * second, For: fault.Range[time.Duration]{Min: 100 * time.Millisecond, Max: 2 * second}}
		switch {
		case k.Contention():
			r.Amount = fault.Range[float64]{Min: 0.2, Max: 1}
		case k == fault.PacketLoss:
			r.Amount = fault.Just(0.2)
		case k == fault.SlowDisk || k == fault.LoadSpike:
			r.Amount = fault.Just(2.0)
		case k == fault.Lock:
			r.Length = fault.Just(20 * time.Millisecond)
		case k == fault.Deadlock:
			r.Amount = fault.Range[float64]{Min: 2, Max: 4}
		case k == fault.BadRelease:
			r.Amount, r.Errors, r.Leak = fault.Just(2.0), fault.Just(0.2), fault.Just(1000.0)
		case k == fault.GCPause:
			r.Length, r.Period, r.Jitter = fault.Just(100*time.Millisecond), fault.Just(400*time.Millisecond), fault.Just(0.5)
		}
		s.Random = append(s.Random, r)
	}
	return s
}

// Whatever goes wrong: no request gets lost and none is counted twice, all that was begun ends when the load does, and the
// same seed gives the same bytes.
func TestFaultsKeepTheBooks(t *testing.T) {
	seen := map[fault.Kind]bool{}
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		nodes := rapid.Bool().Draw(t, "nodes")
		for i := range bp.App.Services {
			bp.App.Services[i].Initial.Memory = 2000 // twice the base
			bp.App.Services[i].Bounds.MinMemory = 2000
		}
		cfg := sim.Config{Blueprint: bp, Load: during(6*second, 60), Seed: rapid.Uint64().Draw(t, "seed"), Duration: 6000 * second, Faults: anyFaults(), NodeCores: 8,
			Detection: second, DrainLimit: 2 * second, Truth: func(e fault.Truth) { seen[e.Fault.Kind] = true }}
		for i := range cfg.Faults.Random {
			cfg.Faults.Random[i].Until = 6 * second
		}
		if nodes {
			cfg.Nodes = fleet(3, foresail.Node{Cores: 16, Cache: 8 << 20, MemoryBandwidth: 20e9, Network: 1e8, Disk: 1e8})
		} else {
			cfg.Faults.Random = slices.DeleteFunc(cfg.Faults.Random, func(r fault.Random) bool { return r.Kind == fault.NodeLost })
		}
		if len(bp.App.Services) == 1 {
			cfg.Faults.Random = slices.DeleteFunc(cfg.Faults.Random, func(r fault.Random) bool { return r.Kind == fault.BlockingCycle })
		}
		begin := func() *sim.Cluster {
			c, err := sim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		c, again := begin(), begin()
		var sent, ended float64
		open := make([]float64, len(bp.App.Services))
		for beat := 0; beat < 90 || c.Live() > 0; beat++ {
			s, err := c.Next(background)
			if err != nil {
				t.Fatalf("%d records are still in use: %v", c.Live(), err)
			}
			if beat < 80 {
				if other, err := again.Next(background); err != nil || snapshotDigest(t.Fatal, s) != snapshotDigest(t.Fatal, other) {
					t.Fatal("the same seed gave other bytes")
				}
			}
			sent, ended = sent+s.Endpoints[0].Arrivals, ended+s.Endpoints[0].Requests
			for i := range s.Services {
				u := &s.Services[i]
				open[i] += u.Arrivals - u.Completions
				if math.Abs(open[i]-u.InFlight.Last) > 1e-9 {
					t.Fatalf("beat %d: %v in flight, %v by the books", beat, u.InFlight.Last, open[i])
				}
				if u.Latency.Count() != u.Completions-u.Errors {
					t.Fatalf("%v latencies of %v requests of which %v failed", u.Latency.Count(), u.Completions, u.Errors)
				}
			}
		}
		if sent != ended {
			t.Fatalf("%v requests were sent, %v ended", sent, ended)
		}
	})
	if len(seen) != fault.Kinds {
		t.Errorf("only %v happened", seen)
	}
}

func TestContradictoryFaultsAreRefused(t *testing.T) {
	_, err := sim.New(sim.Config{Blueprint: twoServices(), Load: constant(1), Duration: 10 * second, Faults: &fault.Schedule{Fixed: []fault.Fault{
		{Kind: fault.Lock, Length: second, Target: fault.Target{Service: "c"}},
		{Kind: fault.NodeLost, Target: fault.Target{Node: "n"}},
		{Kind: fault.LoadSpike, At: 20 * second, Amount: 2}}}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{`"c" is not a service`, "the run has no nodes", "past the end of the run"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("says nothing of %q: %v", want, err)
		}
	}
}

// Nothing that the simulator offers beside its configuration says what was injected.
func TestTheTruthIsNotToBeHadFromTheCluster(t *testing.T) {
	c := reflect.TypeFor[*sim.Cluster]()
	for i := range c.NumMethod() {
		m := c.Method(i)
		for k := range m.Type.NumOut() {
			if strings.Contains(m.Type.Out(k).String(), "fault.") {
				t.Errorf("%s returns %s", m.Name, m.Type.Out(k))
			}
		}
	}
}
