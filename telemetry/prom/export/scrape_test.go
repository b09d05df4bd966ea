package export_test

import (
	"context"
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
	"foresail.dev/telemetry/prom/write"
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
	ask := func(q string) (float64, bool) { return ask(t, p.URL, q) }
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

// ask gives the first number of an instant query's answer.
func ask(t *testing.T, server, q string) (float64, bool) {
	t.Helper()
	at := strconv.FormatInt(time.Now().Unix()+2, 10) // VictoriaMetrics rounds a moment down
	resp, err := http.Get(server + "/api/v1/query?nocache=1&time=" + at + "&query=" + url.QueryEscape(q))
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

// Both real servers take what is pushed, each by the protocol that it knows, and count what was counted.
func TestRealServersTakeWhatIsPushed(t *testing.T) {
	e := run(t, "hotel-reservation", "hpa", 10*time.Second, time.Minute, export.Config{}, nil)
	want := 0.0
	for _, m := range gather(t, e)["foresail_endpoint_requests_total"].Metric {
		want += value(m)
	}
	for name, s := range map[string]struct {
		url      string
		protocol write.Protocol
	}{
		"Prometheus":      {peers.Prometheus(t, "").URL, write.V2},
		"VictoriaMetrics": {peers.VictoriaMetrics(t, "-search.latencyOffset=0s").URL, write.V1},
	} {
		c, err := write.New(write.Config{URL: s.url + "/api/v1/write", Meta: export.Meta})
		if err != nil {
			t.Fatal(err)
		}
		q := write.NewQueue(c, 0, func(err error) { t.Errorf("%s: %v", name, err) })
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // once, and done
		write.Push(ctx, e.Gatherer(), q, time.Hour, map[string]string{"job": "pushed"}, func(err error) { t.Errorf("%s: %v", name, err) })
		if err := q.Close(t.Context()); err != nil {
			t.Fatal(name, err)
		}
		if st := q.Stats(); st.Protocol != s.protocol || st.Sent == 0 || st.Refused > 0 {
			t.Errorf("%s: %+v", name, st)
		}
		http.Get(s.url + "/internal/force_flush") // of VictoriaMetrics
		if got, ok := ask(t, s.url, `sum(foresail_endpoint_requests_total{job="pushed"})`); !ok || got != want {
			t.Errorf("%s: %g requests, not %g", name, got, want)
		}
		count := `sum(histogram_count(foresail_endpoint_latency_seconds))`
		if name == "VictoriaMetrics" {
			count = `sum(foresail_endpoint_latency_seconds_bucket{vmrange!=""})`
		}
		if got, ok := ask(t, s.url, count+" + sum(foresail_endpoint_errors_total)"); !ok || got != want {
			t.Errorf("%s: %g latencies and errors, not %g", name, got, want)
		}
	}
}
