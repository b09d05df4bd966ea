package host_test

import (
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/node"
	"pgregory.net/rapid"
)

const (
	divide uint8 = iota
	look         // A: a member
	begin        // A: a member; B: ns of work
	measure
)

// world is a host with members that do nothing but run threads.
type world struct {
	queue   des.Queue
	host    *host.Host
	members []host.Member
	cpus    []cfs.Group
	events  []des.Handle
	done    int
}

func newWorld(n foresail.Node, limits []float64, of *foresail.Interference) *world {
	w := &world{members: make([]host.Member, len(limits)), cpus: make([]cfs.Group, len(limits)), events: make([]des.Handle, len(limits))}
	w.host = host.New(n, 64, &w.queue, des.Event{Kind: divide}, w.watch)
	for i, limit := range limits {
		w.events[i] = des.None
		w.cpus[i].Reset(0, 0, 1000, 64*cfs.Core) // the quota is never in the way
		w.members[i] = host.Member{ID: int32(i), CPU: &w.cpus[i], Weight: limit, Of: of}
		w.host.Join(&w.members[i])
	}
	w.queue.At(host.MeasureEvery, des.Event{Kind: measure})
	return w
}

func (w *world) watch(id int32) {
	if w.events[id] != des.None {
		w.queue.Cancel(w.events[id])
		w.events[id] = des.None
	}
	if at := w.cpus[id].Next(); at != cfs.Never {
		w.events[id] = w.queue.At(at, des.Event{Kind: look, A: id})
	}
}

func (w *world) run(until int64) {
	for {
		e, ok := w.queue.Next(until)
		if !ok {
			return
		}
		m := &w.members[e.A]
		switch e.Kind {
		case divide:
			w.host.Tick()
		case measure:
			w.host.Measure()
			w.queue.At(w.queue.Now()+host.MeasureEvery, e)
		case begin:
			m.CPU.Advance(w.queue.Now())
			m.CPU.Add(int64(e.B), 0)
			w.host.Begin(m)
			w.watch(e.A)
		case look:
			w.events[e.A] = des.None
			m.CPU.Advance(w.queue.Now())
			for {
				if _, ok := m.CPU.Pop(); !ok {
					break
				}
				w.host.End(m)
				w.done++
			}
			w.watch(e.A)
		}
	}
}

// used is the CPU time of all members.
func (w *world) used() (sum int64) {
	for i := range w.cpus {
		w.cpus[i].Advance(w.queue.Now())
		sum += w.cpus[i].Total
	}
	return sum
}

// A host's cores do all the work that comes, no sooner than they can: over any time they are used by no more than what two
// divisions may be wrong by, and as long as there is work for all of them they are hardly idle.
func TestCoresAreNeitherExceededNorLeftIdle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cores := rapid.IntRange(1, 8).Draw(t, "cores")
		limits := rapid.SliceOfN(rapid.Float64Range(0.1, 4), 1, 6).Draw(t, "limits")
		w := newWorld(foresail.Node{Name: "n", Cores: cores}, limits, &foresail.DefaultInterference)
		all, n := int64(0), rapid.IntRange(1, 150).Draw(t, "threads")
		last := int64(0)
		for range n {
			at, need := rapid.Int64Range(0, 200e6).Draw(t, "at"), rapid.Int64Range(1, 30e6).Draw(t, "needs")
			w.queue.At(at, des.Event{Kind: begin, A: int32(rapid.IntRange(0, len(limits)-1).Draw(t, "member")), B: uint32(need)})
			all += need
			last = max(last, at)
		}
		const step = int64(20e6)
		before := int64(0)
		for w.done < n {
			w.run(w.queue.Now() + step)
			used := w.used()
			if most := int64(cores)*(step+2*4e6) + step/4; used-before > most {
				t.Fatalf("%d ns of CPU in %d ns of %d cores", used-before, step, cores)
			}
			before = used
			if w.queue.Now() > 300e9 {
				t.Fatalf("%d of %d threads are done", w.done, n)
			}
		}
		if math.Abs(float64(before-all)) > 1e3*float64(n) {
			t.Fatalf("%d ns of CPU for work of %d", before, all)
		}
		if end := last + all/int64(cores) + 30e6*int64(n) + step; w.queue.Now() > end {
			t.Fatalf("done at %d, work was there until %d at most", w.queue.Now(), end)
		}
	})
}

