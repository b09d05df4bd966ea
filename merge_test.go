package foresail_test

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const everySignal = foresail.SignalsAll &^ (foresail.SignalEdges | foresail.SignalEndpoints | foresail.SignalNodes)

// drawUsage draws what was observed of something. Counts are whole numbers, so that adding them up has no rounding.
func drawUsage(t *rapid.T, has foresail.Signals) foresail.Usage {
	count := func(label string) float64 { return float64(rapid.IntRange(0, 50).Draw(t, label)) }
	u := foresail.Usage{Has: has}
	if has.Has(foresail.SignalReady) {
		u.Ready = rapid.IntRange(0, 5).Draw(t, "ready")
	}
	if has.Has(foresail.SignalMemory) {
		u.Memory = rapid.Int64Range(0, 1<<30).Draw(t, "memory")
	}
	if has.Has(foresail.SignalCPU) {
		u.CPU = count("cpu")
	}
	if has.Has(foresail.SignalInFlight) {
		mean := count("mean")
		u.InFlight = foresail.Gauge{Last: count("last"), Mean: mean, Max: mean + count("above")}
	}
	if has.Has(foresail.SignalArrivals) {
		u.Arrivals, u.Completions, u.Errors = count("arrivals"), count("completions"), count("errors")
		u.Throttled = time.Duration(count("throttled")) * time.Millisecond
		u.NetIn, u.NetOut = int64(count("in")), int64(count("out"))
	}
	if has.Has(foresail.SignalQueue) {
		mean := count("queue")
		u.Queue = foresail.Gauge{Last: count("last in queue"), Mean: mean, Max: mean + count("above in queue")}
	}
	if has.Has(foresail.SignalDisk) {
		u.DiskRead, u.DiskWritten, u.IOWait = int64(count("read")), int64(count("written")), time.Duration(count("I/O wait"))
	}
	if has.Has(foresail.SignalPressure) {
		u.CPUPressure, u.MemoryPressure, u.IOPressure = time.Duration(count("CPU")), time.Duration(count("memory")), time.Duration(count("I/O"))
	}
	if has.Has(foresail.SignalRetransmits) {
		u.Retransmits, u.CacheMisses, u.MemoryTraffic = count("retransmits"), count("misses"), count("traffic")
	}
	if has.Has(foresail.SignalLatency) {
		u.Latency = drawSketch(t)
	}
	return u
}

func drawSketch(t *rapid.T) *sketch.Sketch {
	if rapid.Bool().Draw(t, "no latencies") {
		return nil
	}
	s := sketch.New()
	for range rapid.IntRange(1, 4).Draw(t, "latencies") {
		s.Add(rapid.SampledFrom([]float64{0, 0.25, 0.5, 1, 2}).Draw(t, "latency"))
	}
	return s
}

// drawSnapshot draws one interval of an application of three services with the same two replicas each.
func drawSnapshot(t *rapid.T, start time.Time, d time.Duration, has foresail.Signals) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: start, End: start.Add(d), Has: foresail.SignalEdges | foresail.SignalEndpoints,
		Dropped: float64(rapid.IntRange(0, 3).Draw(t, "dropped"))}
	for range 3 {
		st := foresail.ServiceStats{Usage: drawUsage(t, has)}
		if has.Has(foresail.SignalAllocation) {
			st.Allocation = foresail.Allocation{Replicas: rapid.IntRange(1, 4).Draw(t, "replicas"), CPU: 1}
		}
		for _, name := range []string{"a", "b"} {
			st.Replicas = append(st.Replicas, foresail.ReplicaStats{Name: name, Node: "n", Usage: drawUsage(t, has)})
		}
		s.Services = append(s.Services, st)
	}
	for _, name := range []string{"m", "n"} {
		if rapid.Bool().Draw(t, "node heard of") {
			mean := float64(rapid.IntRange(0, 50).Draw(t, "runnable"))
			s.Nodes = append(s.Nodes, foresail.NodeStats{Name: name, Usage: drawUsage(t, foresail.SignalCPU|foresail.SignalDisk|foresail.SignalRunnable),
				Runnable: foresail.Gauge{Last: mean, Mean: mean, Max: mean}, DiskBusy: time.Duration(mean)})
		}
	}
	for range 2 {
		e := foresail.EndpointStats{Requests: float64(rapid.IntRange(0, 50).Draw(t, "requests")), Latency: drawSketch(t)}
		e.Late = float64(rapid.IntRange(0, int(e.Requests)).Draw(t, "late"))
		if e.Late > 0 && rapid.Bool().Draw(t, "first late known") {
			e.FirstLate = start.Add(d / 2)
			e.Slowest = foresail.Exemplar{Trace: foresail.TraceID{1, byte(start.Unix())}, Latency: time.Duration(rapid.IntRange(1, 5).Draw(t, "slowest")) * time.Millisecond}
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	for from := range 3 {
		for to := range 3 {
			if rapid.Bool().Draw(t, "edge") {
				s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(from), To: foresail.ServiceID(to),
					Calls: float64(rapid.IntRange(0, 50).Draw(t, "calls")), Latency: drawSketch(t)})
			}
		}
	}
	return s
}

