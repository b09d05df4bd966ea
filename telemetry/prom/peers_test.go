package prom

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/internal/peers"
)

// A real VictoriaMetrics is read as Prometheus is: classic histograms and its own, counters and gauges, up to the last
// second, and its past.
func TestVictoriaMetrics(t *testing.T) {
	server := peers.VictoriaMetrics(t)
	now := time.Now()
	var b strings.Builder
	for s := -120; s <= 30; s++ {
		n, at := float64(s+120), now.Add(time.Duration(s)*time.Second).UnixMilli()
		line := func(series string, v float64) { fmt.Fprintf(&b, "%s %g %d\n", series, v, at) }
		line(`http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_route="/look",le="0.05"}`, 8*n)
		line(`http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_route="/look",le="0.1"}`, 9*n)
		line(`http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_route="/look",le="+Inf"}`, 10*n)
		line(`http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",vmrange="1.000e-01...1.136e-01"}`, 4*n)
		line(`http_server_request_duration_seconds_sum{service_name="cart",pod="cart-0"}`, 0.44*n)
		line(`container_cpu_usage_seconds_total{container="front",pod="front-0"}`, 0.5*n)
		line(`container_memory_working_set_bytes{container="front",pod="front-0"}`, 1e6)
	}
	for _, path := range []string{"/api/v1/import/prometheus", "/internal/force_flush"} {
		resp, err := http.Post(server.URL+path, "text/plain", strings.NewReader(b.String()))
		if err != nil || resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %v, %v\n%s", path, err, resp, server.Log())
		}
		_ = resp.Body.Close()
	}
	src, err := Open(t.Context(), Config{Access: Access{URL: server.URL}, App: shop(), Interval: 2 * time.Second, Log: func(m string) { t.Log(m) }})
	if err != nil {
		t.Fatal(err)
	}
	if src.setup.scrape != time.Second {
		t.Errorf("scraped each %v", src.setup.scrape)
	}
	got, err := src.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, s *foresail.Snapshot) {
		t.Helper()
		sec := s.Duration().Seconds()
		front, cart := &s.Services[0], &s.Services[1]
		near(t, what+": front's requests", front.Completions, 10*sec)
		near(t, what+": front's CPU", front.CPU, 0.5*sec)
		near(t, what+": cart's requests", cart.Completions, 4*sec)
		near(t, what+": looked", s.Endpoints[1].Requests, 10*sec)
		if front.Memory != 1e6 {
			t.Errorf("%s: memory %d", what, front.Memory)
		}
		if q := cart.Latency.Quantile(0.5); q < 0.1 || q > 0.1136*1.05 || cart.Latency.Mean() < 0.1 || cart.Latency.Mean() > 0.1136 {
			t.Errorf("%s: cart's median %v, mean %v", what, q, cart.Latency.Mean())
		}
		if q := front.Latency.Quantile(0.85); q < 0.05 || q > 0.1 {
			t.Errorf("%s: front's 85th percentile %v", what, q)
		}
	}
	check("now", got)
	if age := time.Since(got.End); age > 3*time.Second {
		t.Errorf("the newest interval ended %v ago", age)
	}
	past, err := src.Past(t.Context(), Past{Needs: foresail.Needs{Seconds: 90}, Limit: time.Hour})
	if err != nil || len(past) < 40 {
		t.Fatalf("%d snapshots, %v", len(past), err)
	}
	check("the past", foresail.Merge(past[5:]...))
	report, err := Examine(t.Context(), Config{Access: Access{URL: server.URL}, App: shop(), Interval: 2 * time.Second})
	if err != nil || report.Services[0].Missing.Has(foresail.SignalCPU) || report.Services[1].Giver(foresail.SignalLatency) != "otel" {
		t.Errorf("%+v, %v", report, err)
	}
}
