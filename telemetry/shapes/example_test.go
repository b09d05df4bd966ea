package shapes_test

import (
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/shapes"
)

// A shop asks for prices and stock at once, and pays when both are known.
func Example() {
	app := &foresail.App{Services: []foresail.Service{{Name: "shop"}, {Name: "prices"}, {Name: "stock"}, {Name: "pay"}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Entry: 0, Operation: "buy"}}}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	span := func(id, parent byte, service, operation string, from, to time.Duration) foresail.Span {
		return foresail.Span{Trace: foresail.TraceID{1}, ID: foresail.SpanID{7: id}, Parent: foresail.SpanID{7: parent}, Service: service,
			Operation: operation, Kind: foresail.KindServer, Start: at.Add(from * time.Millisecond), End: at.Add(to * time.Millisecond)}
	}
	c := shapes.New(app, shapes.Options{})
	c.Add(at, []foresail.Span{
		span(1, 0, "shop", "buy", 0, 100),
		span(2, 1, "prices", "get", 10, 40),
		span(3, 1, "stock", "get", 10, 50),
		span(4, 1, "pay", "charge", 60, 90),
	})
	for _, s := range c.Cut(at.Add(10 * time.Second)) {
		fmt.Println(s.Form.Key(), s.Requests)
		for i, v := range s.Form.Visits {
			fmt.Printf("%s %.0f ms\n", app.Services[v.Service].Name, s.Own[i].Sum()*1000)
		}
	}
	// Output:
	// 0:0."buy"(1."get"|2."get";3."charge") 1
	// shop 30 ms
	// prices 30 ms
	// stock 40 ms
	// pay 30 ms
}
