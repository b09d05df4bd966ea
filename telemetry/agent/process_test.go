package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/receive"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"

	"golang.org/x/sys/unix"
)

// TestMain lets this binary be an agent, as a process of its own whose cost can be told.
func TestMain(m *testing.M) {
	if to := os.Getenv("AGENT_TEST_DAEMON"); to != "" {
		if err := child(to, os.Getenv("AGENT_TEST_PARENT"), os.Getenv("AGENT_TEST_FOR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("AGENT_TEST_LISTEN") != "" {
		if _, err := net.Listen("tcp", "127.0.0.1:0"); errors.Join(err, up("lo")) != nil {
			os.Exit(1)
		}
		for {
			time.Sleep(time.Second)
		}
	}
	if os.Getenv("AGENT_TEST_TOLD") != "" {
		if err := obey(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if os.Getenv("AGENT_TEST_APART") != "" {
		if err := apart(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// spent is what an agent's process says it took.
type spent struct {
	Beats   int
	CPU     time.Duration
	Wall    time.Duration
	Mallocs uint64
	Dropped uint64
	Heap    uint64
}

// counted counts beats on their way.
type counted struct {
	*report.Ring
	n int
}

func (c *counted) Put(b *wire.Beat, t *report.Table) { c.n++; c.Ring.Put(b, t) }

// child is the agent that 'foresail agent' runs, for some time after it has found its containers.
func child(daemon, parent, life string) error {
	d, err := time.ParseDuration(life)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2))
	rules, err := identity.Compile([]identity.Rule{{Cgroup: "^" + parent + "/((.+)-[0-9]+)$", Service: "$2", Replica: "$1"}})
	if err != nil {
		return err
	}
	s, err := NewSampler(Config{Rules: rules})
	if err != nil {
		return err
	}
	defer s.Close()
	to := &counted{Ring: report.NewRing()}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- report.Run(ctx, report.Config{Daemon: frames.Daemon{Address: daemon}, Hello: wire.Hello{Node: "n" + os.Getenv("AGENT_TEST_NODE"), Instance: 1}}, to.Ring)
	}()
	for _, f := range []time.Duration{3 * time.Second, d} { // the first part finds the containers, and is not counted
		part, stop := context.WithTimeout(ctx, f)
		to.n = 0
		began, cpu := time.Now(), cpuTime()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		Run(part, s, to)
		stop()
		runtime.ReadMemStats(&after)
		if f == d {
			err = json.NewEncoder(os.Stdout).Encode(spent{to.n, cpuTime() - cpu, time.Since(began), after.Mallocs - before.Mallocs, to.Dropped(), after.HeapInuse})
		}
	}
	cancel()
	<-ended
	return err
}

// The whole of an agent, as a process of its own, with 200 containers, each a real control group with a process that
// sleeps and works a little, and half of them with a quota; it reports to a daemon over gRPC. As processes they share
// the node's network; as pods each listens in a network namespace of its own. core_percent is of one core, user and
// system. With AGENT_OTHER, the path of another commit's test binary, that one's agent looks at the same containers at the
// same time: what a busy machine does to one it does to the other.
func BenchmarkAgent200(b *testing.B) {
	b.Run("processes", func(b *testing.B) { agent200(b, (*groups).crowd) })
	b.Run("pods", func(b *testing.B) { agent200(b, (*groups).pods) })
}

// pods makes groups with a process each that listens in a network namespace of its own; every other has a quota.
func (g *groups) pods(n int) {
	exe, err := os.Executable()
	if err != nil {
		g.t.Fatal(err)
	}
	for i := range n {
		path, _ := g.child(fmt.Sprintf("svc%d-%d", i%40, i))
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "AGENT_TEST_LISTEN=1", "GOMAXPROCS=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
		if err := cmd.Start(); err != nil {
			g.t.Skipf("a network namespace: %v", err)
		}
		g.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		g.join(path, cmd.Process.Pid)
		if i%2 == 1 {
			g.limit(path, 50_000)
		}
	}
}

func agent200(b *testing.B, crowd func(*groups, int)) {
	g := newGroups(b)
	crowd(g, 200)
	r := receive.New(receive.Config{})
	server, err := r.Listen("127.0.0.1:0", nil)
	if err != nil {
		b.Fatal(err)
	}
	defer server.Close()
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	run := func(exe, name string) (s spent, err error) {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "AGENT_TEST_DAEMON="+server.Addr(), "AGENT_TEST_PARENT="+g.parent, "AGENT_TEST_FOR=20s", "AGENT_TEST_NODE="+name)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			return s, err
		}
		return s, json.Unmarshal(out, &s)
	}
	for b.Loop() {
		var wg sync.WaitGroup
		want := 200
		if other := os.Getenv("AGENT_OTHER"); other != "" {
			want = 400
			wg.Go(func() {
				s, err := run(other, "")
				if err != nil {
					b.Errorf("%s: %v", other, err)
				}
				b.ReportMetric(100*s.CPU.Seconds()/s.Wall.Seconds(), "other_core_percent")
			})
		}
		s, err := run(exe, "ew")
		if wg.Wait(); err != nil {
			b.Fatal(err)
		}
		st := r.Stats()
		if st.Containers != want || s.Beats < 150 || st.Beats < uint64(s.Beats) {
			b.Fatalf("%+v, %+v", s, st)
		}
		b.ReportMetric(100*s.CPU.Seconds()/s.Wall.Seconds(), "core_percent")
		b.ReportMetric(float64(s.Mallocs)/float64(s.Beats), "mallocs/beat")
		b.ReportMetric(float64(s.Heap)/(1<<20), "heap_MiB")
		b.ReportMetric(float64(s.Dropped), "dropped")
	}
}

// An agent's beats, of a real group, arrive as snapshots of the daemon.
func TestFromAGroupToASnapshot(t *testing.T) {
	g := newGroups(t)
	g.child("spin-0", "sh", "-c", "while :; do :; done")
	r := receive.New(receive.Config{})
	server, err := r.Listen("127.0.0.1:0", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := g.sampler(-1)
	ring := report.NewRing()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- report.Run(ctx, report.Config{Daemon: frames.Daemon{Address: server.Addr()}, Hello: wire.Hello{Node: "n", Instance: 1}}, ring)
	}()
	done := make(chan struct{})
	go func() { defer close(done); Run(ctx, s, ring) }()
	app := &foresail.App{Services: []foresail.Service{{Name: "spin"}}}
	var cores float64
	for deadline := time.Now().Add(20 * time.Second); cores == 0 && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
		end := time.Now().Add(-150 * time.Millisecond).Truncate(foresail.Beat)
		snap := &foresail.Snapshot{Start: end.Add(-foresail.Beat), End: end}
		r.Lay(snap, app)
		cores, _ = snap.Services[0].Cores(snap.Duration())
	}
	cancel()
	<-done
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if cores <= 0 || cores > 1.5 {
		t.Errorf("one spinning process: %v cores", cores)
	}
}
