package shapes_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/shapes"
)

// recordedSpans are traces of the social network, as the simulator tells them.
func recordedSpans(b *testing.B) (app *foresail.App, traces [][]foresail.Span, spans int) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		b.Fatal(err)
	}
	simulate(b, bp, 1, 200, 20, 1, func(s []foresail.Span) {
		traces = append(traces, s)
		spans += len(s)
	})
	return bp.App, traces, spans
}

// Whole traces, as the simulator hands them over, with a cut each second of 1,000 requests.
func BenchmarkTrace(b *testing.B) {
	app, traces, spans := recordedSpans(b)
	c := shapes.New(app, shapes.Options{})
	for i := range traces {
		c.Trace(traces[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	n := 0
	for i := range b.N {
		c.Trace(traces[i%len(traces)])
		n += len(traces[i%len(traces)])
		if i%1000 == 0 {
			c.Cut(start.Add(time.Duration(i/1000) * time.Second))
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(float64(spans)/float64(len(traces)), "spans/op")
}

// Spans as they are received: mixed, in batches of 500, 1,000 requests a second.
func BenchmarkBatches(b *testing.B) {
	app, traces, _ := recordedSpans(b)
	c := shapes.New(app, shapes.Options{})
	rng := rand.New(rand.NewPCG(1, 1))
	now, n := start, 0
	batch := telemetry.Batch{}
	senders := map[string]int{}
	var mixed []foresail.Span
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		b.StopTimer()
		if len(mixed) < 500 {
			for range 200 {
				t := traces[rng.IntN(len(traces))]
				id := foresail.TraceID{}
				for k := range id {
					id[k] = byte(rng.Uint32())
				}
				at := len(mixed)
				mixed = append(mixed, t...)
				for k := range t {
					mixed[at+k].Trace = id
				}
			}
			rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		}
		for k := range batch.Senders {
			batch.Senders[k].Spans = batch.Senders[k].Spans[:0]
		}
		for _, s := range mixed[:500] {
			k, ok := senders[s.Service]
			if !ok {
				k = len(batch.Senders)
				senders[s.Service] = k
				batch.Senders = append(batch.Senders, telemetry.Sender{Service: s.Service})
			}
			batch.Senders[k].Spans = append(batch.Senders[k].Spans, telemetry.Record{Trace: s.Trace, ID: s.ID, Parent: s.Parent, Name: s.Operation,
				Start: s.Start.UnixNano(), End: s.End.UnixNano(), Kind: s.Kind})
		}
		mixed = mixed[500:]
		now = now.Add(28 * time.Millisecond)
		b.StartTimer()
		c.AddBatch(now, &batch)
		n += 500
		if i%36 == 0 {
			c.Cut(now)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "spans/s")
	if s := c.Stats(); b.N > 1000 && s.Complete < uint64(b.N) {
		b.Errorf("%+v", s)
	}
}
