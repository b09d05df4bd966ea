package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// An experiment with cluster: testbed is made of real processes, run after run; nothing of them is left.
func TestCompareOnTheTestbed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a testbed needs permission to make cgroups: run as root")
	}
	dir := t.TempDir()
	load, err := filepath.Abs("../../examples/loads/hotel-reservation/one.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "e.yaml")
	experiment := "experiment: real\ncluster: testbed\napplications: [{application: hotel-reservation, loads: [{load: " + load +
		", times: [40]}]}]\nmanagers: [autoscale-cons, static]\nseeds: [1]\nduration: 6s\nwarmup: 1s\n"
	if err := os.WriteFile(file, []byte(experiment), 0o600); err != nil {
		t.Fatal(err)
	}
	c := program(t, "compare", "-f", file, "--out", filepath.Join(dir, "out"), "--json")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var result struct {
		Rows []struct {
			Manager string
			Seeds   int
			Failure string
			Cores   float64 `json:"cores_mean"`
			Used    float64 `json:"cores_used_mean"`
			Changes float64 `json:"plan_changes"`
			Took    float64 `json:"decision_ms_p99"`
		}
		Detail struct{ Cluster string }
	}
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Rows) != 2 || result.Detail.Cluster != "testbed" {
		t.Fatalf("%s", out)
	}
	for _, r := range result.Rows {
		if r.Seeds != 1 || r.Failure != "" || r.Used <= 0 || r.Cores < r.Used || r.Took <= 0 {
			t.Errorf("%+v", r)
		}
	}
	if scaler, static := result.Rows[0], result.Rows[1]; scaler.Cores >= static.Cores || scaler.Changes == 0 || static.Changes != 0 {
		t.Errorf("a scaler held %v cores, and what never changes %v", scaler.Cores, static.Cores)
	}
	if left := (&daemon{cmd: c}).cgroups(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
