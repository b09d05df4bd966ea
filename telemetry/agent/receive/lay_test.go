package receive

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// epoch is a whole second, as beats are numbered from it in these tests.
var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// fake is a receiver with a clock that tests move.
type fake struct {
	*Receiver
	now time.Time
	app *foresail.App
}

func newFake(cfg Config, services ...string) *fake {
	f := &fake{now: epoch, app: &foresail.App{Name: "shop"}}
	for _, s := range services {
		f.app.Services = append(f.app.Services, foresail.Service{Name: s})
	}
	cfg.Now = func() time.Time { return f.now }
	f.Receiver = New(cfg)
	return f
}

// reporter is an agent of a test.
type reporter struct {
	*session
	f          *fake
	seq        uint64
	off        time.Duration // how far its clock is ahead
	generation uint64
}

type fatal interface {
	Helper()
	Fatalf(string, ...any)
}

func (f *fake) agent(t fatal, node string, instance uint64, containers ...wire.Container) *reporter {
	t.Helper()
	s, err := f.open(&wire.Hello{Version: wire.Version, Node: node, Instance: instance}, func() {})
	if err != nil {
		t.Fatalf("%v", err)
	}
	r := &reporter{session: s, f: f, generation: 1}
	if _, err := s.take(&wire.Frame{Sent: f.now.UnixNano(), Table: &wire.Table{Generation: 1, Containers: containers}}); err != nil {
		t.Fatalf("%v", err)
	}
	return r
}

// beat makes beat number i, in which each of the containers used so much CPU time.
func (r *reporter) beat(i int, cpu ...time.Duration) *wire.Beat {
	r.seq++
	b := &wire.Beat{Seq: r.seq, Start: epoch.Add(time.Duration(i)*beat + r.off).UnixNano(), Length: int64(beat), Table: r.generation}
	b.Node.Has = foresail.SignalCPU
	for k, c := range cpu {
		s := wire.Sample{Index: uint32(k), Has: foresail.SignalCPU | foresail.SignalThrottled}
		s.Value[wire.CPU] = int64(c)
		b.Node.Value[wire.CPU] += int64(c)
		b.Containers = append(b.Containers, s)
	}
	return b
}

// send delivers a beat now.
func (r *reporter) send(t fatal, b *wire.Beat) {
	t.Helper()
	if _, err := r.take(&wire.Frame{Sent: r.f.now.Add(r.off).UnixNano(), Beat: b}); err != nil {
		t.Fatalf("%v", err)
	}
}

// cutAt lays what is known into the snapshot of beats [i, j).
func (f *fake) cutAt(i, j int) *foresail.Snapshot {
	f.now = epoch.Add(time.Duration(j)*beat + 150*time.Millisecond)
	s := &foresail.Snapshot{Start: epoch.Add(time.Duration(i) * beat), End: epoch.Add(time.Duration(j) * beat)}
	f.Lay(s, f.app)
	return s
}

func container(service, replica string) wire.Container {
	return wire.Container{ID: "/" + replica, Service: service, Replica: replica}
}

const ms = time.Millisecond

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// What two nodes report becomes replicas, the sum of a service, and the nodes; what is nobody's counts into its node
// alone.
func TestReportsBecomeSnapshots(t *testing.T) {
	f := newFake(Config{}, "front", "store")
	a := f.agent(t, "a", 1, container("front", "front-0"), container("front", "front-1"), container("cron", "cron-0"))
	b := f.agent(t, "b", 2, container("front", "front-2"), container("store", "store-0"))
	x := a.beat(0, 10*ms, 20*ms, 40*ms)
	v := &x.Containers[0]
	v.Has |= foresail.SignalQueue | foresail.SignalInFlight | foresail.SignalMemory
	v.Value[wire.Backlog], v.Value[wire.Unread], v.Value[wire.Busy], v.Value[wire.Memory], v.Value[wire.Throttled] = 3, 2, 5, 100, int64(7*ms)
	x.Node.Has |= foresail.SignalRunnable
	x.Node.Value[wire.Runnable], x.Node.Value[wire.DiskBusy] = 2500, int64(30*ms)
	a.send(t, x)
	b.send(t, b.beat(0, 5*ms, 1*ms))
	s := f.cutAt(0, 1)
	front, store := &s.Services[0], &s.Services[1]
	if !near(front.CPU, 0.035) || front.Throttled != 7*ms || len(front.Replicas) != 3 || front.Has != foresail.SignalCPU|foresail.SignalThrottled {
		t.Errorf("front: %+v", front)
	}
	if r := front.Replicas[0]; r.Name != "front-0" || r.Node != "a" || r.Queue.Last != 5 || r.InFlight.Max != 8 || r.Memory != 100 {
		t.Errorf("front-0: %+v", r)
	}
	if !near(store.CPU, 0.001) || store.Replicas[0].Node != "b" {
		t.Errorf("store: %+v", store)
	}
	if len(s.Nodes) != 2 || !near(s.Nodes[0].CPU, 0.07) || s.Nodes[0].Runnable.Mean != 2.5 || s.Nodes[0].DiskBusy != 30*ms || !s.Has.Has(foresail.SignalNodes) {
		t.Errorf("nodes: %+v", s.Nodes)
	}
	if st := f.Stats(); st.Unknown != 1 || st.Beats != 2 || st.Nodes != 2 || st.Containers != 5 {
		t.Errorf("%+v", st)
	}
}

