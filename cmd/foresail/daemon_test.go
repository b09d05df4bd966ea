package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// daemon is the program running as a process of its own.
type daemon struct {
	t      *testing.T
	cmd    *exec.Cmd
	url    string // of the page
	out    bytes.Buffer
	mu     sync.Mutex
	errs   strings.Builder
	exited chan struct{}
	err    error
	began  time.Time
}

// start runs the program, this test binary under its name, and waits until it says where the page is.
func start(t *testing.T, args ...string) *daemon {
	t.Helper()
	d := &daemon{t: t, exited: make(chan struct{}), began: time.Now()}
	d.cmd = program(t, args...)
	d.cmd.Stdout = &d.out
	pipe, err := d.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(pipe)
		for lines.Scan() {
			d.mu.Lock()
			fmt.Fprintln(&d.errs, lines.Text())
			d.mu.Unlock()
			if _, url, ok := strings.Cut(lines.Text(), "see "); ok {
				found <- url
			}
		}
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() { d.cmd.Process.Kill(); <-d.exited })
	select {
	case d.url = <-found:
	case <-d.exited:
		t.Fatalf("ended before it served the page: %v\n%s", d.err, d.stderr())
	case <-time.After(60 * time.Second):
		t.Fatalf("did not say where the page is\n%s", d.stderr())
	}
	return d
}

// program is a command that runs this test binary as the program.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe, args...)
	c.Args[0] = "foresail" // what the test's main looks for
	c.Dir = "../.."
	return c
}

func (d *daemon) stderr() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errs.String()
}

// state is what these tests read of the page's API.
type state struct {
	Now struct {
		Decided   int `json:"decided"`
		Endpoints []struct {
			Rate   *float64 `json:"requests_s"`
			Errors *float64 `json:"errors_s"`
		} `json:"endpoints"`
		Services []struct {
			Ready *int     `json:"ready"`
			CPU   *float64 `json:"cores_used"`
		} `json:"services"`
		Points []json.RawMessage `json:"points"`
	} `json:"now"`
}

func (d *daemon) state() (s state, err error) {
	r, err := http.Get(d.url + "/api/v1/state")
	if err != nil {
		return s, err
	}
	defer r.Body.Close()
	return s, json.NewDecoder(r.Body).Decode(&s)
}

// until polls until what is asked for holds; the deadline is a failure.
func until(t *testing.T, limit time.Duration, what string, holds func() bool, seen ...func() string) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !holds() {
		if time.Now().After(deadline) {
			for _, s := range seen {
				what += "; " + s()
			}
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// managed waits until something was observed and decided.
func (d *daemon) managed(limit time.Duration) {
	d.t.Helper()
	until(d.t, limit, "a managed application on the page", func() bool {
		s, err := d.state()
		return err == nil && s.Now.Decided > 0 && len(s.Now.Points) > 0
	})
}

// end waits for the process and returns its exit status.
func (d *daemon) end(limit time.Duration) int {
	d.t.Helper()
	select {
	case <-d.exited:
	case <-time.After(limit):
		d.t.Fatalf("still running after %v\n%s", limit, d.stderr())
	}
	return d.cmd.ProcessState.ExitCode()
}

func TestDemoShowsAManagedApplicationWithinFiveSeconds(t *testing.T) {
	d := start(t, "demo", "--listen", "127.0.0.1:0")
	d.managed(5*time.Second - time.Since(d.began))
	t.Logf("%.1f s from the start to a managed application on the page", time.Since(d.began).Seconds())
	d.cmd.Process.Signal(syscall.SIGINT)
	if code := d.end(10 * time.Second); code != 0 {
		t.Errorf("exit status %d after Ctrl-C, want 0\n%s", code, d.stderr())
	}
	if !strings.Contains(d.out.String(), "mean cores") {
		t.Errorf("no summary after Ctrl-C:\n%s", d.out.String())
	}
}

func TestATakenPortIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	for _, c := range []struct {
		name string
		args []string
	}{
		{"the page's", []string{"run", "-f", "examples/simulated.yaml", "--listen", addr}},
		{"OTLP's", []string{"testbed", "-f", "hotel-reservation", "--load", "examples/loads/gentle.yaml", "--otlp", addr}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := program(t, c.args...).CombinedOutput()
			if exitOf(err) != "1" || !strings.Contains(string(out), addr) || !strings.Contains(string(out), "in use") {
				t.Errorf("%v\n%s", err, out)
			}
			if n := strings.Count(strings.TrimSpace(string(out)), "\n"); n != 0 {
				t.Errorf("%d lines where one should be:\n%s", n+1, out)
			}
		})
	}
}

