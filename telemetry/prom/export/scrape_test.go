package export_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"foresail.dev/internal/peers"
	"foresail.dev/telemetry/prom/export"
)

// A real Prometheus scrapes what is shown, takes latencies as native histograms, and finds nothing wrong with it.
func TestARealPrometheusScrapesIt(t *testing.T) {
	e := run(t, "hotel-reservation", "hpa", 20*time.Second, time.Minute, export.Config{Replicas: true}, nil)
	server := httptest.NewServer(e.Handler())
	defer server.Close()
	p := peers.Prometheus(t, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: foresail
    scrape_native_histograms: true
    static_configs: [{targets: [%q]}]
`, strings.TrimPrefix(server.URL, "http://")))
	ask := func(q string) (float64, bool) {
		resp, err := http.Get(p.URL + "/api/v1/query?query=" + url.QueryEscape(q))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var r struct {
			Data struct{ Result []struct{ Value [2]any } }
		}
		if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
			t.Fatal(err)
		}
		if len(r.Data.Result) == 0 {
			return 0, false
		}
		v, err := strconv.ParseFloat(r.Data.Result[0].Value[1].(string), 64)
		return v, err == nil
	}
	deadline := time.Now().Add(time.Minute)
	for { // it scrapes within a second or so
		if up, ok := ask("up"); ok && up == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it does not scrape: %s", p.Log())
		}
		time.Sleep(20 * time.Millisecond)
	}
	all := gather(t, e)
	want := 0.0
	for _, m := range all["foresail_endpoint_requests_total"].Metric {
		want += value(m)
	}
	for q, want := range map[string]float64{
		"sum(foresail_endpoint_requests_total)":                                                         want,
		"sum(histogram_count(foresail_endpoint_latency_seconds)) + sum(foresail_endpoint_errors_total)": want,
		"count(foresail_service_ready)":                                                                 float64(len(all["foresail_service_ready"].Metric)),
	} {
		if got, ok := ask(q); !ok || got != want {
			t.Errorf("%s is %g, not %g", q, got, want)
		}
	}
	if q, ok := ask("histogram_quantile(0.5, sum(foresail_endpoint_latency_seconds))"); !ok || q <= 0 || q > 1 {
		t.Errorf("the median is %g s", q)
	}
}