// What spans tell of requests in flight is not replaced by what sockets tell.
func TestSpansKnowBetter(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	x := a.beat(0, ms)
	x.Containers[0].Has |= foresail.SignalInFlight
	x.Containers[0].Value[wire.Busy] = 9
	a.send(t, x)
	s := &foresail.Snapshot{Start: epoch, End: epoch.Add(beat), Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalInFlight,
		InFlight: foresail.Gauge{Last: 2, Mean: 1, Max: 3}}}}}
	f.Lay(s, f.app)
	if got := s.Services[0]; got.InFlight.Last != 2 || !near(got.CPU, 0.001) || got.Replicas[0].InFlight.Last != 9 {
		t.Errorf("%+v", got)
	}
}

// Whatever comes late, in whatever order, a history knows in the end exactly what was sent: of each service, replica
// and node, and how many cores that was.
func TestNothingIsLostOrCountedTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := newFake(Config{}, "front", "store")
		const beats = 20
		agents := []*reporter{
			f.agent(t, "a", 1, container("front", "front-0"), container("store", "store-0")),
			f.agent(t, "b", 2, container("front", "front-1")),
		}
		type parcel struct {
			of *reporter
			b  *wire.Beat
		}
		arrive := map[int][]parcel{}
		want := map[string]float64{}
		sum := func(name string, d time.Duration) { want[name] += d.Seconds() }
		for k, a := range agents {
			late := 0 // a stream keeps its order: none overtakes
			for i := range beats {
				late = max(late-1, rapid.SampledFrom([]int{0, 0, 0, 1, 2, 7, 30}).Draw(t, "late"))
				x, y := time.Duration(rapid.IntRange(0, 90).Draw(t, "cpu"))*ms, time.Duration(rapid.IntRange(0, 90).Draw(t, "cpu"))*ms
				b := a.beat(i, x, y)
				sum("front", x)
				if k == 0 {
					sum("front-0", x)
					sum("store", y)
					sum("a", x+y)
				} else {
					b = a.beat(i, x)
					a.seq--
					b.Seq = a.seq
					sum("front-1", x)
					sum("b", x)
				}
				arrive[i+late] = append(arrive[i+late], parcel{a, b})
			}
		}
		h := foresail.NewHistory(f.app, foresail.Needs{Beats: 100, Seconds: 10})
		for i := range beats + 45 {
			for _, p := range arrive[i] {
				p.of.send(t, p.b)
			}
			h.Add(f.cutAt(i, i+1))
		}
		if st := f.Stats(); st.TooLate+st.Lost+st.Limit > 0 {
			t.Fatalf("%+v", st)
		}
		for what, parts := range map[string][]*foresail.Snapshot{"beats": h.Beats(beats), "seconds": h.Seconds(10)} {
			if what == "beats" {
				parts = h.Beats(100)
			}
			s := foresail.Merge(parts...)
			got := map[string]float64{}
			for i := range s.Services {
				got[f.app.Services[i].Name] = s.Services[i].CPU
				for _, r := range s.Services[i].Replicas {
					got[r.Name] = r.CPU
				}
			}
			for _, n := range s.Nodes {
				got[n.Name] = n.CPU
			}
			for name, v := range want {
				if !near(got[name], v) {
					t.Fatalf("%s of %s: %v s of CPU, not %v", what, name, got[name], v)
				}
			}
		}
		first := h.Seconds(10)[0] // of which everything is known by now
		for i := range first.Services {
			if cores, ok := first.Services[i].Cores(time.Second); !ok || first.Services[i].CPUOver != 0 || !near(cores, first.Services[i].CPU) {
				t.Fatalf("the first second: %v cores, %v, CPU over %v", cores, ok, first.Services[i].CPUOver)
			}
		}
	})
}

