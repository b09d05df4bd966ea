package receive

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// Bounds hold, and what they cost is counted.
func TestBounds(t *testing.T) {
	f := newFake(Config{MaxNodes: 2, MaxContainers: 3, MaxSamples: 40}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"), container("front", "front-1"))
	b := f.agent(t, "b", 2, container("front", "front-2"), container("front", "front-3"))
	if _, err := f.open(&wire.Hello{Version: wire.Version, Node: "c"}, func() {}); err == nil {
		t.Error("a third node is taken")
	}
	if _, err := f.open(&wire.Hello{Version: 9, Node: "a"}, func() {}); err == nil {
		t.Error("another version is taken")
	}
	b.send(t, b.beat(0, ms, ms)) // of the second container, which has no room, nothing is kept
	for i := range 90 {          // nobody cuts
		a.send(t, a.beat(i, ms, ms))
	}
	if f.samples > 40 || f.containers != 3 {
		t.Errorf("%d samples, %d containers", f.samples, f.containers)
	}
	if st := f.Stats(); st.Refused != 2 || st.Limit == 0 {
		t.Errorf("%+v", st)
	}
	a.send(t, a.beat(10_000, ms, ms))
	if st := f.Stats(); st.Ahead != 1 {
		t.Errorf("%+v", st)
	}
	s := f.cutAt(90, 91)
	if f.cutAt(91, 200); f.samples != 0 || len(f.cells) != 0 {
		t.Errorf("%d samples in %d cells are left, %v", f.samples, len(f.cells), s.Dropped)
	}
}

// When nobody takes what is reported, the newest minutes are held and no more; a node that is silent for long is
// forgotten, with its containers.
func TestNothingGrows(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	for i := range 5000 {
		f.now = epoch.Add(time.Duration(i+1) * beat)
		a.send(t, a.beat(i, ms))
	}
	if len(f.cells) > maxCells || f.samples > maxCells {
		t.Errorf("%d beats with %d samples are held", len(f.cells), f.samples)
	}
	a.close()
	f.cutAt(5000, 5001)
	if st := f.Stats(); st.Nodes != 0 || st.Containers != 1 {
		t.Errorf("just gone: %+v", st)
	}
	f.cutAt(5000, 6000)
	if st := f.Stats(); st.Containers != 0 || len(f.nodes) != 0 {
		t.Errorf("long gone: %+v", st)
	}
}

// A beat of 20 nodes with 100 containers each, of 50 services: taken from their messages, and laid into a snapshot.
func BenchmarkBeat(b *testing.B) {
	var names []string
	for i := range 50 {
		names = append(names, fmt.Sprintf("svc%d", i))
	}
	f := newFake(Config{}, names...)
	var agents []*reporter
	cpu := make([]time.Duration, 100)
	for n := range 20 {
		var cs []wire.Container
		for i := range cpu {
			cs = append(cs, container(names[i%50], fmt.Sprintf("svc%d-%d-%d", i%50, n, i)))
		}
		agents = append(agents, f.agent(b, fmt.Sprint("n", n), uint64(n)+1, cs...))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f.now = epoch.Add(time.Duration(i+1) * beat)
		for _, a := range agents {
			a.send(b, a.beat(i, cpu...))
		}
		if s := f.cutAt(i, i+1); len(s.Services[0].Replicas) != 40 || !s.Services[0].Has.Has(foresail.SignalCPU) {
			b.Fatalf("%d replicas", len(s.Services[0].Replicas))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2000, "ns/container")
}

// podNames knows pods, as the cluster does.
type podNames struct{}

func (podNames) Name(c *wire.Container) (service, replica string, ok bool) {
	return "front", "front-" + c.Pod, c.Pod == "u1"
}

func TestPodsAreNamedHere(t *testing.T) {
	f := newFake(Config{Names: podNames{}}, "front")
	a := f.agent(t, "a", 1, wire.Container{ID: "x", Pod: "u1"}, wire.Container{ID: "y", Pod: "u2"})
	a.send(t, a.beat(0, ms, ms))
	if s := f.cutAt(0, 1); len(s.Services[0].Replicas) != 1 || s.Services[0].Replicas[0].Name != "front-u1" || f.Stats().Unknown != 1 {
		t.Errorf("%+v", s.Services[0])
	}
}

// Whatever agents send, the receiver stays within its bounds and gives snapshots that are in order.
func FuzzFrames(f *testing.F) {
	x := &reporter{seq: 1, generation: 1}
	f.Add(wire.AppendBeat(nil, epoch.UnixNano(), x.beat(3, ms, ms).Append(nil)), uint8(4))
	f.Add(wire.AppendTable(nil, 1, (&wire.Table{Generation: 1}).Append(nil)), uint8(0))
	f.Fuzz(func(t *testing.T, raw []byte, at uint8) {
		r := newFake(Config{MaxSamples: 100}, "front")
		a := r.agent(t, "a", 1, container("front", "front-0"), container("front", "front-1"))
		for i := range 3 {
			frame, err := wire.ReadFrame(raw, nil)
			if err != nil {
				return
			}
			if _, err := a.take(&frame); err != nil {
				return
			}
			s := r.cutAt(int(at)+i, int(at)+i+1)
			if len(s.Services) != 1 || r.samples > 100 || len(s.Late) > int(revisions) {
				t.Fatalf("%+v, %d samples", s, r.samples)
			}
		}
	})
}