// bed starts a testbed with a page and waits until requests are answered.
func startTestbed(t *testing.T, args ...string) *daemon {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a testbed needs permission to make cgroups: run as root")
	}
	d := start(t, append([]string{"testbed", "-f", "hotel-reservation", "--load", "examples/loads/gentle.yaml",
		"--listen", "127.0.0.1:0"}, args...)...)
	d.managed(30 * time.Second)
	return d
}

// cgroups are the cgroup folders that a daemon made and that are still there.
func (d *daemon) cgroups() []string {
	var found []string
	for _, pattern := range []string{"/sys/fs/cgroup/foresail-%d", "/sys/fs/cgroup/*/foresail-%d"} {
		m, _ := filepath.Glob(fmt.Sprintf(pattern, d.cmd.Process.Pid))
		found = append(found, m...)
	}
	return found
}

// children are the processes below a daemon.
func (d *daemon) children() []int {
	out, _ := exec.Command("pgrep", "-P", strconv.Itoa(d.cmd.Process.Pid)).Output()
	var pids []int
	for _, f := range strings.Fields(string(out)) {
		if pid, err := strconv.Atoi(f); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}

// leavesNothing fails unless every process, cgroup and port of a daemon that has ended is gone soon.
func (d *daemon) leavesNothing(children []int) {
	d.t.Helper()
	until(d.t, 20*time.Second, "no process left", func() bool {
		for _, pid := range children {
			if alive(pid) {
				return false
			}
		}
		return true
	})
	until(d.t, 10*time.Second, "no cgroup left", func() bool { return len(d.cgroups()) == 0 })
	c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err == nil {
		c.Close()
		d.t.Errorf("%s still answers", d.url)
	}
}

func TestSIGTERMEndsATestbedWithItsSummaryAndLeavesNothing(t *testing.T) {
	d := startTestbed(t, "--json", "--manager", "autoscale-cons")
	children := d.children()
	if len(children) < 15 || len(d.cgroups()) == 0 {
		t.Fatalf("%d child processes and cgroups %v: want one process for each replica, in cgroups", len(children), d.cgroups())
	}
	until(t, 30*time.Second, "requests of the first endpoint", func() bool {
		s, err := d.state()
		return err == nil && len(s.Now.Endpoints) > 0 && s.Now.Endpoints[0].Rate != nil && *s.Now.Endpoints[0].Rate > 0
	})
	d.cmd.Process.Signal(syscall.SIGTERM)
	if code := d.end(30 * time.Second); code != 0 {
		t.Fatalf("exit status %d\n%s", code, d.stderr())
	}
	var r struct {
		Rows []struct {
			Endpoint string
			Requests float64
			P99      *float64 `json:"p99_ms"`
		}
		Detail struct {
			Clients []struct {
				Endpoint string
				Ended    float64
			}
		}
	}
	if err := json.Unmarshal(d.out.Bytes(), &r); err != nil {
		t.Fatalf("%v in\n%s", err, d.out.String())
	}
	for i, row := range r.Rows {
		// Spans of the last moment may be on their way when the loop stops; all others are counted, and none twice.
		if ended := r.Detail.Clients[i].Ended; row.Requests > ended || row.Requests < ended*0.8-20 {
			t.Errorf("%s: %v requests in spans, %v counted by the clients themselves", row.Endpoint, row.Requests, ended)
		}
	}
	if r.Rows[0].Requests == 0 || r.Rows[0].P99 == nil {
		t.Errorf("nothing observed: %+v", r.Rows[0])
	}
	d.leavesNothing(children)
}

func TestSIGKILLOfTheDaemonLeavesNothing(t *testing.T) {
	d := startTestbed(t)
	children := d.children()
	d.cmd.Process.Kill()
	d.end(10 * time.Second)
	d.leavesNothing(children)
}

func TestAServiceKilledInMidRunComesBack(t *testing.T) {
	d := startTestbed(t)
	pid := d.process("geo-")
	syscall.Kill(pid, syscall.SIGKILL)
	until(t, 30*time.Second, "another process in its place", func() bool {
		p := d.process("geo-")
		return p != 0 && p != pid
	})
	search := 0 // the first endpoint, whose every request calls geo
	until(t, 30*time.Second, "its requests answered without a failure", func() bool {
		s, err := d.state()
		if err != nil || len(s.Now.Endpoints) == 0 {
			return false
		}
		e := s.Now.Endpoints[search]
		return e.Rate != nil && *e.Rate > 0 && e.Errors != nil && *e.Errors == 0
	})
	select {
	case <-d.exited:
		t.Fatalf("the daemon ended: %v\n%s", d.err, d.stderr())
	default:
	}
}

// Without its load a run is none; what was observed until then is still told.
func TestALoadGeneratorThatDiesFailsTheRunAndKeepsItsResult(t *testing.T) {
	d := startTestbed(t, "--json")
	children := d.children()
	out, err := exec.Command("pgrep", "-P", strconv.Itoa(d.cmd.Process.Pid), "-f", "testbed-users").Output()
	pid, perr := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || perr != nil {
		t.Fatalf("no load generator: %v %q", err, out)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if code := d.end(30 * time.Second); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if !json.Valid(d.out.Bytes()) || !strings.Contains(d.out.String(), `"rows"`) {
		t.Errorf("no result:\n%s", d.out.String())
	}
	d.leavesNothing(children)
}

// Whoever reads a pipe that nobody writes to can still be stopped.
func TestASignalEndsAProgramThatReadsItsInput(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"simulate", "-f", pipe, "--load", "x"}, {"run", "-f", pipe}, {"import", "jaeger", pipe}} {
		c := program(t, args...)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() { c.Wait(); close(ended) }()
		until(t, 10*time.Second, strings.Join(args, " ")+" ended by SIGTERM", func() bool {
			c.Process.Signal(syscall.SIGTERM)
			select {
			case <-ended:
				return true
			default:
				return false
			}
		})
	}
}

func TestAStoppedSimulationIsAFailureWithWhatThereIs(t *testing.T) {
	c := program(t, "simulate", "-f", "online-boutique", "--load", "examples/loads/boutique.yaml", "--duration", "10000h", "--json")
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	var err error
	time.AfterFunc(time.Second, func() { c.Process.Signal(syscall.SIGINT) }) // it simulates within milliseconds
	select {
	case err = <-ended:
	case <-time.After(30 * time.Second):
		c.Process.Kill()
		t.Fatal("not stopped")
	}
	if exitOf(err) != "1" || !strings.Contains(errs.String(), "of 10000h") || !strings.Contains(out.String(), `"observed_s"`) {
		t.Errorf("%v\n%s\n%s", err, errs.String(), out.String())
	}
}

// process is the process of a replica whose name begins so, by its cgroup; 0 when there is none.
func (d *daemon) process(name string) int {
	for _, dir := range d.cgroups() {
		m, _ := filepath.Glob(filepath.Join(dir, name+"*", "cgroup.procs"))
		for _, f := range m {
			b, _ := os.ReadFile(f)
			if pid, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
				return pid
			}
		}
	}
	return 0
}
