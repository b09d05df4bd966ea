// Package instrument counts the requests that a process has accepted and not answered, per endpoint, as they start, and
// reports them to Foresail each 100 ms. Spans tell of a request when it has ended, so they show a queue only once it is
// over; this shows it while it grows.
//
//	in, err := instrument.New(instrument.Config{Service: "cart"})
//	if err != nil { … }
//	defer in.Close()
//	http.ListenAndServe(":8080", in.Handler(mux))
//	client := &http.Client{Transport: in.RoundTripper(nil)}
//
// Package instrumentgrpc has interceptors for gRPC. Anything else counts with Server or Client, Begin and End.
//
// # Cost
//
// A request costs two readings of the clock and three atomic additions, in a counter that is spread over the cores, and
// no allocation but the one that Handler needs to see the answer's status. Reports are made and sent by goroutines of
// their own: a receiver that is slow or gone delays no request, and a report that can't be sent is dropped and counted.
//
// # What is reported
//
// OTLP metrics over HTTP (POST /v1/metrics), so that any receiver of OpenTelemetry can read them;
// docs/formats/instrument.md of Foresail lists them. Beats are aligned to the clock. Last and mean are exact; the largest
// number is that of ten readings a beat, but for the first beat after an idle one, which is read once. While a process has nothing in flight and nothing arrives, it reports once a
// second. Counters are cumulative, so a report that was lost loses gauges alone.
//
// Names of endpoints are bounded (Config.MaxEndpoints); those that come when there is no more room count as "other".
package instrument