// render writes a snapshot out for comparison, gauge means and sums to nine digits.
func render(s *foresail.Snapshot) string {
	if s == nil {
		return "nothing"
	}
	out := fmt.Sprintf("[%v %v) stale %v dropped %v has %v generation %d\n", s.Start.Sub(epoch), s.End.Sub(epoch), s.Stale, s.Dropped, s.Has, s.Generation)
	hist := func(h *sketch.Sketch) string {
		text := fmt.Sprintf("%v/%.9g", h.Count(), h.Sum())
		if h != nil {
			for i, n := range h.Buckets() {
				text += fmt.Sprintf(" %d:%v", i, n)
			}
		}
		return text
	}
	usage := func(u *foresail.Usage) string {
		return fmt.Sprintf("has %v ready %d cpu %.9g over %v throttled %v memory %d net %d %d in flight %v %.9g %.9g counts %v %v %v latency %s queue %v %.9g %.9g disk %d %d %v pressure %v %v %v others %v %v %v",
			u.Has, u.Ready, u.CPU, u.CPUOver, u.Throttled, u.Memory, u.NetIn, u.NetOut, u.InFlight.Last, u.InFlight.Mean, u.InFlight.Max,
			u.Arrivals, u.Completions, u.Errors, hist(u.Latency), u.Queue.Last, u.Queue.Mean, u.Queue.Max, u.DiskRead, u.DiskWritten, u.IOWait,
			u.CPUPressure, u.MemoryPressure, u.IOPressure, u.Retransmits, u.CacheMisses, u.MemoryTraffic)
	}
	for i := range s.Services {
		st := &s.Services[i]
		out += fmt.Sprintf("service %d %v pending %v %s\n", i, st.Allocation, st.Pending, usage(&st.Usage))
		for k := range st.Replicas {
			out += fmt.Sprintf("  replica %s on %s %s\n", st.Replicas[k].Name, st.Replicas[k].Node, usage(&st.Replicas[k].Usage))
		}
	}
	nodes := slices.Clone(s.Nodes) // in whatever order they were heard of
	slices.SortFunc(nodes, func(a, b foresail.NodeStats) int { return strings.Compare(a.Name, b.Name) })
	for i := range nodes {
		n := &nodes[i]
		out += fmt.Sprintf("node %s %s runnable %v %.9g %v disk busy %v\n", n.Name, usage(&n.Usage), n.Runnable.Last, n.Runnable.Mean, n.Runnable.Max, n.DiskBusy)
	}
	for i, e := range s.Endpoints {
		out += fmt.Sprintf("endpoint %d %v %v %v first %v latency %s slowest %v\n", i, e.Requests, e.Errors, e.Late, e.FirstLate.Sub(epoch), hist(e.Latency), e.Slowest)
	}
	for _, e := range s.Edges {
		out += fmt.Sprintf("edge %d→%d %v %s\n", e.From, e.To, e.Calls, hist(e.Latency))
	}
	return out
}

