package sim_test

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/sim/node"
	"pgregory.net/rapid"
)

// anyNodes draws machines on which what anyBlueprint draws, and some more, has room.
func anyNodes(t *rapid.T) []foresail.Node {
	return fleet(rapid.IntRange(1, 4).Draw(t, "nodes"), foresail.Node{
		Cores: rapid.SampledFrom([]int{0, 8, 20, 60}).Draw(t, "node cores"), Memory: rapid.SampledFrom([]int64{0, 20_000}).Draw(t, "node memory"),
		Cache: rapid.SampledFrom([]int64{0, 1 << 20}).Draw(t, "cache"), MemoryBandwidth: rapid.SampledFrom([]float64{0, 1e9}).Draw(t, "bandwidth"),
		Network: rapid.SampledFrom([]float64{0, 1e6}).Draw(t, "network"), Disk: rapid.SampledFrom([]float64{0, 1e6}).Draw(t, "disk"),
		Disks: rapid.IntRange(0, 2).Draw(t, "disks"), Counters: rapid.Bool().Draw(t, "counters"),
	})
}

// mischief does something to some node.
func mischief(t *rapid.T, c *sim.Cluster, nodes []foresail.Node, pressed map[node.Resource]float64) {
	name := rapid.SampledFrom(nodes).Draw(t, "node").Name
	switch rapid.IntRange(0, 5).Draw(t, "mischief") {
	case 0:
		c.LoseNode(name)
	case 1, 2:
		c.ReturnNode(name)
	case 3:
		what := node.Resource(rapid.IntRange(int(node.CPU), int(node.Loss)).Draw(t, "resource"))
		amount := rapid.Float64Range(0, 0.5).Draw(t, "amount")
		c.Press("node-0", what, amount)
		pressed[what] += amount
	}
}

// checkAgents holds for every snapshot: what agents tell is possible, and a node is no less than what runs on it.
func checkAgents(t *rapid.T, s *foresail.Snapshot) {
	cpu, memory := map[string]float64{}, map[string]int64{}
	for i := range s.Services {
		var queue float64
		var read int64
		for _, r := range s.Services[i].Replicas {
			cpu[r.Node] += r.CPU
			memory[r.Node] += r.Memory
			queue += r.Queue.Last
			read += r.DiskRead
			d := s.Duration()
			if r.CPUPressure > d || r.IOPressure > d || r.MemoryPressure > d || r.IOWait < r.IOPressure || r.CPUPressure < r.Throttled ||
				r.Queue.Last > r.InFlight.Last || r.Queue.Max > r.InFlight.Max || r.Retransmits < 0 || r.CacheMisses < 0 || r.Queue.Last < 0 {
				t.Fatalf("impossible replica: %+v", r)
			}
			if r.Node == "" {
				t.Fatalf("%s is nowhere", r.Name)
			}
			if has := r.Has.Has(foresail.SignalCacheMisses | foresail.SignalMemoryTraffic); has != (r.CacheMisses > 0) && r.CPU > 0 {
				t.Fatalf("counters %v, %v misses of %v core-seconds", has, r.CacheMisses, r.CPU)
			}
		}
		if u := &s.Services[i]; u.Queue.Last != queue || u.DiskRead != read {
			t.Fatalf("service is not the sum of its replicas: %+v", u)
		}
	}
	for _, n := range s.Nodes {
		if n.CPU < cpu[n.Name]-1e-9 || n.Memory != memory[n.Name] || n.Runnable.Mean > n.Runnable.Max+1e-9 || n.Runnable.Last < 0 {
			t.Fatalf("%+v, though replicas use %v core-seconds and %d bytes", n, cpu[n.Name], memory[n.Name])
		}
	}
}

