package node_test

import (
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/cluster/sim/node"
	"pgregory.net/rapid"
)

func near(t testing.TB, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance && got != want { // equal infinities, too
		t.Errorf("%s is %v, want %v", what, got, want)
	}
}

// The cores are all used, each replica gets what it wants or its weight's part, and none could get more without taking it
// from one that has less by weight.
func TestLevelDividesCoresFairly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := float64(rapid.IntRange(1, 64).Draw(t, "cores"))
		shares := make([]node.Share, rapid.IntRange(0, 8).Draw(t, "replicas"))
		wanted := 0.0
		for i := range shares {
			shares[i] = node.Share{Busy: float64(rapid.IntRange(0, 40).Draw(t, "busy")), Weight: rapid.Float64Range(0.01, 16).Draw(t, "weight")}
			wanted += shares[i].Busy
		}
		level := node.Level(cores, shares)
		given := func(level float64) (sum float64) {
			for _, s := range shares {
				sum += min(s.Busy, level*s.Weight)
			}
			return sum
		}
		if wanted <= cores {
			if !math.IsInf(level, 1) {
				t.Fatalf("level %v, though %v threads fit on %v cores", level, wanted, cores)
			}
			return
		}
		low, high := 0.0, 1e6 // the oracle searches for it
		for range 200 {
			if mid := (low + high) / 2; given(mid) < cores {
				low = mid
			} else {
				high = mid
			}
		}
		if math.Abs(given(level)-cores) > 1e-9*cores || math.Abs(level-low) > 1e-6*(1+low) {
			t.Fatalf("level %v gives %v of %v cores; the search finds %v", level, given(level), cores, low)
		}
	})
}

