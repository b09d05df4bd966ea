package sim_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/sim/node"
)

// pair is a service that calls another with messages of these sizes; both only wait for each other.
func pair(request, response int64) *foresail.Blueprint {
	list := []foresail.ServiceBlueprint{{Operations: op(calls(call(1)))}, {Operations: op(foresail.Step{})}}
	list[0].Operations[0].Request, list[0].Operations[0].Response = 1, 1
	list[1].Operations[0].Request, list[1].Operations[0].Response = request, response
	return blueprint(list...)
}

// A message takes the latency and the time of its bytes; within a node neither its link nor the way between nodes.
func TestMessagesTakeTime(t *testing.T) {
	n := foresail.Node{Cores: 1, Network: 1e6} // a byte takes a microsecond; one replica of one core fits
	for _, tt := range []struct {
		name  string
		nodes []foresail.Node
		want  float64 // ms, from the first service's arrival to its answer
	}{
		{"apart", fleet(2, n), 1 + 3 + 1 + 5},
		{"together", fleet(1, foresail.Node{Cores: 2, Network: 1e6}), 0.25 + 0.25},
		{"on links without a limit", fleet(2, foresail.Node{Cores: 1}), 1 + 1},
	} {
		c := newSim(t, sim.Config{Blueprint: pair(3000, 5000), Load: constant(5), Seed: 1, Nodes: tt.nodes,
			Within: 250 * time.Microsecond, Between: time.Millisecond})
		s := run(t, c, 20*time.Second, nil)
		within(t, tt.name, s.Services[0].Latency.Quantile(0.5)/ms, tt.want, 0.03)
		if s.Services[1].Latency.Sum() != 0 || s.Edges[0].Latency.Sum() != 0 {
			t.Errorf("%s: the way counts as time in the callee", tt.name)
		}
	}
}

// A link that is half taken takes twice as long, and one that is full makes messages wait for each other; agents see the
// bytes of both, and segments sent again once the queue is full.
func TestLinksAreShared(t *testing.T) {
	quiet := func(c *sim.Cluster) {}
	of := func(rate float64, before func(*sim.Cluster)) *foresail.Snapshot {
		c := newSim(t, sim.Config{Blueprint: pair(1000, 1), Load: constant(rate), Seed: 1, Nodes: fleet(2, foresail.Node{Cores: 1, Network: 1e6})})
		before(c)
		return run(t, c, 20*time.Second, nil)
	}
	few := of(20, quiet)
	within(t, "quiet", few.Services[0].Latency.Quantile(0.5)/ms, 1, 0.05)
	equal(t, "segments sent again", few.Services[0].Retransmits, 0)
	half := of(20, func(c *sim.Cluster) { c.Press("node-0", node.Network, 0.5); c.Press("node-1", node.Network, 0.5) })
	within(t, "half is taken", half.Services[0].Latency.Quantile(0.5)/ms, 2, 0.05)
	for _, n := range half.Nodes {
		if n.NetOut < 20*500_000 {
			t.Errorf("%s sent %d bytes: the antagonist's are not seen", n.Name, n.NetOut)
		}
	}
	full := of(900, quiet)
	if m := full.Services[0].Latency.Sum() / full.Services[0].Latency.Count(); m < 2*ms {
		t.Errorf("on a link in use for nine tenths of the time messages take %v s", m)
	}
	if over := of(1100, quiet); over.Services[0].Retransmits == 0 {
		t.Error("nothing was sent again over a link that is full")
	}
}

// A lost message comes 200 ms later, or 600, and so on; who sent it counts.
func TestLostMessagesAreSentAgain(t *testing.T) {
	c := newSim(t, sim.Config{Blueprint: pair(100, 100), Load: constant(50), Seed: 1, Nodes: fleet(2, foresail.Node{Cores: 1})})
	c.Press("node-1", node.Loss, 0.1)
	s := run(t, c, 200*time.Second, nil)
	// One of the two messages between the services is lost at least once: 1 − 0.9², users' not counted.
	late := 0.0
	for i, n := range s.Services[0].Latency.Buckets() {
		if i > -40 { // above 177 ms
			late += n
		}
	}
	calls := s.Services[1].Arrivals
	within(t, "share of late requests", late/calls, 0.19, 0.05)
	within(t, "sent again by the caller", s.Services[0].Retransmits/calls, 0.1/0.9, 0.08)
	within(t, "sent again by the callee", s.Services[1].Retransmits/calls, 0.1/0.9, 0.08)
}

// Replicas of one node share its disks, each of which serves one request at a time; bytes take their time, and an
// antagonist takes its share.
func TestDisksAreShared(t *testing.T) {
	disk := foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Mean: 4 * ms}, Read: 8000, Write: 2000}}
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk)})
	bp.App.Services[0].Initial = alloc(4, 1)
	for _, tt := range []struct {
		name    string
		node    foresail.Node
		pressed float64
		want    float64 // requests a second with users enough
	}{
		{"one disk", foresail.Node{}, 0, 250},
		{"three disks", foresail.Node{Disks: 3}, 0, 750},
		{"one that is slow", foresail.Node{Disk: 1e6}, 0, 100},
		{"one of which half is taken", foresail.Node{}, 0.5, 125},
	} {
		c := newSim(t, sim.Config{Blueprint: bp, Load: closed(20), Seed: 1, Nodes: fleet(1, tt.node)})
		c.Press("node-0", node.Disk, tt.pressed)
		s := run(t, c, 10*time.Second, nil)
		u := &s.Services[0]
		within(t, tt.name, u.Completions/10, tt.want, 0.01)
		within(t, tt.name+": bytes read", float64(u.DiskRead), 8000*u.Completions, 0.03)
		within(t, tt.name+": bytes written", float64(u.DiskWritten), 2000*u.Completions, 0.03)
		within(t, tt.name+": waits of all users", u.IOWait.Seconds(), 20*10, 0.01)
		if p := u.IOPressure; p < 30*time.Second || p > 40*time.Second {
			t.Errorf("%s: four replicas under I/O pressure for %s", tt.name, p)
		}
		within(t, tt.name+": busy", s.Nodes[0].DiskBusy.Seconds(), 10*max(float64(tt.node.Disks), 1)*(1+tt.pressed), 0.02)
	}
	without := run(t, newSim(t, sim.Config{Blueprint: bp, Load: closed(20), Seed: 1}), 10*time.Second, nil)
	within(t, "a disk for each replica", without.Services[0].Completions/10, 1000, 0.01)
	within(t, "its bytes", float64(without.Services[0].DiskRead), 8000*without.Services[0].Completions, 0.02)
}

