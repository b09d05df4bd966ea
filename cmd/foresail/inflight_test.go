package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// With otlp.in_flight the replicas of a testbed report their requests as they begin, whatever the shards, and every request
// is counted once.
func TestReplicasReportInFlight(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a testbed needs permission to make cgroups: run as root")
	}
	dir := t.TempDir()
	load, err := filepath.Abs("../../examples/loads/gentle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := "application: hotel-reservation\nload: " + load + "\ncluster: testbed\nmode: observe\nlisten: 127.0.0.1:0\n" +
		"otlp: {grpc: 127.0.0.1:0, http: 127.0.0.1:0, in_flight: true, shards: 3, memory: 64MiB}\n"
	file := filepath.Join(dir, "run.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := program(t, "run", "-f", file, "--duration", "3s", "--json").Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var result struct {
		Detail struct {
			Spans struct {
				Received, Assembled, Reports uint64
				Dropped                      uint64 `json:"reports_dropped"`
			}
		}
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	if s := result.Detail.Spans; s.Reports < 17 || s.Dropped > 0 || s.Received == 0 || s.Assembled != s.Received {
		t.Errorf("%+v", s)
	}
}