func TestMergingIsAssociative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		has := rapid.SampledFrom([]foresail.Signals{everySignal, foresail.SignalCPU, everySignal &^ foresail.SignalInFlight}).Draw(t, "signals")
		var parts []*foresail.Snapshot
		at := epoch
		for range 3 {
			d := time.Duration(rapid.IntRange(1, 20).Draw(t, "tenths")) * foresail.Beat
			parts = append(parts, drawSnapshot(t, at, d, has))
			at = at.Add(d)
		}
		before := render(parts[0]) + render(parts[1]) + render(parts[2])
		all := render(foresail.Merge(parts...))
		left := render(foresail.Merge(foresail.Merge(parts[0], parts[1]), parts[2]))
		right := render(foresail.Merge(parts[0], foresail.Merge(parts[1], parts[2])))
		if all != left || all != right {
			t.Fatalf("all at once:\n%s\nleft first:\n%s\nright first:\n%s", all, left, right)
		}
		if before != render(parts[0])+render(parts[1])+render(parts[2]) {
			t.Fatal("merging changed its input")
		}
	})
}

// The oracle computes each quantity of the merged interval by itself, from its definition.
func TestMergedQuantitiesAgreeWithTheirDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var parts []*foresail.Snapshot
		at := epoch
		for range rapid.IntRange(1, 5).Draw(t, "parts") {
			d := time.Duration(rapid.IntRange(1, 20).Draw(t, "tenths")) * foresail.Beat
			has := everySignal
			for bit := foresail.SignalReady; bit <= foresail.SignalMemoryTraffic; bit <<= 1 {
				if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
					has &^= bit
				}
			}
			parts = append(parts, drawSnapshot(t, at, d, has))
			at = at.Add(d)
		}
		got := foresail.Merge(parts...).Services[1]
		var want foresail.ServiceStats
		weighted, observed, latencies := 0.0, 0.0, 0.0
		queued, queueObserved := 0.0, 0.0
		for _, p := range parts {
			s := p.Services[1]
			want.Has |= s.Has
			want.CPU += s.CPU
			want.Arrivals += s.Arrivals
			want.Completions += s.Completions
			want.Errors += s.Errors
			want.NetIn += s.NetIn
			want.NetOut += s.NetOut
			want.Throttled += s.Throttled
			want.DiskRead += s.DiskRead
			want.DiskWritten += s.DiskWritten
			want.IOWait += s.IOWait
			want.CPUPressure += s.CPUPressure
			want.MemoryPressure += s.MemoryPressure
			want.IOPressure += s.IOPressure
			want.Retransmits += s.Retransmits
			want.CacheMisses += s.CacheMisses
			want.MemoryTraffic += s.MemoryTraffic
			if s.Has.Has(foresail.SignalQueue) {
				want.Queue.Last = s.Queue.Last
				want.Queue.Max = max(want.Queue.Max, s.Queue.Max)
				queued += s.Queue.Mean * p.Duration().Seconds()
				queueObserved += p.Duration().Seconds()
			}
			if s.Has.Has(foresail.SignalCPU) {
				want.CPUOver += p.Duration()
			}
			latencies += s.Latency.Count()
			if s.Has.Has(foresail.SignalReady) {
				want.Ready = s.Ready
			}
			if s.Has.Has(foresail.SignalMemory) {
				want.Memory = s.Memory
			}
			if s.Has.Has(foresail.SignalAllocation) {
				want.Allocation = s.Allocation
			}
			if s.Has.Has(foresail.SignalInFlight) {
				want.InFlight.Last = s.InFlight.Last
				want.InFlight.Max = max(want.InFlight.Max, s.InFlight.Max)
				weighted += s.InFlight.Mean * p.Duration().Seconds()
				observed += p.Duration().Seconds()
			}
		}
		if queueObserved > 0 && math.Abs(got.Queue.Mean-queued/queueObserved) > 1e-9 {
			t.Fatalf("in queue %v, want %v", got.Queue.Mean, queued/queueObserved)
		}
		want.Queue.Mean = got.Queue.Mean
		if observed > 0 {
			want.InFlight.Mean = weighted / observed
		}
		if want.CPUOver == at.Sub(epoch) {
			want.CPUOver = 0 // all of it
		}
		if math.Abs(got.InFlight.Mean-want.InFlight.Mean) > 1e-9 || got.Latency.Count() != latencies {
			t.Fatalf("in flight %v, want %v; %v latencies, want %v", got.InFlight.Mean, want.InFlight.Mean, got.Latency.Count(), latencies)
		}
		got.InFlight.Mean, got.Latency, got.Replicas = want.InFlight.Mean, nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestMergingNothing(t *testing.T) {
	if foresail.Merge() != nil {
		t.Error("nothing became something")
	}
	silent := &foresail.Snapshot{Start: epoch, End: epoch.Add(time.Second), Stale: true}
	if s := foresail.Merge(silent, silent); !s.Stale {
		t.Error("silence became something")
	}
	if s := foresail.Merge(silent, &foresail.Snapshot{}); s.Stale {
		t.Error("what was partly observed is not stale")
	}
}

