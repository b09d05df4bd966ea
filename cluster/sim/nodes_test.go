package sim_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

// fleet makes n nodes like one.
func fleet(n int, like foresail.Node) []foresail.Node {
	out := make([]foresail.Node, n)
	for i := range out {
		out[i] = like
		out[i].Name = fmt.Sprintf("node-%d", i)
	}
	return out
}

// usual is a machine as data centres have them.
var usual = foresail.Node{Cores: 24, Memory: 64 << 30, Cache: 32 << 20, MemoryBandwidth: 40e9, Network: 1.25e9, Disk: 500e6, Disks: 4, Counters: true}

// closed has so many users who never think.
func closed(users float64) *load.Load {
	return &load.Load{Mode: load.Closed, Curve: []load.Segment{{From: users}}}
}

// With a node without limits for each replica everything is as without nodes, to the byte, whatever is scaled.
func TestHugeNodesChangeNothing(t *testing.T) {
	outer := t
	rapid.Check(t, func(t *rapid.T) {
		bp := anyBlueprint(t)
		cfg := sim.Config{Blueprint: bp, Load: anyLoad(t), Seed: rapid.Uint64().Draw(t, "seed"), NodeCores: rapid.IntRange(1, 8).Draw(t, "cores"), Duration: 3 * time.Second}
		type change struct {
			beat int
			foresail.Change
		}
		var changes []change
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			changes = append(changes, change{rapid.IntRange(0, 25).Draw(t, "beat"), foresail.Change{
				Service: foresail.ServiceID(rapid.IntRange(0, len(bp.Services)-1).Draw(t, "service")),
				To:      foresail.Allocation{Replicas: rapid.IntRange(1, 4).Draw(t, "to replicas"), CPU: rapid.Float64Range(0.05, 3).Draw(t, "to cpu")}}})
		}
		run := func(cfg sim.Config) (all [][32]byte) {
			c, err := sim.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			for beat := range 30 {
				s, err := c.Next(background)
				if err != nil {
					t.Fatal(err)
				}
				on := map[string]int{}
				s.Has &^= foresail.SignalNodes
				s.Nodes = nil
				for i := range s.Services {
					s.Services[i].Has &^= foresail.SignalRetransmits
					for k := range s.Services[i].Replicas {
						r := &s.Services[i].Replicas[k]
						if !r.Gone && r.Node != "" {
							on[r.Node]++
						}
						r.Node = ""
						r.Has &^= foresail.SignalRetransmits
					}
				}
				for name, n := range on {
					if n > 1 {
						t.Fatalf("%d replicas are on %s", n, name)
					}
				}
				all = append(all, digest(outer, s))
				for _, ch := range changes {
					if ch.beat == beat {
						if err := c.Apply(background, &foresail.Plan{Changes: []foresail.Change{ch.Change}}); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			return all
		}
		without := run(cfg)
		cfg.Nodes = fleet(80, foresail.Node{})
		if !slices.Equal(run(cfg), without) {
			t.Fatal("nodes without limits change what happens")
		}
	})
}

// A node's cores are never used beyond their number, but for moments, and not left idle while threads wait; each of two
// services gets its part by the limits of its replicas.
func TestNodeCoresAreShared(t *testing.T) {
	for _, tt := range []struct {
		name    string
		cores   int
		demand  float64 // seconds of CPU
		limits  [2]float64
		pressed float64
	}{
		{"equal", 4, 2 * ms, [2]float64{2, 2}, 0},
		{"one to three", 4, 2 * ms, [2]float64{1, 3}, 0},
		{"short work", 4, 0.1 * ms, [2]float64{1, 1}, 0},
		{"many cores", 32, 3 * ms, [2]float64{8, 24}, 0},
		{"half is taken", 4, 2 * ms, [2]float64{1, 3}, 0.5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := make([]foresail.ServiceBlueprint, 2)
			for i := range list {
				list[i].Workers, list[i].Queue = 4*tt.cores, 1000
				list[i].Operations = op(work(foresail.Exponential, tt.demand))
			}
			bp := blueprint(list...)
			bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: "second", Entry: 1, Operation: "op"})
			bp.Entries, bp.Timeouts = append(bp.Entries, foresail.Target{Service: 1}), append(bp.Timeouts, foresail.Patience{})
			for i := range tt.limits {
				bp.App.Services[i].Initial = alloc(1, tt.limits[i])
			}
			// Three times what all cores can do; no quota stands in the way, as the limits are raised tenfold at once.
			c := newSim(t, sim.Config{Blueprint: bp, Load: constant(3 * float64(tt.cores) / tt.demand), Seed: 1, Nodes: fleet(1, foresail.Node{Cores: tt.cores})})
			for i := range tt.limits {
				apply(t, c, foresail.ServiceID(i), alloc(1, 10*tt.limits[i]))
			}
			if tt.pressed > 0 {
				c.Press("node-0", node.CPU, tt.pressed)
			}
			has := float64(tt.cores) * (1 - tt.pressed)
			total := run(t, c, 5*time.Second, func(s *foresail.Snapshot) {
				if used := s.Services[0].CPU + s.Services[1].CPU; used > has*s.Duration().Seconds()*1.05 {
					t.Errorf("%v core-seconds were used of %v cores in %s", used, has, s.Duration())
				}
			})
			used := [2]float64{total.Services[0].CPU, total.Services[1].CPU}
			within(t, "all cores", used[0]+used[1], 5*has, 0.03)
			within(t, "the first one's part", used[0]/(used[0]+used[1]), tt.limits[0]/(tt.limits[0]+tt.limits[1]), 0.02)
		})
	}
}

