package foresail_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

var deep = foresail.Needs{Beats: 2000, Seconds: 2000, Minutes: 100}

// cells merges what belongs to the same cell of the clock, leaving out the newest when it is not over: the stupid way to
// what the rings hold.
func cells(parts []*foresail.Snapshot, step time.Duration) []*foresail.Snapshot {
	var out []*foresail.Snapshot
	for i := 0; i < len(parts); {
		cell := parts[i].Start.Truncate(step)
		j := i
		over := false
		for j < len(parts) && !over && parts[j].Start.Truncate(step).Equal(cell) {
			over = !parts[j].End.Before(cell.Add(step))
			j++
		}
		if over || j < len(parts) {
			out = append(out, foresail.Merge(parts[i:j]...))
		}
		i = j
	}
	return out
}

func renderAll(ss []*foresail.Snapshot) (out string) {
	for _, s := range ss {
		out += render(s)
	}
	return out
}

// What is recalled is in the ring that it belongs to, before what is added, and is not taken for new.
func TestRecall(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{}, deep)
	at := func(from time.Duration, d time.Duration) *foresail.Snapshot {
		return &foresail.Snapshot{Start: epoch.Add(from), End: epoch.Add(from + d)}
	}
	for i := range 3 {
		h.Recall(at(time.Duration(i)*time.Minute, time.Minute))
	}
	h.Recall(at(3*time.Minute-time.Second, time.Second))
	h.Recall(at(3*time.Minute-foresail.Beat, foresail.Beat))
	if h.Last() != nil || !h.Now().IsZero() || len(h.Minutes(9)) != 3 || len(h.Seconds(9)) != 1 || len(h.Beats(9)) != 1 {
		t.Fatalf("%d minutes, %d seconds, %d beats, now %v", len(h.Minutes(9)), len(h.Seconds(9)), len(h.Beats(9)), h.Now())
	}
	for i := range 60 {
		h.Add(at(3*time.Minute+time.Duration(i)*time.Second, time.Second))
	}
	if m := h.Minutes(9); len(m) != 4 || !m[3].Start.Equal(epoch.Add(3*time.Minute)) || len(h.Seconds(99)) != 61 {
		t.Errorf("%d minutes, %d seconds", len(m), len(h.Seconds(99)))
	}
}

// Whatever the source's interval and whatever gaps there are, the rings hold what merging the beats directly gives.
func TestSecondsAndMinutesAreTheMergedBeats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		beat := rapid.SampledFrom([]time.Duration{foresail.Beat, 250 * time.Millisecond, time.Second, 7 * time.Second, 15 * time.Second}).Draw(t, "interval")
		h := foresail.NewHistory(&foresail.App{}, deep)
		var all []*foresail.Snapshot
		at := epoch.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "offset")) * beat)
		for range rapid.IntRange(1, 120).Draw(t, "intervals") {
			if rapid.IntRange(0, 15).Draw(t, "gap") == 0 {
				at = at.Add(time.Duration(rapid.IntRange(1, 700).Draw(t, "lost")) * beat)
			}
			s := &foresail.Snapshot{Start: at, End: at.Add(beat), Services: []foresail.ServiceStats{{Usage: foresail.Usage{
				Has: foresail.SignalCPU | foresail.SignalInFlight, CPU: float64(rapid.IntRange(0, 9).Draw(t, "cpu")),
				InFlight: foresail.Gauge{Mean: float64(rapid.IntRange(0, 9).Draw(t, "in flight"))}}}}}
			all = append(all, s)
			h.Add(s)
			at = s.End
		}
		seconds := cells(all, time.Second)
		if got, want := renderAll(h.Seconds(2000)), renderAll(seconds); got != want {
			t.Fatalf("seconds:\n%s\nwant:\n%s", got, want)
		}
		if got, want := renderAll(h.Minutes(100)), renderAll(cells(seconds, time.Minute)); got != want {
			t.Fatalf("minutes:\n%s\nwant:\n%s", got, want)
		}
		if got, want := renderAll(h.Beats(2000)), renderAll(all); got != want {
			t.Fatalf("beats:\n%s\nwant:\n%s", got, want)
		}
		if !h.Now().Equal(at) || h.Last() != all[len(all)-1] {
			t.Fatalf("now %v, want %v", h.Now(), at)
		}
	})
}