// Replicas that come and go are kept under their names, whatever their order.
func TestReplicasAreMergedByName(t *testing.T) {
	of := func(names ...string) *foresail.Snapshot {
		var st foresail.ServiceStats
		for _, n := range names {
			st.Replicas = append(st.Replicas, foresail.ReplicaStats{Name: n, Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: 1}})
		}
		return &foresail.Snapshot{Start: epoch, End: epoch.Add(time.Second), Services: []foresail.ServiceStats{st}}
	}
	got := map[string]float64{}
	for _, r := range foresail.Merge(of("a", "b"), of("b", "a", "c"), of("c")).Services[0].Replicas {
		got[r.Name] = r.CPU
	}
	if fmt.Sprint(got) != "map[a:2 b:2 c:2]" {
		t.Errorf("got %v", got)
	}
}

func ExampleMerge() {
	beat := func(i int, cpu float64) *foresail.Snapshot {
		start := epoch.Add(time.Duration(i) * foresail.Beat)
		return &foresail.Snapshot{Start: start, End: start.Add(foresail.Beat),
			Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: cpu}}}}
	}
	s := foresail.Merge(beat(0, 0.05), beat(1, 0.10), beat(2, 0.15))
	cores, _ := s.Services[0].Cores(s.Duration())
	fmt.Printf("%v, %.1f cores\n", s.Duration(), cores)
	// Output: 300ms, 1.0 cores
}

// beatOf is one beat of a single service with the given replicas.
func beatOf(i int, replicas ...foresail.ReplicaStats) *foresail.Snapshot {
	start := epoch.Add(time.Duration(i) * foresail.Beat)
	return &foresail.Snapshot{Start: start, End: start.Add(foresail.Beat), Services: []foresail.ServiceStats{{Replicas: replicas}}}
}

func TestAReplicaThatHasGoneIsNoLongerReady(t *testing.T) {
	r := func(name string) foresail.ReplicaStats {
		return foresail.ReplicaStats{Name: name, Usage: foresail.Usage{
			Has:   foresail.SignalReady | foresail.SignalMemory | foresail.SignalInFlight | foresail.SignalArrivals,
			Ready: 1, Memory: 100, InFlight: foresail.Gauge{Last: 2, Mean: 2, Max: 2}, Arrivals: 5}}
	}
	got := foresail.Merge(beatOf(0, r("a"), r("b")), beatOf(1, r("a"))).Services[0].Replicas
	if len(got) != 2 || got[0].Ready != 1 || got[0].Arrivals != 10 {
		t.Errorf("the one that stays: %+v", got)
	}
	if b := got[1]; !b.Gone || b.Ready != 0 || b.Memory != 0 || b.InFlight.Last != 0 || b.Arrivals != 5 || b.InFlight.Max != 2 {
		t.Errorf("the one that has gone keeps what it counted and no gauge: %+v", b)
	}
}

