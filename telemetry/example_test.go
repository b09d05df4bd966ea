package telemetry_test

import (
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
)

// A caller's span and the callee's, of one beat.
func ExampleAssembler() {
	app := &foresail.App{Services: []foresail.Service{{Name: "front"}, {Name: "cart"}}}
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	a := telemetry.NewAssembler(app, telemetry.Options{Start: start})

	trace := foresail.TraceID{1}
	a.Add([]foresail.Span{
		{Trace: trace, ID: foresail.SpanID{2}, Parent: foresail.SpanID{1}, Service: "cart", Kind: foresail.KindServer,
			Start: start.Add(10 * time.Millisecond), End: start.Add(30 * time.Millisecond)},
		{Trace: trace, ID: foresail.SpanID{1}, Service: "front", Kind: foresail.KindServer,
			Start: start, End: start.Add(50 * time.Millisecond)},
	})

	s := a.Cut(start.Add(foresail.Beat))
	for i := range s.Services {
		u := &s.Services[i]
		fmt.Printf("%s: %g requests, %.1f in flight\n", app.Services[i].Name, u.Completions, u.InFlight.Mean)
	}
	for _, e := range s.Edges {
		fmt.Printf("%s calls %s %g times\n", app.Services[e.From].Name, app.Services[e.To].Name, e.Calls)
	}
	// Output:
	// front: 1 requests, 0.5 in flight
	// cart: 1 requests, 0.2 in flight
	// front calls cart 1 times
}