// What becomes known late is in every ring as if it had been known in time.
func TestLateAdditionsReachEveryRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		known := foresail.NewHistory(&foresail.App{}, deep) // everything in time
		late := foresail.NewHistory(&foresail.App{}, deep)  // some of it later
		snapshot := func(start time.Time, n float64) *foresail.Snapshot {
			s := &foresail.Snapshot{Start: start, End: start.Add(foresail.Beat), Has: foresail.SignalEndpoints | foresail.SignalEdges,
				Services:  []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalArrivals | foresail.SignalLatency, Arrivals: n, Latency: sketch.New()}}},
				Endpoints: []foresail.EndpointStats{{Requests: n}}, Edges: []foresail.EdgeStats{{From: 0, To: 1, Calls: n}}}
			s.Services[0].Latency.AddN(0.5, n)
			return s
		}
		type pending struct {
			due int
			s   *foresail.Snapshot
		}
		var waiting []pending
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0)) // draws by the thousand are too much to shrink
		beats := rapid.OneOf(rapid.IntRange(60, 200), rapid.IntRange(560, 700)).Draw(t, "beats")
		for i := range beats + 50 { // the last five seconds bring what is still missing
			start := epoch.Add(time.Duration(i) * foresail.Beat)
			n, held := float64(1+rng.IntN(9)), 0.0
			if i < beats && rng.IntN(6) == 0 {
				held = float64(rng.IntN(int(n) + 1))
				waiting = append(waiting, pending{i + 1 + rng.IntN(49), snapshot(start, held)})
			}
			known.Add(snapshot(start, n))
			s := snapshot(start, n-held)
			waiting = slices.DeleteFunc(waiting, func(p pending) bool {
				if p.due <= i {
					s.Late = append(s.Late, p.s)
				}
				return p.due <= i
			})
			late.Add(s)
		}
		for name, get := range map[string]func(*foresail.History) []*foresail.Snapshot{
			"beats":   func(h *foresail.History) []*foresail.Snapshot { return h.Beats(2000) },
			"seconds": func(h *foresail.History) []*foresail.Snapshot { return h.Seconds(2000) },
			"minutes": func(h *foresail.History) []*foresail.Snapshot { return h.Minutes(100) },
		} {
			if got, want := renderAll(get(late)), renderAll(get(known)); got != want {
				t.Fatalf("%s with late additions:\n%s\nin time:\n%s", name, got, want)
			}
		}
	})
}

func TestWhatWasHandedOutStaysAsItWas(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{}, deep)
	part := func(i int, n float64) *foresail.Snapshot {
		start := epoch.Add(time.Duration(i) * foresail.Beat)
		return &foresail.Snapshot{Start: start, End: start.Add(foresail.Beat), Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalArrivals, Arrivals: n}}}}
	}
	for i := range 10 {
		h.Add(part(i, 1))
	}
	beats, seconds := h.Beats(10), h.Seconds(1)
	before := renderAll(beats) + renderAll(seconds)
	next := part(10, 1)
	next.Late = []*foresail.Snapshot{part(3, 5)}
	h.Add(next)
	if renderAll(beats)+renderAll(seconds) != before {
		t.Error("a revision changed what was handed out")
	}
	if got := h.Seconds(1)[0].Services[0].Arrivals; got != 15 {
		t.Errorf("the revised second has %v arrivals, want 15", got)
	}
}

func TestRingsKeepTheNewestAndGrow(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{}, foresail.Needs{Beats: 3})
	add := func(from, to int) {
		for i := from; i < to; i++ {
			start := epoch.Add(time.Duration(i) * foresail.Beat)
			h.Add(&foresail.Snapshot{Start: start, End: start.Add(foresail.Beat)})
		}
	}
	offsets := func() (out []int) {
		for _, s := range h.Beats(100) {
			out = append(out, int(s.Start.Sub(epoch)/foresail.Beat))
		}
		return out
	}
	add(0, 8)
	if got := fmt.Sprint(offsets()); got != "[5 6 7]" {
		t.Errorf("kept %v", got)
	}
	h.Keep(foresail.Needs{Beats: 5})
	add(8, 10)
	if got := fmt.Sprint(offsets()); got != "[5 6 7 8 9]" {
		t.Errorf("after growing kept %v", got)
	}
	add(10, 12)
	h.Keep(foresail.Needs{Beats: 1}) // never less
	if got := fmt.Sprint(offsets(), len(h.Beats(2)), len(h.Beats(-1))); got != "[7 8 9 10 11] 2 0" {
		t.Errorf("then %v", got)
	}
}

