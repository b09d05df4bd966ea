package telemetry_test

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
)

// What a beat costs beside its spans: 36 services of three replicas that call each other, taken from one assembler, put into
// another and cut there; and the same cut where the spans came.
func BenchmarkBeat(b *testing.B) {
	app := &foresail.App{Name: "bench"}
	for i := range 36 {
		app.Services = append(app.Services, foresail.Service{Name: fmt.Sprintf("service-%02d", i)})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "e", Operation: "op"}}
	var spans []foresail.Span
	for i := range 108 * 20 {
		s := foresail.Span{Trace: traceID(uint64(i/36 + 1)), ID: spanID(uint64(i + 1)), Parent: spanID(uint64(i)), Service: app.Services[i%36].Name, Replica: fmt.Sprint(i % 108),
			Operation: "op", Kind: foresail.KindServer, Start: epoch, End: epoch.Add(time.Duration(1+i%30) * time.Millisecond)}
		spans = append(spans, s)
	}
	for _, how := range []string{"cut", "take", "add and cut"} {
		b.Run(how, func(b *testing.B) {
			b.ReportAllocs()
			var p Part
			for b.Loop() {
				b.StopTimer()
				from, to := NewShards(app, Options{Start: epoch, Parts: how != "cut", MaxSpans: 1 << 14}, 1), NewShards(app, Options{Start: epoch, MaxSpans: 1 << 14}, 1)
				from.AddBatch(time.Time{}, BatchOf(spans))
				switch how {
				case "cut":
					b.StartTimer()
					from.Cut(beat(1))
				case "take":
					b.StartTimer()
					from.Take(beat(1), beat(1), &p)
				default:
					from.Take(beat(1), beat(1), &p)
					b.StartTimer()
					to.AddPart(beat(0), &p)
					to.Cut(beat(1))
				}
			}
		})
	}
}