// While all members have more threads than cores, each gets its weight's part, and all cores are used.
func TestSaturatedCoresFollowWeights(t *testing.T) {
	limits := []float64{1, 2, 5}
	w := newWorld(foresail.Node{Name: "n", Cores: 4}, limits, &foresail.DefaultInterference)
	for i := range limits {
		for range 8 {
			w.queue.At(0, des.Event{Kind: begin, A: int32(i), B: 4e9})
		}
	}
	w.run(1e9)
	if used := float64(w.used()); math.Abs(used-4e9) > 1e6 {
		t.Errorf("%v ns were used of four cores in a second", used)
	}
	for i, limit := range limits {
		if got, want := float64(w.cpus[i].Total)/4e9, limit/8; math.Abs(got-want) > 0.001 {
			t.Errorf("member %d got %v of the cores, want %v", i, got, want)
		}
	}
}

// An antagonist's share is taken from the instant on at which it comes, and given back when it goes.
func TestPressTakesAndGivesBack(t *testing.T) {
	w := newWorld(foresail.Node{Name: "n", Cores: 2}, []float64{1}, &foresail.DefaultInterference)
	for range 2 {
		w.queue.At(0, des.Event{Kind: begin, A: 0, B: 4e9})
	}
	for i, want := range []int64{200e6, 100e6, 200e6} {
		w.host.Press(node.CPU, []float64{0, 0.5, -0.5}[i])
		before := w.used()
		w.run(w.queue.Now() + 100e6)
		if got := w.used() - before; math.Abs(float64(got-want)) > 1e6 {
			t.Errorf("part %d: %d ns were used, want %d", i, got, want)
		}
		s := w.host.Observe(100e6, &foresail.Usage{CPU: float64(want) * 1e-9}, true)
		if s.CPU != 0.2 || s.Runnable.Mean < 2 {
			t.Errorf("part %d: an agent sees %v core-seconds and %v threads", i, s.CPU, s.Runnable.Mean)
		}
	}
}

// What members move is counted at the speeds that they had when they moved it.
func TestTrafficIsCounted(t *testing.T) {
	of := &foresail.Interference{Bandwidth: 1e9, BandwidthSensitivity: 1}
	n := foresail.Node{Name: "n", Cores: 4, MemoryBandwidth: 4e9}
	w := newWorld(n, []float64{1, 1}, of)
	for i := range 2 {
		w.queue.At(0, des.Event{Kind: begin, A: int32(i), B: 4e9})
	}
	w.run(1e9)
	w.members[0].Traffic = 0
	w.host.CountTraffic()
	w.members[0].Traffic = 0
	w.run(2e9)
	w.host.CountTraffic()
	var quiet node.Pressure
	state := node.Contend(&n, &quiet, []node.Tenant{{Busy: 1, Of: of}, {Busy: 1, Of: of}})
	if got, want := w.members[0].Traffic, state.Traffic(of); math.Abs(got-want) > 1e-3*want || state.Used < 0.3 {
		t.Errorf("moved %v bytes in a second, want %v", got, want)
	}
}

// Members that come and go leave nothing behind.
func TestMembersComeAndGo(t *testing.T) {
	w := newWorld(foresail.Node{Name: "n", Cores: 1, Cache: 1}, []float64{1, 1, 1}, &foresail.DefaultInterference)
	w.queue.At(0, des.Event{Kind: begin, A: 1, B: 1e6})
	w.run(5e6)
	w.host.Leave(&w.members[1])
	w.host.Leave(&w.members[0])
	w.run(50e6)
	if got := w.host.Members(); len(got) != 1 || got[0] != 2 {
		t.Errorf("left: %v", got)
	}
}

func BenchmarkDivide(b *testing.B) {
	limits := make([]float64, 20)
	for i := range limits {
		limits[i] = 1
	}
	w := newWorld(foresail.Node{Name: "n", Cores: 16}, limits, &foresail.DefaultInterference)
	for i := range 60 {
		w.queue.At(0, des.Event{Kind: begin, A: int32(i % 20), B: math.MaxUint32})
	}
	w.run(1e6)
	b.ReportAllocs()
	for b.Loop() {
		w.host.Divide()
	}
	b.ReportMetric(float64(b.N*len(limits))/b.Elapsed().Seconds(), "replicas/s")
}