// A source that tells CPU more rarely than it tells requests must not make a service look idle.
func TestCoresAreOverTheTimeThatCPUWasObserved(t *testing.T) {
	parts := make([]*foresail.Snapshot, 10)
	for i := range parts {
		parts[i] = beatOf(i)
	}
	parts[3].Services[0].Usage = foresail.Usage{Has: foresail.SignalCPU, CPU: 0.09}
	second := foresail.Merge(parts...)
	if got, ok := second.Services[0].Cores(second.Duration()); !ok || math.Abs(got-0.9) > 1e-9 {
		t.Errorf("%v cores, want 0.9", got)
	}
	// and again when seconds become a minute
	if got, _ := foresail.Merge(second, beatOf(10)).Services[0].Cores(1100 * time.Millisecond); math.Abs(got-0.9) > 1e-9 {
		t.Errorf("merged again: %v cores, want 0.9", got)
	}
}

func TestMergedAllocationsAreTheirOwn(t *testing.T) {
	s := beatOf(0)
	s.Services[0] = foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalAllocation},
		Allocation: foresail.Allocation{Replicas: 1, Settings: map[string]float64{"ways": 4}},
		Pending:    &foresail.Allocation{Replicas: 2}}
	m := foresail.Merge(s)
	m.Services[0].Allocation.Settings["ways"] = 1
	m.Services[0].Pending.Replicas = 9
	if s.Services[0].Allocation.Settings["ways"] != 4 || s.Services[0].Pending.Replicas != 2 {
		t.Errorf("the input changed: %+v", s.Services[0])
	}
}

// Requests slower than spans are waited for come late; what was in flight is then put right, for the replica too, even
// when its first span of the beat is the late one.
func TestLateSpansPutInFlightRight(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{Services: []foresail.Service{{Name: "a"}}}, foresail.Needs{Beats: 10})
	h.Add(beatOf(0))
	late := foresail.Usage{Has: foresail.SignalInFlight | foresail.SignalArrivals, Arrivals: 3, InFlight: foresail.Gauge{Last: 3, Mean: 2}}
	l := beatOf(0, foresail.ReplicaStats{Name: "a-0", Usage: late})
	l.Services[0].Usage = late
	next := beatOf(1)
	next.Late = []*foresail.Snapshot{l}
	h.Add(next)
	got := h.Beats(2)[0].Services[0]
	want := foresail.Gauge{Last: 3, Mean: 2, Max: 3}
	if got.InFlight != want || len(got.Replicas) != 1 || got.Replicas[0].InFlight != want || got.Replicas[0].Arrivals != 3 {
		t.Errorf("%+v", got)
	}
}

// The same addition to a longer interval counts for its share of the time, and not for the end that it does not reach.
func TestLateSpansCountForTheirShareOfASecond(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{Services: []foresail.Service{{Name: "a"}}}, foresail.Needs{Seconds: 2})
	for i := range 10 {
		h.Add(beatOf(i))
	}
	l := beatOf(0)
	l.Services[0].Usage = foresail.Usage{Has: foresail.SignalInFlight, InFlight: foresail.Gauge{Last: 3, Mean: 2}}
	next := beatOf(10)
	next.Late = []*foresail.Snapshot{l}
	h.Add(next)
	if got := h.Seconds(1)[0].Services[0].InFlight; math.Abs(got.Mean-0.2) > 1e-12 || got.Last != 0 {
		t.Errorf("%+v, want a mean of 0.2 and a last of 0", got)
	}
}

func TestHeldCoresCountEveryReplicaThatIsPaidFor(t *testing.T) {
	s := foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalAllocation}, Allocation: foresail.Allocation{Replicas: 1, CPU: 2}}
	if got, ok := s.Held(); !ok || got != 2 {
		t.Errorf("without replicas listed: %v", got)
	}
	s.Replicas = make([]foresail.ReplicaStats, 10) // nine of them starting
	if got, _ := s.Held(); got != 20 {
		t.Errorf("with nine starting: %v cores, want 20", got)
	}
	s.Replicas[3].Gone = true
	if got, _ := s.Held(); got != 18 {
		t.Errorf("with one gone: %v cores, want 18", got)
	}
	if _, ok := new(foresail.ServiceStats).Held(); ok {
		t.Error("an allocation that was not observed was invented")
	}
}
