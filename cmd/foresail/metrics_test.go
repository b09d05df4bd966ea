package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/exp/api/remote"
	writev2 "github.com/prometheus/prometheus/prompb/io/prometheus/write/v2"
)

// A run shows its metrics beside the page, sends them where it is told, with the password that a file holds, and sends the rest
// when it ends.
func TestMetricsAreServedAndSent(t *testing.T) {
	sink := &sink{names: map[string]bool{}}
	handler := remote.NewWriteHandler(sink, remote.MessageTypes{remote.WriteV2MessageType})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != "me" || p != "s3cret" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file("pw", "s3cret\n")
	file("l.yaml", "load: steady\ncurve:\n  - constant: 20\n")
	run := file("run.yaml", fmt.Sprintf(`application: online-boutique
load: l.yaml
listen: 127.0.0.1:0
duration: 4s
metrics: {replicas: true}
remote_write:
  - {url: "%s/push", every: 1h, labels: {cluster: here}, basic_auth: {username: me, password_file: pw}}
`, server.URL))
	d := start(t, "run", "-f", run)
	text := ""
	until(t, 10*time.Second, "a request on /metrics", func() bool {
		text = d.get("/metrics")
		return strings.Contains(text, "foresail_endpoint_requests_total{")
	})
	for _, want := range []string{"foresail_endpoint_requests_total{", "foresail_replica_ready{", "foresail_build_info{", "foresail_objective_latency_seconds{",
		`foresail_remote_write_samples_total{outcome="refused",target="` + server.URL + `/push"} 0`, "go_memstats", "process_resident_memory_bytes"} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics has no %s", want)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Error("/metrics has the password")
	}
	if code := d.end(20 * time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, d.stderr())
	}
	sink.mu.Lock()
	defer sink.mu.Unlock()
	if !sink.names["foresail_endpoint_latency_seconds"] || !sink.names["foresail_manager_info"] || !sink.labelled {
		t.Errorf("sent: %v, with the label: %v", sink.names, sink.labelled)
	}
}

func (d *daemon) get(path string) string {
	d.t.Helper()
	r, err := http.Get(d.url + path)
	if err != nil {
		d.t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		d.t.Fatalf("%s: %s: %v", path, r.Status, err)
	}
	return string(b)
}

// sink remembers which names it was sent.
type sink struct {
	mu       sync.Mutex
	names    map[string]bool
	labelled bool // every series has cluster="here"
}

// Store keeps the names.
func (s *sink) Store(r *http.Request, _ remote.WriteMessageType) (*remote.WriteResponse, error) {
	out := remote.NewWriteResponse()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return out, err
	}
	var req writev2.Request
	if err := req.Unmarshal(body); err != nil {
		return out, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labelled = true
	for _, ts := range req.Timeseries {
		labels := map[string]string{}
		for i := 0; i+1 < len(ts.LabelsRefs); i += 2 {
			labels[req.Symbols[ts.LabelsRefs[i]]] = req.Symbols[ts.LabelsRefs[i+1]]
		}
		s.names[labels["__name__"]] = true
		s.labelled = s.labelled && labels["cluster"] == "here"
		out.Samples += len(ts.Samples)
		out.Histograms += len(ts.Histograms)
	}
	return out, nil
}
