package telemetry_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sort"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func testApp() *foresail.App {
	return &foresail.App{
		Name:     "shop",
		Services: []foresail.Service{{Name: "front"}, {Name: "cart"}, {Name: "db"}},
		Endpoints: []foresail.Endpoint{
			{Name: "buy", Entry: 0, Operation: "POST /buy", Objective: &foresail.Objective{Percentile: 99, Latency: 20 * time.Millisecond}},
			{Name: "look", Entry: 0, Operation: "GET /look"},
		},
	}
}

func spanID(n uint64) (id foresail.SpanID)   { binary.BigEndian.PutUint64(id[:], n); return }
func traceID(n uint64) (id foresail.TraceID) { binary.BigEndian.PutUint64(id[8:], n); return }

// total adds up what snapshots and their late additions tell, by name.
type total struct {
	counts map[string]float64
	lat    map[string]*sketch.Sketch
}

func (t *total) add(key string, v float64) {
	if v != 0 {
		t.counts[key] += v
	}
}

func (t *total) latency(key string, s *sketch.Sketch) {
	if s.Count() == 0 {
		return
	}
	if t.lat[key] == nil {
		t.lat[key] = sketch.New()
	}
	t.lat[key].Merge(s)
}

func (t *total) snapshot(app *foresail.App, s *foresail.Snapshot) {
	for i := range s.Services {
		name := app.Services[i].Name
		t.usage(name, &s.Services[i].Usage, s.Duration())
		for j := range s.Services[i].Replicas {
			r := &s.Services[i].Replicas[j]
			t.usage(name+"/"+r.Name, &r.Usage, s.Duration())
		}
	}
	for i := range s.Endpoints {
		e, name := &s.Endpoints[i], "endpoint "+app.Endpoints[i].Name
		t.add(name+" arrivals", e.Arrivals)
		t.add(name+" requests", e.Requests)
		t.add(name+" errors", e.Errors)
		t.add(name+" late", e.Late)
		t.latency(name, e.Latency)
	}
	for _, e := range s.Edges {
		name := app.Services[e.From].Name + "→" + app.Services[e.To].Name
		t.add(name+" calls", e.Calls)
		t.add(name+" errors", e.Errors)
		t.latency(name, e.Latency)
	}
	for _, late := range s.Late {
		t.snapshot(app, late)
	}
}

func (t *total) usage(name string, u *foresail.Usage, d time.Duration) {
	t.add(name+" arrivals", u.Arrivals)
	t.add(name+" completions", u.Completions)
	t.add(name+" errors", u.Errors)
	t.add(name+" busy", u.InFlight.Mean*d.Seconds())
	t.latency(name, u.Latency)
}

func newTotal() *total { return &total{map[string]float64{}, map[string]*sketch.Sketch{}} }

func (t *total) compare(tb rapid.TB, want *total) {
	tb.Helper()
	keys := map[string]bool{}
	for k := range t.counts {
		keys[k] = true
	}
	for k := range want.counts {
		keys[k] = true
	}
	for k := range keys {
		if got, w := t.counts[k], want.counts[k]; math.Abs(got-w) > 1e-6*math.Max(1, math.Abs(w)) {
			tb.Fatalf("%s: %g, want %g", k, got, w)
		}
	}
	for k, w := range want.lat {
		got := t.lat[k]
		if got == nil || !sameBuckets(got, w) || !sameBuckets(w, got) {
			tb.Fatalf("%s: latencies %+v, want %+v", k, got, w)
		}
	}
	for k := range t.lat {
		if want.lat[k] == nil {
			tb.Fatalf("%s: a latency where there should be none", k)
		}
	}
}

// sameBuckets tells whether every bucket of x has the same count in y.
func sameBuckets(x, y *sketch.Sketch) bool {
	counts := map[int]float64{}
	for i, n := range y.Buckets() {
		counts[i] = n
	}
	for i, n := range x.Buckets() {
		if math.Abs(counts[i]-n) > 1e-6 {
			return false
		}
	}
	return math.Abs(x.Zero()-y.Zero()) < 1e-6 && math.Abs(x.Sum()-y.Sum()) < 1e-6
}

// oracle recounts a list of spans from scratch, straight from the definitions in the package comment.
func oracle(app *foresail.App, spans []foresail.Span) *total {
	type key struct {
		t foresail.TraceID
		s foresail.SpanID
	}
	seen := map[key]*foresail.Span{}
	var list []*foresail.Span
	for i := range spans {
		k := key{spans[i].Trace, spans[i].ID}
		if seen[k] == nil {
			seen[k] = &spans[i]
			list = append(list, &spans[i])
		}
	}
	out := newTotal()
	for _, s := range list {
		id, known := app.ServiceByName(s.Service)
		if !known {
			continue
		}
		parent := seen[key{s.Trace, s.Parent}]
		root := s.Parent == foresail.SpanID{}
		switch s.Kind {
		case foresail.KindServer, foresail.KindConsumer:
		case foresail.KindUnspecified:
			if !root && (parent == nil || parent.Service == s.Service) {
				continue
			}
		default:
			continue
		}
		w := s.Weight
		if w == 0 {
			w = 1
		}
		start := s.Start
		if s.End.Before(start) {
			start = s.End
		}
		d := s.End.Sub(start)
		one := sketch.New()
		one.AddN(d.Seconds(), w)
		failed := 0.0
		if s.Failed {
			failed = w
		}
		names := []string{s.Service}
		if s.Replica != "" {
			names = append(names, s.Service+"/"+s.Replica)
		}
		for _, name := range names {
			out.add(name+" arrivals", w)
			out.add(name+" completions", w)
			out.add(name+" errors", failed)
			out.add(name+" busy", d.Seconds()*w)
			if !s.Failed {
				out.latency(name, one)
			}
		}
		for i := range app.Endpoints {
			e := &app.Endpoints[i]
			if e.Entry != id || e.Operation != s.Operation {
				continue
			}
			name := "endpoint " + e.Name
			out.add(name+" arrivals", w)
			out.add(name+" requests", w)
			out.add(name+" errors", failed)
			if e.Objective != nil && (s.Failed || d > e.Objective.Latency) {
				out.add(name+" late", w)
			}
			if !s.Failed {
				out.latency(name, one)
			}
		}
		if parent == nil || root {
			continue
		}
		if _, ok := app.ServiceByName(parent.Service); !ok {
			continue
		}
		if parent.Service == s.Service && parent.Kind != foresail.KindClient && parent.Kind != foresail.KindProducer {
			continue
		}
		name := parent.Service + "→" + s.Service
		out.add(name+" calls", w)
		out.add(name+" errors", failed)
		if !s.Failed {
			out.latency(name, one)
		}
	}
	return out
}

