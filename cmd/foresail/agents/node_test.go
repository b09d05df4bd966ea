package agents

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"foresail.dev/telemetry/agent/partition"
	"foresail.dev/telemetry/agent/probe"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command below 'foresail agent'.
func run(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	c := NewAgent(CLI{NoArgs: cobra.NoArgs, Usage: func(err error) error { return err },
		Stoppable: func(ctx context.Context) (context.Context, func()) { return context.WithCancel(ctx) }})
	c.SetArgs(args)
	c.SetOut(&out)
	c.SetErr(&out)
	c.SilenceErrors, c.SilenceUsage = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

// A file that says nothing allows nothing, and so does none.
func TestNothingIsAllowedUnlessItIsSaid(t *testing.T) {
	empty := write(t, "agent.yaml", "rules: []\n")
	for _, path := range []string{"", empty} {
		f, err := readFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := probe.New(f.mayProbe(), probe.Config{}); !errors.Is(err, probe.ErrForbidden) {
			t.Errorf("probes: %v", err)
		}
		for _, k := range []partition.Kind{partition.Cache, partition.Network, partition.Memory} {
			if f.mayPartition().Allows(k) {
				t.Errorf("%s may be divided", k)
			}
		}
	}
	asked := false
	suspect := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer suspect.Close()
	for _, args := range [][]string{{"probe", "-f", empty, "--url", suspect.URL, "--latency", "1s"}, {"probe", "-f", empty, "--matrix"}} {
		if out, err := run(t, args...); !errors.Is(err, probe.ErrForbidden) || !strings.Contains(err.Error(), "probes.allow") || asked {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	dir := t.TempDir()
	none := write(t, "none.yaml", "partitions: {undo_dir: "+dir+"}\n")
	list := write(t, "shares.json", `{"shares": [{"memory": {"group": "/nowhere", "bytes": 1048576}}]}`)
	if out, err := run(t, "partition", "-f", none, "--shares", list); !errors.Is(err, partition.ErrForbidden) {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWrongFilesAreTold(t *testing.T) {
	for text, want := range map[string]string{
		"probes: {allow: maybe}\n":               "probes.allow",
		"probes: {burst: 1h}\n":                  "probes.burst",
		"partitions: {allow: [cache, cpu, gpu]}": `"gpu" is no kind`,
	} {
		if _, err := readFile(write(t, "agent.yaml", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		`{}`: "no shares",
		`{"shares": [{}, {"cache": {}, "memory": {}}]}`: "shares[1]: has 2 kinds",
		`{"shares": [{"disk": {}}]}`:                    "disk",
	} {
		if _, err := readShares(write(t, "shares.json", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	allows := write(t, "agent.yaml", "probes: {allow: true}\n")
	for _, args := range [][]string{{"-f", allows}, {"-f", allows, "--matrix", "--url", "http://x"}, {"-f", allows, "--url", "http://x"}, {"-f", allows, "--matrix", "--rounds", "0"},
		{"-f", allows, "--matrix", "--percentile", "100"}, {}} {
		if out, err := run(t, append([]string{"probe"}, args...)...); err == nil {
			t.Errorf("%v is taken: %s", args, out)
		}
	}
}

func FuzzShares(f *testing.F) {
	f.Add(`{"shares": [{"memory": {"group": "/a", "bytes": 1}}, {"network": {"device": "lo", "flows": [{"source": "10.0.0.0/8"}]}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "s.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := readShares(path)
		for _, s := range all {
			if err == nil && s.Kind() == "" {
				t.Errorf("%q has a share of no kind", text)
			}
		}
	})
}

// Shares last as long as the command, and one that was killed leaves what the next takes back.
func TestSharesAreTakenBack(t *testing.T) {
	group := "/sys/fs/cgroup/memory/foresail-agents-test"
	limit := filepath.Join(group, "memory.limit_in_bytes")
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("no memory controller of version 1 to make a group in: %v", err)
	}
	t.Cleanup(func() { _ = os.Remove(group) })
	read := func() string {
		b, err := os.ReadFile(limit)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	was := read()
	f := write(t, "agent.yaml", "partitions: {allow: [memory], undo_dir: "+t.TempDir()+"}\n")
	list := write(t, "shares.json", `{"shares": [{"memory": {"group": "`+group+`", "bytes": 67108864}}]}`)
	out, err := run(t, "partition", "-f", f, "--shares", list, "--for", "10ms")
	if err != nil || !strings.Contains(out, "done") || !strings.Contains(out, "taken back") || read() != was {
		t.Errorf("%v: the limit is %s, was %s\n%s", err, read(), was, out)
	}
	own, err := readFile(f)
	if err != nil {
		t.Fatal(err)
	}
	k, err := partition.Open(own.Partitions.Undo) // one that will be killed
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Apply(own.mayPartition(), partition.MemoryLimit{Group: group, Bytes: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil || read() == was {
		t.Fatalf("%v: the limit is %s", err, read())
	}
	var said bytes.Buffer
	if k, err = recovered(&said, &own); err != nil || read() != was || !strings.Contains(said.String(), "left by an earlier run") {
		t.Errorf("%v: the limit is %s, was %s\n%s", err, read(), was, said.String())
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
}

// What a machine has and what it may do are two columns; probes that may not run are not tried.
func TestCheck(t *testing.T) {
	out, err := run(t, "check", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Schema string
		Rows   []mechanism
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Schema != "foresail.dev/agent-check/v1" {
		t.Fatalf("%v\n%s", err, out)
	}
	probes := 0
	for _, m := range r.Rows {
		if m.Available != nil && !*m.Available && m.Why == "" {
			t.Errorf("%s is unavailable, and nobody says why", m.Mechanism)
		}
		if m.Allowed != nil && *m.Allowed {
			t.Errorf("%s is allowed", m.Mechanism)
		}
		if strings.HasSuffix(m.Mechanism, " probe") {
			if probes++; m.Available != nil {
				t.Errorf("%s was tried", m.Mechanism)
			}
		}
	}
	if probes != 10 {
		t.Errorf("%d probes", probes)
	}
	if out, err = run(t, "check"); err != nil || !strings.Contains(out, "memory partition") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTables(t *testing.T) {
	var out bytes.Buffer
	rise, p := 0.5, 1e-9
	rows := []trial{{Resource: probe.IntegerCore, Unavailable: "no second thread"}, {Resource: probe.L2, Rise: &rise, P: &p, Bursts: 7, Matters: true}}
	if err := printTrials(&out, probe.L2, rows, false); err != nil || !strings.Contains(out.String(), "it hangs on l2") || !strings.Contains(out.String(), "+0.50") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	m := probing{markdown: true}
	cells := []cell{{Probe: probe.L2, Victim: probe.L2, Where: "beside", Rise: &rise, Told: true}, {Probe: probe.Disk, Victim: probe.L2, Where: "after", Unavailable: "x"}}
	if err := m.printMatrix(&out, cells); err != nil || !strings.Contains(out.String(), "| l2 | **+50** |") || !strings.Contains(out.String(), "| disk-bandwidth | — |") {
		t.Errorf("%v\n%s", err, out.String())
	}
}