func TestOverCoversAsMuchAsAsked(t *testing.T) {
	h := foresail.NewHistory(&foresail.App{}, foresail.Needs{Beats: 20, Seconds: 90, Minutes: 10})
	if h.Over(time.Second) != nil || h.Last() != nil || !h.Now().IsZero() {
		t.Error("an empty history holds something")
	}
	for i := range 3000 { // five minutes
		start := epoch.Add(time.Duration(i) * foresail.Beat)
		h.Add(&foresail.Snapshot{Start: start, End: start.Add(foresail.Beat)})
	}
	for _, c := range []struct{ ask, want time.Duration }{
		{time.Second, time.Second},
		{1500 * time.Millisecond, 1500 * time.Millisecond},
		{10 * time.Second, 10 * time.Second}, // beats reach back 2 s, so seconds
		{2 * time.Minute, 2 * time.Minute},   // seconds reach back 90 s, so minutes
		{time.Hour, 5 * time.Minute},         // all there is
	} {
		s := h.Over(c.ask)
		if got := s.Duration(); got != c.want || !s.End.Equal(h.Now()) {
			t.Errorf("over %v: %v up to %v, want %v", c.ask, got, s.End.Sub(epoch), c.want)
		}
	}
}

func TestNeedsJoin(t *testing.T) {
	a := foresail.Needs{Every: time.Minute, Required: foresail.SignalCPU, Beats: 3, Seconds: 10}
	b := foresail.Needs{Every: time.Second, Required: foresail.SignalReady, Optional: foresail.SignalEdges, Beats: 1, Minutes: 5}
	want := foresail.Needs{Every: time.Second, Required: foresail.SignalCPU | foresail.SignalReady, Optional: foresail.SignalEdges, Beats: 3, Seconds: 10, Minutes: 5}
	if a.Join(b) != want || b.Join(a) != want || (foresail.Needs{}).Join(a) != a || a.Join(foresail.Needs{}) != a {
		t.Errorf("got %+v and %+v", a.Join(b), b.Join(a))
	}
}

// benchstat: go test -bench HistoryAdd -count 6 . | tee new.txt; benchstat old.txt new.txt
func BenchmarkHistoryAdd(b *testing.B) {
	const services = 36
	rng := rand.New(rand.NewPCG(1, 2))
	draw := func() *sketch.Sketch {
		s := sketch.New()
		for range 20 {
			s.Add(rng.ExpFloat64() * 0.01)
		}
		return s
	}
	template := &foresail.Snapshot{Has: foresail.SignalsAll}
	for i := range services {
		st := foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalsAll, CPU: 0.05, Latency: draw()}}
		for r := range 3 {
			st.Replicas = append(st.Replicas, foresail.ReplicaStats{Name: fmt.Sprint("r", r), Usage: foresail.Usage{Has: foresail.SignalsAll, CPU: 0.02, Latency: draw()}})
		}
		template.Services = append(template.Services, st)
		template.Edges = append(template.Edges, foresail.EdgeStats{From: foresail.ServiceID(i), To: foresail.ServiceID((i + 1) % services), Calls: 20, Latency: draw()})
	}
	template.Endpoints = []foresail.EndpointStats{{Requests: 100, Latency: draw()}, {Requests: 50, Latency: draw()}}
	h := foresail.NewHistory(&foresail.App{}, foresail.Needs{Beats: 600, Seconds: 300, Minutes: 60})
	at := epoch
	b.ReportAllocs()
	for b.Loop() {
		s := *template
		s.Start, s.End = at, at.Add(foresail.Beat)
		at = s.End
		h.Add(&s)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "beats/s")
}

// CPU that an agent tells late makes the time over which it was observed longer, so that the number of cores stays right.
func TestLateCPUIsOverItsOwnTime(t *testing.T) {
	app := &foresail.App{Services: []foresail.Service{{Name: "a"}}}
	h := foresail.NewHistory(app, foresail.Needs{Beats: 20, Seconds: 5})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	used := func(i int) *foresail.Snapshot {
		at := start.Add(time.Duration(i) * foresail.Beat)
		return &foresail.Snapshot{Start: at, End: at.Add(foresail.Beat), Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: 0.05}}}}
	}
	for i := range 20 {
		s := used(i)
		if i%3 == 1 { // comes with the next
			s.Services[0].Usage = foresail.Usage{}
		}
		if i%3 == 2 {
			s.Late = []*foresail.Snapshot{used(i - 1)}
		}
		h.Add(s)
	}
	for i, s := range h.Seconds(2) {
		want := 0.5
		over := s.Services[0].CPUOver
		if i == 1 { // the last beat has not come yet
			want, over = 0.45, over+foresail.Beat
			if over != time.Second {
				t.Errorf("second %d: CPU over %v", i, s.Services[0].CPUOver)
			}
		} else if over != 0 {
			t.Errorf("second %d: CPU over %v", i, over)
		}
		if got := s.Services[0].CPU; got < want-1e-9 || got > want+1e-9 {
			t.Errorf("second %d: %v s of CPU, not %v", i, got, want)
		}
		if cores, _ := s.Services[0].Cores(time.Second); cores < 0.5-1e-9 || cores > 0.5+1e-9 {
			t.Errorf("second %d: %v cores", i, cores)
		}
	}
}
