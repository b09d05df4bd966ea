package source_test

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

var start = time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC)

// trace is a request of front, which calls back.
func trace(n uint64, at time.Time, took time.Duration) []foresail.Span {
	root := foresail.Span{Service: "front", Replica: "f1", Operation: "get", Kind: foresail.KindServer, Start: at, End: at.Add(took)}
	binary.BigEndian.PutUint64(root.Trace[:], n+1)
	root.ID[0] = 1
	client := root
	client.ID[0], client.Parent, client.Kind = 2, root.ID, foresail.KindClient
	server := client
	server.ID[0], server.Parent, server.Kind, server.Service, server.Replica = 3, client.ID, foresail.KindServer, "back", ""
	return []foresail.Span{server, root, client}
}

// Whatever the order of traces and however far apart in time, the snapshots are in order, don't overlap, and add up to the
// summary.
func TestSnapshotsAddUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		step := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 7 * time.Second, time.Minute}).Draw(t, "step")
		n := rapid.IntRange(0, 40).Draw(t, "n")
		end, front, calls, back, latencies := time.Time{}, 0.0, 0.0, 0.0, 0.0
		services := rapid.Bool().Draw(t, "services")
		told, ended := map[time.Time]float64{}, map[time.Time]float64{} // requests by the interval that they ended in
		c := source.NewCollector(source.Options{Name: "shop", Interval: step, Services: services, Snapshots: func(app *foresail.App, s *foresail.Snapshot) error {
			if s.Start.Before(end) || s.Duration() != step || app.Name != "shop" || app.Generation != s.Generation || s.Start.UnixNano()%int64(step) != 0 {
				t.Fatalf("from %v to %v after %v: %+v", s.Start, s.End, end, app)
			}
			end = s.End
			for _, d := range s.Shapes {
				if told[s.Start] += d.Requests; d.Form.Path(app, false) != "front(back)" || d.Pooled != 0 || d.Own[1].Count() != d.Requests {
					t.Fatalf("%s: %+v", d.Form.Path(app, true), d)
				}
			}
			for _, part := range append([]*foresail.Snapshot{s}, s.Late...) {
				for i := range part.Services {
					if n := len(part.Services[i].Replicas); services && n > 0 {
						t.Fatalf("%d replicas are told", n)
					}
					if app.Services[i].Name == "front" {
						front += part.Services[i].Completions
						latencies += part.Services[i].Latency.Sum()
					} else {
						back += part.Services[i].Completions
					}
				}
				for _, e := range part.Edges {
					calls += e.Calls
				}
			}
			return nil
		}})
		sum := 0.0
		for i := range n {
			far := rapid.SampledFrom([]time.Duration{0, time.Minute, 100 * time.Hour}).Draw(t, "far")
			took := time.Duration(rapid.Int64Range(1, int64(3*time.Second)).Draw(t, "took"))
			at := start.Add(far + time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "at")))
			sum += took.Seconds()
			end := at.Add(took).UnixNano()
			ended[time.Unix(0, end-end%int64(step)).UTC()]++
			if err := c.AddSpans(trace(uint64(i), at, took)); err != nil {
				t.Fatal(err)
			}
		}
		s, err := c.Finish()
		if err != nil {
			t.Fatal(err)
		}
		if front != float64(n) || back != float64(n) || calls != float64(n) || math.Abs(latencies-sum) > 1e-6 || s.Windows.Dropped.Total() != 0 {
			t.Fatalf("%g, %g requests and %g calls in snapshots, want %d; latencies %g, want %g; %+v", front, back, calls, n, latencies, sum, s.Windows)
		}
		if !maps.Equal(told, ended) || s.Shapes.Complete != uint64(n) {
			t.Fatalf("requests whose call graph is told %v, that ended %v: %+v", told, ended, s.Shapes)
		}
		for _, r := range s.Rows() {
			if r.Kind == "service" && (*r.Calls != float64(n) || *r.Spans%n != 0) {
				t.Fatalf("%+v", r)
			}
		}
		if n > 0 && (s.Traces != n || s.Spans != 3*n) {
			t.Fatalf("%d traces, %d spans", s.Traces, s.Spans)
		}
	})
}

// Spans and metrics don't go into one history.
func TestSpansOrMetrics(t *testing.T) {
	none := func(*foresail.App, *foresail.Snapshot) error { return nil }
	metric := &foresail.Snapshot{Start: start, End: start.Add(time.Minute), Services: make([]foresail.ServiceStats, 1)}
	app := &foresail.App{Services: []foresail.Service{{Name: "front"}}}
	c := source.NewCollector(source.Options{Snapshots: none})
	if err := errors.Join(c.AddSpans(trace(1, start, 1)), c.AddSnapshot(app, metric)); !errors.Is(err, source.ErrBoth) {
		t.Error(err)
	}
	c = source.NewCollector(source.Options{Snapshots: none})
	if err := errors.Join(c.AddSnapshot(app, metric), c.AddSpans(trace(1, start, 1))); !errors.Is(err, source.ErrBoth) {
		t.Error(err)
	}
	c = source.NewCollector(source.Options{})
	if err := errors.Join(c.AddSnapshot(app, metric), c.AddSpans(trace(1, start, 1))); err != nil {
		t.Error(err)
	}
}

func TestInferKinds(t *testing.T) {
	spans := trace(1, start, time.Second)
	want := map[byte]foresail.SpanKind{1: foresail.KindServer, 2: foresail.KindClient, 3: foresail.KindServer, 4: foresail.KindInternal}
	inner := spans[0]
	inner.ID[0], inner.Parent = 4, spans[0].ID
	spans = append(spans, inner)
	for i := range spans {
		spans[i].Kind = foresail.KindUnspecified
	}
	if n := source.InferKinds(spans); n != 4 {
		t.Errorf("%d inferred", n)
	}
	for _, s := range spans {
		if s.Kind != want[s.ID[0]] {
			t.Errorf("span %d is of kind %d, want %d", s.ID[0], s.Kind, want[s.ID[0]])
		}
	}
}

func BenchmarkCollector(b *testing.B) {
	b.ReportAllocs()
	c := source.NewCollector(source.Options{Snapshots: func(*foresail.App, *foresail.Snapshot) error { return nil }})
	for i := range b.N {
		if err := c.AddSpans(trace(uint64(i), start.Add(time.Duration(i)*time.Millisecond), time.Millisecond)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(3*float64(b.N)/b.Elapsed().Seconds(), "spans/s")
}