// Agents see threads wait for CPU whether the quota or the neighbours are to blame, and requests in the accept queue.
func TestPressureAndQueue(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Workers: 2, Queue: 100})
	bp.App.Services[0].Initial = alloc(1, 0.5)
	s := run(t, newSim(t, sim.Config{Blueprint: bp, Load: closed(10), Seed: 1}), 10*time.Second, nil)
	within(t, "CPU pressure by the quota", s.Services[0].CPUPressure.Seconds(), 7.5, 0.02) // two threads use 50 ms up in 25
	within(t, "requests that wait for a worker", s.Services[0].Queue.Mean, 8, 0.02)

	bp.App.Services[0].Initial = alloc(1, 4)
	c := newSim(t, sim.Config{Blueprint: bp, Load: closed(10), Seed: 1, Nodes: fleet(1, foresail.Node{Cores: 4})})
	run(t, c, time.Second, nil)
	if s := run(t, c, 10*time.Second, nil); s.Services[0].CPUPressure > 0 || s.Services[0].Throttled > 0 {
		t.Errorf("CPU pressure %s on cores of its own", s.Services[0].CPUPressure)
	}
	c.Press("node-0", node.CPU, 0.75) // one core is left for two threads
	s = run(t, c, 10*time.Second, nil)
	within(t, "CPU pressure by an antagonist", s.Services[0].CPUPressure.Seconds(), 10, 0.01)
	equal(t, "throttled", s.Services[0].Throttled, 0)
	within(t, "CPU of the node, the antagonist's included", s.Nodes[0].CPU, 40, 0.01)
}

// Memory near the limit is reclaimed, which takes CPU time and shows as pressure.
func TestMemoryPressure(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), BaseMemory: 95})
	bp.App.Services[0].Initial = foresail.Allocation{Replicas: 1, CPU: 2, Memory: 100}
	bp.App.Services[0].Bounds.MaxMemory = 200
	c := newSim(t, sim.Config{Blueprint: bp, Load: closed(1), Seed: 1, Nodes: fleet(1, foresail.Node{})})
	s := run(t, c, 10*time.Second, nil)
	within(t, "latency", s.Services[0].Latency.Sum()/s.Services[0].Latency.Count()/ms, 1+node.Reclaim(95, 100), 0.01)
	within(t, "pressure", s.Services[0].MemoryPressure.Seconds(), 10*(1-1/(1+node.Reclaim(95, 100))), 0.02)
	apply(t, c, 0, foresail.Allocation{Replicas: 1, CPU: 2, Memory: 200})
	run(t, c, time.Second, nil)
	if s := run(t, c, time.Second, nil); s.Services[0].MemoryPressure > 0 {
		t.Errorf("pressure %s with room enough", s.Services[0].MemoryPressure)
	}
}

// Hardware counters follow the formula, are there where nodes have them, and are not invented where some have none.
func TestHardwareCounters(t *testing.T) {
	of := &foresail.Interference{Cache: 4 << 20, Bandwidth: 1e9, CacheSensitivity: 0.5}
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Interference: of})
	bp.App.Services[0].Initial = alloc(2, 1)
	n := foresail.Node{Cores: 1, Cache: 8 << 20, Counters: true}
	c := newSim(t, sim.Config{Blueprint: bp, Load: closed(2), Seed: 1, Nodes: fleet(2, n)})
	c.Press("node-0", node.Cache, 0.75)
	run(t, c, time.Second, nil)
	s := run(t, c, 10*time.Second, nil)
	for _, r := range s.Services[0].Replicas {
		state := node.Contention{}
		if r.Node == "node-0" {
			state.Evicted = 1 - 2.0/4/min(1, r.CPU/10)
		}
		within(t, "memory traffic of "+r.Name, r.MemoryTraffic, r.CPU*state.Traffic(of), 0.02)
		within(t, "misses of "+r.Name, r.CacheMisses, r.MemoryTraffic/64, 1e-9)
	}
	nodes := fleet(2, n)
	nodes[1].Counters = false
	s = run(t, newSim(t, sim.Config{Blueprint: bp, Load: closed(2), Seed: 1, Nodes: nodes}), time.Second, nil)
	if u := &s.Services[0]; u.Has.Has(foresail.SignalCacheMisses) || u.Replicas[0].Has.Has(foresail.SignalCacheMisses) == u.Replicas[1].Has.Has(foresail.SignalCacheMisses) {
		t.Errorf("a part passes for the whole: %s", u.Has)
	}
	if s.Nodes[0].Has.Has(foresail.SignalMemoryTraffic) == s.Nodes[1].Has.Has(foresail.SignalMemoryTraffic) {
		t.Errorf("nodes have %s and %s", s.Nodes[0].Has, s.Nodes[1].Has)
	}
}