// Alone on its node, work takes as long as the formula says under any pressure on cache and memory.
func TestSlowdownFollowsTheFormula(t *testing.T) {
	of := &foresail.Interference{Cache: 8 << 20, Bandwidth: 4e9, CacheSensitivity: 0.8, BandwidthSensitivity: 0.4}
	n := foresail.Node{Cores: 8, Cache: 16 << 20, MemoryBandwidth: 20e9}
	for _, tt := range []struct{ cache, memory float64 }{{0, 0}, {0.9, 0}, {0, 0.7}, {0.95, 0.5}} {
		bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Interference: of})
		bp.App.Services[0].Initial = alloc(1, 8)
		// Four users keep four cores busy.
		c := newSim(t, sim.Config{Blueprint: bp, Load: closed(4), Seed: 1, Nodes: fleet(1, n)})
		c.Press("node-0", node.Cache, tt.cache)
		c.Press("node-0", node.MemoryBandwidth, tt.memory)
		run(t, c, time.Second, nil)
		total := run(t, c, time.Second, nil)
		var p node.Pressure
		p.Add(node.Cache, tt.cache)
		p.Add(node.MemoryBandwidth, tt.memory)
		want := node.Contend(&n, &p, []node.Tenant{{Busy: 4, Of: of}}).Slowdown(of)
		within(t, fmt.Sprintf("slowdown under %v", tt), total.Services[0].Latency.Sum()/total.Services[0].Latency.Count()/ms, want, 0.005)
		within(t, "cores in use", total.Services[0].CPU, 4, 0.005) // stalled cores are busy

		c.Press("node-0", node.Cache, -tt.cache)
		c.Press("node-0", node.MemoryBandwidth, -tt.memory)
		run(t, c, time.Second, nil)
		total = run(t, c, time.Second, nil)
		want = node.Contend(&n, new(node.Pressure), []node.Tenant{{Busy: 4, Of: of}}).Slowdown(of)
		within(t, "slowdown afterwards", total.Services[0].Latency.Sum()/total.Services[0].Latency.Count()/ms, want, 0.005)
	}
}

// Neighbours that use much memory slow a service down; on nodes of their own they don't.
func TestNeighboursInterfere(t *testing.T) {
	heavy := &foresail.Interference{Cache: 32 << 20, Bandwidth: 8e9, CacheSensitivity: 0.5, BandwidthSensitivity: 0.5}
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))},
		foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Interference: heavy})
	bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: "heavy", Entry: 1, Operation: "op"})
	bp.Entries, bp.Timeouts = append(bp.Entries, foresail.Target{Service: 1}), append(bp.Timeouts, foresail.Patience{})
	for i := range bp.App.Services {
		bp.App.Services[i].Initial = alloc(1, 8)
	}
	mean := func(nodes int) float64 {
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(4000), Seed: 1, Nodes: fleet(nodes, foresail.Node{Cores: 16, Cache: 16 << 20, MemoryBandwidth: 20e9})})
		s := run(t, c, 2*time.Second, nil)
		return s.Services[0].Latency.Sum() / s.Services[0].Latency.Count()
	}
	if apart, together := mean(2), mean(1); !(apart < 1.1*ms && together > 1.1*apart) {
		t.Errorf("%v s apart and %v s together", apart, together)
	}
}

// What fits nowhere is pending, and comes when there is room.
func TestReplicasThatFitNowhereArePending(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Start: time.Second}, foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))})
	bp.App.Services[0].Initial, bp.App.Services[1].Initial = alloc(1, 1), alloc(3, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Nodes: fleet(2, foresail.Node{Cores: 2})})
	apply(t, c, 0, alloc(3, 1))
	s := run(t, c, 2*time.Second, nil)
	if p := s.Services[0].Pending; s.Services[0].Ready != 1 || p == nil || p.Replicas != 3 {
		t.Fatalf("%d ready, pending %v", s.Services[0].Ready, p)
	}
	apply(t, c, 1, alloc(2, 1)) // one makes room
	s = run(t, c, 500*time.Millisecond, nil)
	equal(t, "replicas, one of them starting", len(s.Services[0].Replicas), 2)
	s = run(t, c, 2*time.Second, nil)
	equal(t, "ready", s.Services[0].Ready, 2)
	apply(t, c, 1, alloc(2, 0.5)) // two halves are on different nodes: still no room for a whole core
	s = run(t, c, 2*time.Second, nil)
	equal(t, "ready", s.Services[0].Ready, 2)
	apply(t, c, 1, alloc(1, 0.5))
	apply(t, c, 0, alloc(3, 0.5))
	s = run(t, c, 3*time.Second, nil)
	if s.Services[0].Ready != 3 || s.Services[0].Pending != nil {
		t.Fatalf("%d ready, pending %v", s.Services[0].Ready, s.Services[0].Pending)
	}
}

