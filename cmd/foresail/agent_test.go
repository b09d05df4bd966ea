package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var reportsTo = regexp.MustCompile(`agents report to (\S+)`)

// withAgents starts a testbed that reads no cgroups, and says where agents report.
func withAgents(t *testing.T, more string) (d *daemon, addr string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a testbed needs permission to make cgroups: run as root")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "foresail.yaml")
	text := fmt.Sprintf(`application: hotel-reservation
load: %s/examples/loads/gentle.yaml
cluster: testbed
mode: observe
listen: 127.0.0.1:0
otlp: {grpc: "127.0.0.1:0", http: ""}
agents: {listen: "127.0.0.1:0"}
%s`, root, more)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d = start(t, "run", "-f", file, "--json")
	m := reportsTo.FindStringSubmatch(d.stderr())
	if m == nil {
		t.Fatalf("does not say where agents report:\n%s", d.stderr())
	}
	return d, m[1]
}

// cpuOf counts the services whose CPU is on the page, and sums it.
func (d *daemon) cpuOf() (services int, cores float64) {
	s, err := d.state()
	if err != nil {
		return 0, 0
	}
	for _, svc := range s.Now.Services {
		if svc.CPU != nil {
			services++
			cores += *svc.CPU
		}
	}
	return services, cores
}

// A real agent process tells the daemon what the replicas use: before it comes nothing of that is known, and when it
// has been killed and another comes, it is known again.
func TestAnAgentTellsWhatTheTestbedUses(t *testing.T) {
	d, addr := withAgents(t, "")
	until(t, 30*time.Second, "the services on the page", func() bool {
		s, err := d.state()
		return err == nil && len(s.Now.Services) > 0 && s.Now.Services[0].Ready != nil
	})
	if n, _ := d.cpuOf(); n != 0 {
		t.Fatalf("CPU of %d services is known without an agent", n)
	}
	rules := filepath.Join(t.TempDir(), "rules.yaml") // of this testbed alone: another may run on this machine
	text := fmt.Sprintf("rules:\n- {cgroup: '^/foresail-%d/((.+)-[0-9]+)$', service: $2, replica: $1}\n", d.cmd.Process.Pid)
	if err := os.WriteFile(rules, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		agent := program(t, "agent", "--daemon", addr, "--node", "here", "--rules", rules)
		var said bytes.Buffer
		agent.Stderr = &said
		if err := agent.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- agent.Wait() }()
		until(t, 30*time.Second, "CPU of all services from the agent", func() bool {
			n, cores := d.cpuOf()
			return n == 15 && cores > 0
		})
		agent.Process.Signal(syscall.SIGTERM)
		if err := <-ended; err != nil || !strings.Contains(said.String(), "reports to "+addr) || !strings.Contains(said.String(), "% of a core") {
			t.Errorf("the agent: %v\n%s", err, said.String())
		}
		until(t, 30*time.Second, "the page to know no CPU when the agent is gone", func() bool { n, _ := d.cpuOf(); return n == 0 })
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	if code := d.end(30 * time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, d.stderr())
	}
	var r struct {
		Detail struct {
			Agents struct{ Beats, Malformed, Refused, Unknown int }
		}
	}
	if err := json.Unmarshal(d.out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if a := r.Detail.Agents; a.Beats < 10 || a.Malformed+a.Refused+a.Unknown > 0 {
		t.Errorf("of the agents: %+v", a)
	}
}

// What a person gets wrong is said in one line, with exit status 2.
func TestAgentUsage(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte("secret-value\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rules := filepath.Join(dir, "rules.yaml")
	if err := os.WriteFile(rules, []byte("rules:\n- {cgroup: '(', service: x}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--daemon":                   {"agent"},
		"chmod 600":                  {"agent", "--daemon", "127.0.0.1:1", "--token-file", open},
		"--insecure is the opposite": {"agent", "--daemon", "127.0.0.1:1", "--insecure", "--tls-ca", open},
		"rules[0].cgroup":            {"agent", "--for", "1s", "--rules", rules},
		"no such file":               {"agent", "--for", "1s", "--rules", "/none"},
		"TLS CA":                     {"agent", "--daemon", "127.0.0.1:1", "--tls-ca", "/none"},
	} {
		out, err := program(t, args...).CombinedOutput()
		if exitOf(err) != "2" || !strings.Contains(string(out), want) || strings.Contains(string(out), "secret-value") {
			t.Errorf("%q: exit status %s\n%s", args, exitOf(err), out)
		}
	}
}
