package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/internal/peers"
)

// A run keeps its history in a real Prometheus, which is read as a store on disk is; the next run goes on where it ended.
func TestRemoteHistory(t *testing.T) {
	p := peers.Prometheus(t, "")
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("l.yaml", "load: steady\ncurve:\n  - constant: 20\n")
	run := write("run.yaml", fmt.Sprintf(`application: online-boutique
load: l.yaml
listen: 127.0.0.1:0
duration: 3s
remote_history: {write_url: %[1]s/api/v1/write, url: %[1]s, since: 1h}
`, p.URL))
	for range 2 {
		if d := start(t, "run", "-f", run); d.end(30*time.Second) != 0 || strings.Contains(d.stderr(), "remote history") {
			t.Fatalf("%s\n%s", d.stderr(), p.Log())
		}
	}
	out, err := program(t, "history", "query", "-f", run, "--from", "oldest", "--step", "0", "--level", "service", "--service", "frontend", "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var r struct{ Rows []map[string]any }
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 6 {
		t.Errorf("%d seconds of two runs of 3 s: %s", len(r.Rows), out)
	}
	bad := program(t, "history", "query", "-f", run, "-d", dir)
	if msg, err := bad.CombinedOutput(); err == nil || bad.ProcessState.ExitCode() != 2 {
		t.Errorf("two places to read from: %s", msg)
	}
}

// A server that is away is told, and the run goes on and ends in time.
func TestRemoteHistoryAway(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"l.yaml": "load: steady\ncurve:\n  - constant: 20\n", "run.yaml": `application: online-boutique
load: l.yaml
listen: 127.0.0.1:0
duration: 2s
remote_history: {write_url: http://127.0.0.1:1/api/v1/write, url: http://127.0.0.1:1}
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := start(t, "run", "-f", filepath.Join(dir, "run.yaml"))
	if text := d.get("/metrics"); !strings.Contains(text, `foresail_history_lost_snapshots_total{history="remote",reason="dropped"} `) {
		t.Error("/metrics does not count what is lost")
	}
	if code := d.end(30 * time.Second); code != 0 || !strings.Contains(d.stderr(), "the run begins without it") || !strings.Contains(d.stderr(), "refused by the server") {
		t.Errorf("exit status %d\n%s", code, d.stderr())
	}
}