func TestPlacement(t *testing.T) {
	n := func(cores int, memory int64) foresail.Node {
		return foresail.Node{Name: "n", Cores: cores, Memory: memory}
	}
	for _, tt := range []struct {
		name   string
		policy foresail.Placement
		rooms  []node.Room
		cores  float64
		memory int64
		want   int
	}{
		{"no nodes", foresail.Spread, nil, 1, 0, -1},
		{"the emptier one", foresail.Spread, []node.Room{{Node: n(4, 100), Requested: node.Request{Milli: 1000}}, {Node: n(4, 100)}}, 1, 10, 1},
		{"the fuller one", foresail.BinPack, []node.Room{{Node: n(4, 100)}, {Node: n(4, 100), Requested: node.Request{Milli: 1000}}}, 1, 10, 1},
		// LeastAllocated alone likes both the same: (1−.5 + 1−.5)/2 and (1−.75 + 1−.25)/2.
		{"the better balanced one", foresail.Spread, []node.Room{{Node: n(4, 100), Requested: node.Request{Milli: 2000, Memory: 15}},
			{Node: n(4, 100), Requested: node.Request{Milli: 1000, Memory: 40}}}, 1, 10, 1},
		{"no CPU left", foresail.Spread, []node.Room{{Node: n(1, 100), Requested: node.Request{Milli: 1}}}, 1, 0, -1},
		{"just enough CPU", foresail.Spread, []node.Room{{Node: n(1, 100), Requested: node.Request{Milli: 700}}}, 0.3, 0, 0},
		{"no memory left", foresail.Spread, []node.Room{{Node: n(8, 100), Requested: node.Request{Memory: 91}}}, 1, 10, -1},
		{"not the one that is down", foresail.Spread, []node.Room{{Node: n(8, 100), Down: true}, {Node: n(1, 100)}}, 1, 10, 1},
		{"nothing is limited: where fewer replicas are", foresail.Spread, []node.Room{{Replicas: 2}, {Replicas: 1}, {Replicas: 1}}, 1e3, 1 << 50, 1},
		{"packed: the first", foresail.BinPack, []node.Room{{Replicas: 2}, {Replicas: 3}}, 1, 0, 0},
	} {
		if got := node.Place(tt.policy, tt.rooms, node.NewRequest(tt.cores, tt.memory)); got != tt.want {
			t.Errorf("%s: node %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Whatever is placed, resized and taken away, requests add up, and nothing is placed where it does not fit.
func TestRoomsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rooms := make([]node.Room, rapid.IntRange(1, 4).Draw(t, "nodes"))
		for i := range rooms {
			rooms[i].Node = foresail.Node{Name: "n", Cores: rapid.IntRange(0, 8).Draw(t, "cores"), Memory: rapid.Int64Range(0, 100).Draw(t, "memory")}
		}
		policy := foresail.Placement(rapid.IntRange(0, 1).Draw(t, "policy"))
		type placed struct {
			at int
			q  node.Request
		}
		var all []placed
		for range 30 {
			if len(all) > 0 && rapid.IntRange(0, 2).Draw(t, "take away") == 0 {
				i := rapid.IntRange(0, len(all)-1).Draw(t, "which")
				rooms[all[i].at].Give(all[i].q)
				all[i] = all[len(all)-1]
				all = all[:len(all)-1]
				continue
			}
			q := node.NewRequest(rapid.Float64Range(0.01, 4).Draw(t, "cores"), rapid.Int64Range(0, 40).Draw(t, "bytes"))
			at := node.Place(policy, rooms, q)
			if at < 0 {
				for i := range rooms {
					if rooms[i].Fits(q) {
						t.Fatalf("%+v fits on %+v and was placed nowhere", q, rooms[i])
					}
				}
				continue
			}
			for i := range rooms {
				if rooms[i].Fits(q) && node.Score(policy, &rooms[i], q) > node.Score(policy, &rooms[at], q) {
					t.Fatalf("node %d scores more than node %d", i, at)
				}
			}
			rooms[at].Take(q)
			all = append(all, placed{at, q})
		}
		for i, r := range rooms {
			var sum node.Request
			n := 0
			for _, p := range all {
				if p.at == i {
					sum.Milli += p.q.Milli
					sum.Memory += p.q.Memory
					n++
				}
			}
			if sum != r.Requested || n != r.Replicas || r.Node.Cores > 0 && sum.Milli > int64(r.Node.Cores)*1000 || r.Node.Memory > 0 && sum.Memory > r.Node.Memory {
				t.Fatalf("%+v has %+v", r, sum)
			}
		}
	})
}

// The contention is the one at which what tenants move, slowed as they then are, is what is moved.
func TestContentionSettles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := foresail.Node{Name: "n", Cache: rapid.Int64Range(1, 64).Draw(t, "cache MiB") << 20, MemoryBandwidth: rapid.Float64Range(1, 100).Draw(t, "GB/s") * 1e9}
		var p node.Pressure
		p.Add(node.Cache, rapid.Float64Range(0, 1.5).Draw(t, "cache taken"))
		p.Add(node.MemoryBandwidth, rapid.Float64Range(0, 0.9).Draw(t, "bandwidth taken"))
		tenants := make([]node.Tenant, rapid.IntRange(0, 5).Draw(t, "tenants"))
		filled := 0.0
		for i := range tenants {
			of := &foresail.Interference{
				Cache: rapid.Int64Range(0, 64).Draw(t, "footprint MiB") << 20, Bandwidth: rapid.Float64Range(0, 10).Draw(t, "moves GB/s") * 1e9,
				CacheSensitivity: rapid.Float64Range(0, 3).Draw(t, "cache sensitivity"), BandwidthSensitivity: rapid.Float64Range(0.1, 3).Draw(t, "bandwidth sensitivity"),
			}
			tenants[i] = node.Tenant{Busy: rapid.Float64Range(0, 8).Draw(t, "busy"), Of: of}
			filled += float64(of.Cache) * min(1, tenants[i].Busy)
		}
		c := node.Contend(&n, &p, tenants)
		if want := max(0, 1-float64(n.Cache)*p.Left(node.Cache)/filled); filled > 0 && math.Abs(c.Evicted-want) > 1e-9 {
			t.Fatalf("%v of the footprints are evicted, want %v", c.Evicted, want)
		}
		moved := p.Of(node.MemoryBandwidth)
		for i := range tenants {
			moved += tenants[i].Busy * c.Traffic(tenants[i].Of) / n.MemoryBandwidth
			if s := c.Slowdown(tenants[i].Of); s < 1 {
				t.Fatalf("slowed down %v times", s)
			}
		}
		if c.Used > node.MaxUse || math.Abs(moved-c.Used) > 1e-3 && (c.Used < node.MaxUse-1e-3 || moved < node.MaxUse) {
			t.Fatalf("use %v, but %v is moved", c.Used, moved)
		}
	})
}