// randomSpans draws traces whose spans end within three seconds of epoch.
func randomSpans(t *rapid.T) []foresail.Span {
	services := []string{"front", "cart", "db", "elsewhere"}
	ops := []string{"POST /buy", "GET /look", "get"}
	var spans []foresail.Span
	for tr := range rapid.IntRange(1, 8).Draw(t, "traces") {
		n := rapid.IntRange(1, 8).Draw(t, "spans")
		for i := range n {
			s := foresail.Span{
				Trace: traceID(uint64(tr + 1)), ID: spanID(uint64(i + 1)),
				Service:   rapid.SampledFrom(services).Draw(t, "service"),
				Replica:   rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "replica"),
				Operation: rapid.SampledFrom(ops).Draw(t, "op"),
				Kind:      foresail.SpanKind(rapid.IntRange(0, 5).Draw(t, "kind")),
				Failed:    rapid.IntRange(0, 4).Draw(t, "failed") == 0,
				Weight:    rapid.SampledFrom([]float64{0, 1, 2.5, 8, 1 / 0.3}).Draw(t, "weight"),
			}
			s.End = epoch.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "end")))
			s.Start = s.End.Add(-time.Duration(rapid.Int64Range(-int64(50*time.Millisecond), int64(400*time.Millisecond)).Draw(t, "duration")))
			if i > 0 && rapid.IntRange(0, 9).Draw(t, "parent") > 0 {
				s.Parent = spanID(uint64(rapid.IntRange(1, n+1).Draw(t, "of"))) // also of later spans, itself, or one that never comes
			}
			spans = append(spans, s)
		}
	}
	return spans
}

// In whatever order, batches and intervals spans come, and however often, the counters of all snapshots and their late
// additions together are those of the list of spans.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := testApp()
		spans := randomSpans(t)
		want := oracle(app, spans)
		order := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		sent := append([]foresail.Span(nil), spans...)
		for range rapid.IntRange(0, 5).Draw(t, "duplicates") {
			sent = append(sent, spans[order.IntN(len(spans))])
		}
		order.Shuffle(len(sent), func(i, j int) { sent[i], sent[j] = sent[j], sent[i] })

		a := NewAssembler(app, Options{Start: epoch.Add(-time.Second)})
		got := newTotal()
		end := epoch.Add(-time.Second)
		for len(sent) > 0 {
			n := min(rapid.IntRange(1, 10).Draw(t, "batch"), len(sent))
			a.Add(sent[:n])
			sent = sent[n:]
			for range rapid.IntRange(0, 1).Draw(t, "cuts") {
				end = end.Add(time.Duration(rapid.IntRange(1, 3).Draw(t, "beats")) * foresail.Beat)
				if end.Before(epoch.Add(3 * time.Second)) {
					cut(t, a, got, end)
				}
			}
		}
		for end = epoch.Add(3 * time.Second); !end.After(epoch.Add(20 * time.Second)); end = end.Add(foresail.Beat) {
			cut(t, a, got, end)
		}
		got.compare(t, want)
		s := a.Stats()
		if s.Received != s.Assembled+s.Outside+s.Duplicate+s.Waiting+s.Dropped.Total() {
			t.Fatalf("spans received are not those accounted for: %+v", s)
		}
		if d := s.Dropped; d.Total() != d.Orphan {
			t.Fatalf("dropped %+v, though nothing was late or over a limit", d)
		}
	})
}

func cut(t rapid.TB, a *Assembler, got *total, end time.Time) {
	s := a.Cut(end)
	if s == nil {
		return
	}
	if !sort.SliceIsSorted(s.Late, func(i, j int) bool { return s.Late[i].Start.Before(s.Late[j].Start) }) {
		t.Fatalf("late additions are not in order")
	}
	for _, l := range s.Late {
		if s.End.Sub(l.End) > foresail.RevisionLimit {
			t.Fatalf("an addition %s old", s.End.Sub(l.End))
		}
	}
	for _, s := range append(s.Late, s) {
		for i := range s.Services {
			if g := s.Services[i].InFlight; g.Last < 0 || g.Mean < 0 || g.Max < g.Last || g.Max < g.Mean {
				t.Fatalf("in flight %+v", g)
			}
		}
	}
	got.snapshot(a.App(), s)
}