// A node that has died is waited for two seconds; then its services' sums are of what is left.
func TestADeadNodeIsNotWaitedFor(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	b := f.agent(t, "b", 2, container("front", "front-1"))
	told := 0
	for i := range 40 {
		a.send(t, a.beat(i, ms))
		if i < 5 {
			b.send(t, b.beat(i, ms))
		}
		s := f.cutAt(i, i+1)
		if s.Services[0].Has.Has(foresail.SignalCPU) {
			told++
		}
		for _, l := range s.Late {
			if l.Services[0].Has.Has(foresail.SignalCPU) {
				told++
			}
		}
	}
	if told < 37 {
		t.Errorf("the sum is told in %d of 40 beats", told)
	}
}

// A beat that covers several is shared among them; the sum is what was counted.
func TestALongBeatIsShared(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	b := a.beat(0, 100*ms)
	b.Length = 3 * int64(beat)
	b.Containers[0].Value[wire.Retransmits] = 10
	b.Containers[0].Has |= foresail.SignalRetransmits
	a.send(t, b)
	sum := 0.0
	for i, want := range []float64{3, 3, 4} {
		s := f.cutAt(i, i+1)
		sum += s.Services[0].CPU
		if s.Services[0].Retransmits != want {
			t.Errorf("beat %d: %v retransmits", i, s.Services[0].Retransmits)
		}
	}
	if !near(sum, 0.1) {
		t.Errorf("%v s of CPU", sum)
	}
}

// Memory is told in each beat, for two seconds and a half after it was read.
func TestMemoryIsHeld(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	for i := range 40 {
		b := a.beat(i, ms)
		if i == 3 {
			b.Containers[0].Has |= foresail.SignalMemory
			b.Containers[0].Value[wire.Memory] = 77
		}
		a.send(t, b)
		s := f.cutAt(i, i+1)
		known := i >= 3 && i <= 28
		if s.Services[0].Has.Has(foresail.SignalMemory) != known || known && s.Services[0].Memory != 77 {
			t.Errorf("beat %d: %d bytes, has %v", i, s.Services[0].Memory, s.Services[0].Has)
		}
	}
}

// An agent's clock may be off by hours: its beats count when they were.
func TestClocksThatAreOff(t *testing.T) {
	for _, off := range []time.Duration{0, 30 * ms, time.Hour, -time.Hour, -3 * time.Second, 24 * time.Hour} {
		f := newFake(Config{}, "front")
		a := f.agent(t, "a", 1, container("front", "front-0"))
		a.off = off
		sum := 0.0
		for i := range 50 {
			f.now = epoch.Add(time.Duration(i+1)*beat + time.Duration(2+i%5)*ms) // a little on the way
			a.send(t, a.beat(i, ms))
			s := f.cutAt(i, i+1)
			sum += s.Services[0].CPU
		}
		if sum < 0.049 {
			t.Errorf("off by %v: %v s of CPU in time, %+v", off, sum, f.Stats())
		}
	}
}

// Beats that come again after a connection broke count once, a new life of the agent begins anew, and what is missing
// is counted.
func TestAgainAndAnew(t *testing.T) {
	f := newFake(Config{}, "front")
	a := f.agent(t, "a", 1, container("front", "front-0"))
	first := a.beat(0, ms)
	a.send(t, first)
	again := f.agent(t, "a", 1, container("front", "front-0"))
	again.seq = a.seq
	if _, err := a.take(&wire.Frame{Beat: a.beat(1, ms)}); err == nil {
		t.Error("an older stream goes on")
	}
	again.send(t, first)
	b := again.beat(1, ms)
	b.Seq, b.Dropped = 6, 4
	again.send(t, b)
	anew := f.agent(t, "a", 99, container("front", "front-0"))
	anew.send(t, anew.beat(2, ms))
	if st := f.Stats(); st.Duplicate != 1 || st.Lost != 4 || st.Dropped != 4 || st.Beats != 3 || st.Nodes != 1 || st.Replaced != 2 {
		t.Errorf("%+v", st)
	}
	if s := f.cutAt(0, 3); !near(s.Services[0].CPU, 0.003) {
		t.Errorf("%v s of CPU", s.Services[0].CPU)
	}
}