// What neighbours do grows with what they use, and a quiet node slows nobody down.
func TestContentionByExample(t *testing.T) {
	n := foresail.Node{Name: "n", Cache: 32 << 20, MemoryBandwidth: 40e9}
	of := &foresail.Interference{Cache: 16 << 20, Bandwidth: 5e9, CacheSensitivity: 1, BandwidthSensitivity: 0.5}
	var quiet, cache, memory node.Pressure
	cache.Add(node.Cache, 0.75)
	memory.Add(node.MemoryBandwidth, 0.6)
	if c := node.Contend(&n, &quiet, nil); c != (node.Contention{}) || c.Slowdown(of) != 1 {
		t.Errorf("an empty node: %+v", c)
	}
	if c := node.Contend(&foresail.Node{}, &memory, []node.Tenant{{Busy: 100, Of: of}}); c != (node.Contention{}) {
		t.Errorf("a node without limits: %+v", c)
	}
	one := []node.Tenant{{Busy: 1, Of: of}}
	c := node.Contend(&n, &quiet, one)
	near(t, "use", c.Used, 5e9/40e9/c.Slowdown(of), 1e-4)
	near(t, "slowdown", c.Slowdown(of), 1+0.5*c.Used/(2*(1-c.Used)), 1e-9)
	if c := node.Contend(&n, &cache, one); c.Evicted != 0.5 || c.Slowdown(of) < 1.5 {
		t.Errorf("half of the footprint is evicted: %+v", c)
	}
	if c, more := node.Contend(&n, &memory, one), node.Contend(&n, &memory, []node.Tenant{{Busy: 4, Of: of}}); !(c.Used > 0.6 && more.Slowdown(of) > c.Slowdown(of)) {
		t.Errorf("memory: %+v, then %+v", c, more)
	}
}

func TestPressuresAddUp(t *testing.T) {
	var p node.Pressure
	for _, a := range []float64{0.1, 0.2, 0.9} {
		p.Add(node.CPU, a)
	}
	near(t, "taken", p.Of(node.CPU), node.MaxPressure, 0)
	for _, a := range []float64{0.1, 0.2, 0.9} {
		p.Add(node.CPU, -a)
	}
	if p != (node.Pressure{}) {
		t.Errorf("all have ended: %v", p)
	}
}

func TestLinkCarriesInOrder(t *testing.T) {
	var l node.Link
	if at := l.Send(5, 1000, 0); at != 5 {
		t.Errorf("a link without a limit took until %d", at)
	}
	if a, b, c := l.Send(100, 1000, 1e9), l.Send(100, 500, 1e9), l.Send(5000, 500, 1e9); a != 1100 || b != 1600 || c != 5500 {
		t.Errorf("left at %d, %d and %d", a, b, c)
	}
	if w := l.Wait(5400); w != 100 {
		t.Errorf("waits for %d", w)
	}
}

func TestDisksServeTheFirstFree(t *testing.T) {
	d := make(node.Disks, 2)
	for i, want := range []int64{10, 20, 20, 35} {
		if got := d.Serve(0, []int64{10, 20, 10, 15}[i]); got != want {
			t.Errorf("request %d is done at %d, want %d", i, got, want)
		}
	}
}

func BenchmarkLevel(b *testing.B) {
	shares := make([]node.Share, 20)
	for i := range shares {
		shares[i] = node.Share{Busy: float64(i % 7), Weight: 0.25 * float64(1+i%5)}
	}
	b.ReportAllocs()
	for b.Loop() {
		node.Level(16, shares)
	}
	b.ReportMetric(float64(b.N*len(shares))/b.Elapsed().Seconds(), "replicas/s")
}

func BenchmarkContend(b *testing.B) {
	n := foresail.Node{Name: "n", Cache: 8 << 20, MemoryBandwidth: 20e9}
	var p node.Pressure
	tenants := make([]node.Tenant, 20)
	for i := range tenants {
		tenants[i] = node.Tenant{Busy: float64(i%7) / 3, Of: &foresail.DefaultInterference}
	}
	b.ReportAllocs()
	for b.Loop() {
		node.Contend(&n, &p, tenants)
	}
	b.ReportMetric(float64(b.N*len(tenants))/b.Elapsed().Seconds(), "replicas/s")
}
