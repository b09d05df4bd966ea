package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/doctor"
	"foresail.dev/internal/peers"
	"foresail.dev/telemetry/prom"
)

// A real Prometheus scrapes real processes, and Foresail manages them by what Prometheus says alone: it changes limits, and
// objectives are kept. Meanwhile the doctor names every service and every missing signal, and afterwards the past can be
// read back.
func TestRunFromPrometheusAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("runs for half a minute")
	}
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.json")
	server := peers.Prometheus(t, fmt.Sprintf(`
global: {scrape_interval: 1s}
scrape_configs:
  - job_name: testbed
    scrape_native_histograms: true
    file_sd_configs: [{files: [%q]}]
`, targets))
	load := filepath.Join(dir, "load.yaml")
	file := filepath.Join(dir, "foresail.yaml")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(load, "load: steady\ncurve:\n  - constant: 20\nmix: {search: 3, recommend: 1, user: 1, reserve: 1}\n")
	write(file, fmt.Sprintf(`
application: hotel-reservation
load: load.yaml
cluster: testbed
manager: autoscale-cons
listen: 127.0.0.1:0
testbed:
  metrics: {listen: "127.0.0.1:0", targets: targets.json}
telemetry:
  prometheus: {url: %s, interval: 2s}
`, server.URL))
	d := start(t, "run", "-f", file, "--duration", "24s", "--json")
	d.managed(60 * time.Second)
	// The doctor tells of the last interval. On a machine that is too busy a scrape of a service may be missing in it.
	var rows []doctor.Row
	var out []byte
	var err error
	wanted := []string{"memcached-rate", "samples are 1s apart", "native histogram", "missing pressure of all services", "can decide: static", "14 edges"}
	missing := wanted
	until(t, 20*time.Second, "a doctor who sees everything that is there", func() bool {
		if rows = examined(t, server.URL); len(rows) < 15 {
			return false
		}
		out, err = program(t, "doctor", "--prometheus", server.URL, "-f", "hotel-reservation").CombinedOutput()
		missing = slices.DeleteFunc(slices.Clone(wanted), func(w string) bool { return strings.Contains(string(out), w) })
		return err == nil && len(missing) == 0
	}, func() string {
		return fmt.Sprintf("%d services have all; no word of %q (%v) in\n%s", len(rows), missing, err, out)
	})
	for _, row := range rows {
		if row.Missing != "disk, pressure" || row.CPU != "cadvisor" || row.Requests != "otel" || row.Latency != "otel" || row.Allocation != "kube-state" {
			t.Errorf("%+v", row)
		}
	}
	if out, err := program(t, "doctor", "--prometheus", server.URL, "-f", "train-ticket").CombinedOutput(); exitOf(err) != "1" || !strings.Contains(string(out), "nothing usable") {
		t.Errorf("%v of an application that is not there:\n%s", err, out)
	}
	reader := reading(t, server.URL) // while it runs: of what is gone Prometheus has a past, and nothing that shows what there is
	if code := d.end(60 * time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, d.stderr())
	}
	var res struct {
		Rows []struct {
			Endpoint   string   `json:"endpoint"`
			Requests   float64  `json:"requests"`
			Violations *float64 `json:"violation_share"`
			Observed   float64  `json:"observed_s"`
			Objective  float64  `json:"objective_ms"`
		} `json:"rows"`
		Detail bedDetail `json:"detail"`
	}
	if err := json.Unmarshal(d.out.Bytes(), &res); err != nil {
		t.Fatal(err)
	}
	if len(res.Detail.Writes) == 0 || res.Detail.Spans.Received != 0 {
		t.Errorf("%d limits were written, %d spans received", len(res.Detail.Writes), res.Detail.Spans.Received)
	}
	seen := 0.0
	for _, r := range res.Rows {
		seen += r.Requests
		if r.Violations == nil || *r.Violations == 0 {
			continue
		}
		for _, c := range res.Detail.Clients { // on a machine that is too busy, users say so as well
			if c.Endpoint == r.Endpoint && (c.P99 == nil || *c.P99 < r.Objective) {
				t.Errorf("%s missed its objective in %.0f %% of the windows, though users saw a 99th percentile of %v ms", r.Endpoint, 100**r.Violations, cli.Opt("%.1f", c.P99))
			}
		}
	}
	sent := int64(0)
	for _, c := range res.Detail.Clients {
		sent += c.Sent
	}
	if seen < 150 || seen > float64(sent) {
		t.Errorf("Prometheus told of %v requests in %v s; users sent %d", seen, res.Rows[0].Observed, sent)
	}
	t.Log(d.stderr())
	past(t, reader, seen)
}

// examined is what the doctor says of services that have requests.
func examined(t *testing.T, url string) []doctor.Row {
	t.Helper()
	out, err := program(t, "doctor", "--prometheus", url, "-f", "hotel-reservation", "--json").Output()
	if err != nil {
		return nil
	}
	var res struct {
		Rows []doctor.Row `json:"rows"`
	}
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatal(err)
	}
	var full []doctor.Row
	for _, r := range res.Rows {
		if r.Requests != "" && r.Latency != "" && r.CPU != "" && r.Network != "" {
			full = append(full, r)
		}
	}
	return full
}

// reading opens a Prometheus.
func reading(t *testing.T, url string) *prom.Source {
	t.Helper()
	b, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	source, err := prom.Open(t.Context(), prom.Config{Access: prom.Access{URL: url}, App: b.App, Interval: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// past reads back what happened, and finds the requests of the run.
func past(t *testing.T, source *prom.Source, requests float64) {
	t.Helper()
	got, err := source.Past(t.Context(), prom.Past{Needs: foresail.Needs{Seconds: 120}, Limit: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	all := foresail.Merge(got...)
	sum := 0.0
	for _, e := range all.Endpoints {
		sum += e.Requests
	}
	if sum < requests {
		t.Errorf("the past has %v requests, the run had %v", sum, requests)
	}
}
