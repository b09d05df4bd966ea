package write_test

import (
	"net/http"
	"testing"

	"foresail.dev/telemetry/prom/write"
)

// A request of 2,000 samples, half of them histograms: encoded and compressed, to a server that takes it at once.
func BenchmarkSend(b *testing.B) {
	var samples []write.Sample
	for i := range int64(1000) {
		samples = append(samples, counter("a_total", i, float64(i)), latency(i))
	}
	for _, p := range []write.Protocol{write.V1, write.V2} {
		b.Run(string(p), func(b *testing.B) {
			c, err := write.New(write.Config{URL: "http://mimir/push", Protocol: p, Client: &http.Client{Transport: answers(func(r *http.Request) *http.Response {
				return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{"X-Prometheus-Remote-Write-Samples-Written": {"1000"}}, Body: http.NoBody, Request: r}
			})}})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := c.Send(b.Context(), samples); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(len(samples)*b.N)/b.Elapsed().Seconds(), "samples/s")
		})
	}
}