// Whatever happens to nodes, requests are conserved, and nothing is left behind.
func TestConservationOnNodes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bp, nodes := anyBlueprint(t), anyNodes(t)
		c, err := sim.New(sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), Nodes: nodes,
			Placement: foresail.Placement(rapid.IntRange(0, 1).Draw(t, "placement")), Detection: 300 * time.Millisecond,
			Within: time.Duration(rapid.IntRange(0, 1).Draw(t, "within")) * time.Millisecond, Between: time.Duration(rapid.IntRange(0, 5).Draw(t, "between")) * time.Millisecond,
			DrainLimit: time.Duration(rapid.IntRange(1, 300).Draw(t, "drain ms")) * time.Millisecond, TraceShare: 0.5, Spans: func([]foresail.Span) {}})
		if err != nil {
			t.Fatal(err)
		}
		arrived, answered := make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
		var sent, ended float64
		step := func() *foresail.Snapshot {
			s, err := c.Next(background)
			if err != nil {
				t.Fatal(err)
			}
			checkAgents(t, s)
			for i := range s.Services {
				u := &s.Services[i]
				arrived[i] += u.Arrivals
				answered[i] += u.Completions
				if arrived[i]-answered[i] != u.InFlight.Last || u.Latency.Count() != u.Completions-u.Errors {
					t.Fatalf("service %d: %v arrived, %v answered, %v in flight, %v latencies", i, arrived[i], answered[i], u.InFlight.Last, u.Latency.Count())
				}
			}
			sent += s.Endpoints[0].Arrivals
			ended += s.Endpoints[0].Requests
			return s
		}
		pressed := map[node.Resource]float64{}
		for range 25 {
			step()
			mischief(t, c, nodes, pressed)
			if rapid.Bool().Draw(t, "change") {
				apply2(t, c, rapid.IntRange(0, len(bp.Services)-1).Draw(t, "service"),
					alloc(rapid.IntRange(1, 4).Draw(t, "to replicas"), rapid.Float64Range(0.05, 3).Draw(t, "to cpu")))
			}
		}
		for what, amount := range pressed {
			c.Press("node-0", what, -amount)
		}
		for _, n := range nodes {
			c.ReturnNode(n.Name)
		}
		relieve(t, c, len(bp.Services))
		for i := 0; c.Live() > 0; i++ {
			if step(); i > 60000 {
				t.Fatalf("%d records are still in use", c.Live())
			}
		}
		for range 12 { // detection, starts and ends of draining
			step()
		}
		last, listed := step(), 0
		if sent != ended {
			t.Fatalf("%v requests were sent and %v ended", sent, ended)
		}
		for i := range last.Services {
			listed += len(last.Services[i].Replicas)
			if m := last.Services[i].Memory; m != int64(1000*last.Services[i].Ready) {
				t.Fatalf("service %d holds %d bytes when idle", i, m)
			}
		}
		if c.Replicas() != listed {
			t.Fatalf("%d replicas have a number, %d are told of", c.Replicas(), listed)
		}
		for _, n := range last.Nodes {
			if math.Abs(n.Runnable.Last) > 1e-9 || n.CPU > 1e-9 {
				t.Fatalf("something runs on an idle node: %+v", n)
			}
		}
	})
}

// relieve gives every service as much as it may have, so that a backlog of replicas with next to no CPU ends within
// minutes.
func relieve(t *rapid.T, c *sim.Cluster, services int) {
	for i := range services {
		apply2(t, c, i, alloc(4, 3))
	}
}

func apply2(t *rapid.T, c *sim.Cluster, service int, to foresail.Allocation) {
	if err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{{Service: foresail.ServiceID(service), To: to}}}); err != nil {
		t.Fatal(err)
	}
}

// The same seed gives the same bytes on nodes too, whatever is done to them.
func TestSameSeedSameBytesOnNodes(t *testing.T) {
	bp := rapid.Custom(anyBlueprint)
	for example := range 10 {
		b := bp.Example(example)
		nodes := fleet(3, foresail.Node{Cores: 12, Cache: 1 << 20, MemoryBandwidth: 1e9, Network: 1e6, Counters: true})
		all := func(seed uint64) (out [][32]byte) {
			c := newSim(t, sim.Config{Blueprint: b, Load: constant(100), Seed: seed, Nodes: nodes, Between: time.Millisecond, Detection: 500 * time.Millisecond})
			for beat := range 60 {
				s, err := c.Next(background)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, digest(t, s))
				shake(t, c, beat)
				switch beat {
				case 10:
					c.Press("node-1", node.CPU, 0.7)
					c.Press("node-1", node.Loss, 0.1)
				case 20:
					c.LoseNode("node-0")
				case 40:
					c.ReturnNode("node-0")
				}
			}
			return out
		}
		one, same := all(1), all(1)
		for i := range one {
			if one[i] != same[i] {
				t.Fatalf("example %d: beat %d differs", example, i)
			}
		}
		if other := all(2); other[59] == one[59] {
			t.Fatalf("example %d: another seed changed nothing", example)
		}
	}
}