// A node that is lost takes its replicas along; others replace them after detection and start, where there is room.
func TestLostNode(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 50*ms)), Start: time.Second})
	bp.App.Services[0].Initial = alloc(4, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(60), Seed: 1, Nodes: fleet(2, foresail.Node{Cores: 3}), Detection: 2 * time.Second})
	before := run(t, c, time.Second, nil)
	equal(t, "errors", before.Endpoints[0].Errors, 0)
	c.LoseNode("node-0")
	c.LoseNode("node-0") // again: nothing
	s := run(t, c, 100*time.Millisecond, nil)
	equal(t, "ready", s.Services[0].Ready, 2)
	gone := 0
	for _, r := range s.Services[0].Replicas {
		if r.Gone != (r.Node == "node-0") {
			t.Errorf("%s on %s, gone %v", r.Name, r.Node, r.Gone)
		}
		if r.Gone {
			gone++
		}
	}
	equal(t, "gone", gone, 2)
	if s.Endpoints[0].Errors == 0 {
		t.Error("no request failed that was in a replica that went")
	}
	s = run(t, c, 1800*time.Millisecond, nil)
	equal(t, "replicas before detection", len(s.Services[0].Replicas), 2+gone-2)
	s = run(t, c, 3*time.Second, nil) // one fits beside two on the other node of three cores
	equal(t, "ready after start", s.Services[0].Ready, 3)
	if p := s.Services[0].Pending; p == nil || p.Replicas != 4 {
		t.Errorf("pending %v", p)
	}
	c.ReturnNode("node-0")
	s = run(t, c, 2*time.Second, nil)
	if s.Services[0].Ready != 4 || s.Services[0].Pending != nil {
		t.Errorf("%d ready, pending %v", s.Services[0].Ready, s.Services[0].Pending)
	}
}

// A node fetches an image once: the first replica waits for it, the next does not, and one beside it waits with it.
func TestImagesArePulledOnce(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), Start: time.Second, Pull: 3 * time.Second})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(10), Seed: 1, Nodes: fleet(2, foresail.Node{Cores: 4}), Placement: foresail.Spread})
	ready := func(at time.Duration, want int) {
		t.Helper()
		s := run(t, c, at-c.Offset(), nil)
		equal(t, fmt.Sprintf("ready at %s", at), s.Services[0].Ready, want)
	}
	apply(t, c, 0, alloc(4, 1)) // one more on the node that has the image, two on the other
	ready(900*time.Millisecond, 1)
	ready(1100*time.Millisecond, 2)
	ready(3900*time.Millisecond, 2)
	ready(4100*time.Millisecond, 4)
	apply(t, c, 0, alloc(6, 1))
	ready(5200*time.Millisecond, 6)
}

func TestNodesThatCannotBe(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms)), BaseMemory: 1000})
	bp.App.Services[0].Initial = alloc(1, 8)
	for _, tt := range []struct {
		name  string
		nodes []foresail.Node
		want  string
	}{
		{"two of one name", []foresail.Node{{Name: "a"}, {Name: "a"}}, "sim: two nodes are called a"},
		{"a name is missing", []foresail.Node{{}}, "sim: a node has no name"},
		{"too small", []foresail.Node{{Name: "a", Cores: 4}, {Name: "b", Memory: 900}},
			"sim: service a: a replica of 8 cores and 0 bytes fits on no node, even on an empty one"},
	} {
		_, err := sim.New(sim.Config{Blueprint: bp, Load: constant(1), Nodes: tt.nodes})
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.want)
		}
	}
}

// Limits without requests: more replicas may come to a node than its cores would bear if all were busy.
func TestOvercommit(t *testing.T) {
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Constant, 1*ms))})
	bp.App.Services[0].Initial = alloc(5, 1)
	cfg := sim.Config{Blueprint: bp, Load: constant(100), Seed: 1, Nodes: []foresail.Node{{Name: "n", Cores: 2}}}
	s, err := newSim(t, cfg).Next(background)
	if err != nil || s.Services[0].Ready != 2 {
		t.Errorf("%v; %d replicas on two cores, want 2", err, s.Services[0].Ready)
	}
	cfg.Overcommit = true
	s, err = newSim(t, cfg).Next(background)
	if err != nil || s.Services[0].Ready != 5 {
		t.Errorf("%v; %d replicas with overcommitment, want 5", err, s.Services[0].Ready)
	}
}
