package agent

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/wire"
)

// looker samples a node, beat by beat, on a clock of the test's.
type looker struct {
	*Sampler
	now time.Duration
}

func (l *looker) look(whole bool) (wire.Beat, *wire.Table) {
	var b wire.Beat
	l.now += 100 * time.Millisecond
	t := l.Table()
	l.Sample(&b, l.now, 100*time.Millisecond, whole)
	return b, t.Of
}

// tree is a machine of files with control groups of version 2.
func tree(t *testing.T) (root string, s *looker) {
	t.Helper()
	root = t.TempDir()
	put(t, root, map[string]string{
		"cg/cgroup.controllers": "cpu memory io\n", "cg/cpu.stat": "usage_usec 1000\n",
		"proc/self/mountinfo": "30 22 0:26 / " + root + "/cg rw - cgroup2 cgroup rw\n",
		"proc/loadavg":        "0 0 0 3/9 1\n", "proc/uptime": "100.0 1\n",
	})
	rules, err := identity.Compile([]identity.Rule{{Cgroup: `^/apps/((.+)-[0-9]+)$`, Service: "$2", Replica: "$1"},
		{Cgroup: `^/named/`, Env: "APP", Service: "${env}"}})
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := NewSampler(Config{Rules: rules, Proc: root + "/proc", Sys: root + "/sys", MaxContainers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sampler.Close)
	return root, &looker{Sampler: sampler}
}

func put(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func group(usage int) map[string]string {
	return map[string]string{"cpu.stat": fmt.Sprintf("usage_usec %d\nnr_throttled 0\nthrottled_usec 0\n", usage), "cpu.max": "max 100000\n", "cgroup.procs": "",
		"memory.current": "5000\n", "memory.stat": "inactive_file 1000\n", "io.stat": fmt.Sprintf("8:0 rbytes=%d wbytes=0\n", usage),
		"cpu.pressure": fmt.Sprintf("some avg10=0 total=%d\n", usage)}
}

func putGroup(t *testing.T, root, path string, usage int) {
	t.Helper()
	for name, text := range group(usage) {
		put(t, root, map[string]string{filepath.Join("cg", path, name): text})
	}
}

// Containers come, work and go; each beat refers to the table that there was.
func TestContainersComeAndGo(t *testing.T) {
	root, s := tree(t)
	if b, _ := s.look(true); len(b.Containers) != 0 || b.Node.Value[wire.Runnable] != 2000 {
		t.Fatalf("%+v", b)
	}
	putGroup(t, root, "apps/web-0", 100)
	putGroup(t, root, "apps/web-0/inner", 1) // part of it
	putGroup(t, root, "other/thing", 1)
	s.look(true) // finds it
	b, table := s.look(false)
	if len(b.Containers) != 1 || b.Table != table.Generation || table.Containers[0] != (wire.Container{ID: "/apps/web-0", Service: "web", Replica: "web-0"}) {
		t.Fatalf("%+v of %+v", b, table)
	}
	if c := b.Containers[0]; c.Value[wire.CPU] != 0 || c.Has != foresail.SignalCPU|foresail.SignalThrottled {
		t.Errorf("what it used before it was found counts: %+v", c)
	}
	putGroup(t, root, "apps/web-0", 1100)
	b, _ = s.look(true)
	c := b.Containers[0]
	if c.Value[wire.CPU] != 1e6 || c.Value[wire.Memory] != 4000 || c.Value[wire.DiskRead] != 1000 || c.Value[wire.CPUPressure] != 1e6 ||
		!c.Has.Has(foresail.SignalMemory|foresail.SignalDisk|foresail.SignalPressure) || c.Has.Has(foresail.SignalNetwork|foresail.SignalCacheMisses) {
		t.Errorf("%v %+v", c.Has, c.Value)
	}
	for i := range 5 {
		putGroup(t, root, fmt.Sprintf("apps/web-%d", i+1), 1)
	}
	s.look(true)
	b, table = s.look(false)
	if seen, over := s.Containers(); seen != 3 || over != 3 || len(b.Containers) != 3 || len(table.Containers) != 3 {
		t.Errorf("%d containers and %d more; %d in the beat", seen, over, len(b.Containers))
	}
	if err := os.RemoveAll(filepath.Join(root, "cg/apps")); err != nil {
		t.Fatal(err)
	}
	s.look(true)
	if b, table = s.look(false); len(b.Containers) != 0 || len(table.Containers) != 0 {
		t.Errorf("%+v after they went", b)
	}
}

// A container whose process can't be asked yet is named as soon as it can.
func TestAContainerIsNamedLater(t *testing.T) {
	root, s := tree(t)
	putGroup(t, root, "named/x", 1)
	s.look(true)
	if b, _ := s.look(true); len(b.Containers) != 0 {
		t.Fatalf("%+v", b)
	}
	put(t, root, map[string]string{"cg/named/x/cgroup.procs": "42\n", "proc/42/environ": "APP=shop\x00"})
	s.look(true)
	if _, table := s.look(false); len(table.Containers) != 1 || table.Containers[0].Service != "shop" {
		t.Errorf("%+v", table)
	}
}

// Without control groups there is nothing to look at, and that is said.
func TestNoControlGroups(t *testing.T) {
	if _, err := NewSampler(Config{Mounts: &cgroup.Mounts{}}); err == nil {
		t.Error("no error")
	}
}

// A real group: what a process in it burns is told, and how long its quota made it wait.
func TestRealCPUAndThrottling(t *testing.T) {
	g := newGroups(t)
	path, pid := g.child("spin-0", "sh", "-c", "while :; do :; done")
	g.limit(path, 20_000)
	s := &looker{Sampler: g.sampler(0)}
	s.look(true)
	began := time.Now()
	used, throttled := 0.0, 0.0
	for used < 0.05 || throttled == 0 {
		s.now = time.Since(began)
		b, table := s.look(true)
		for _, c := range b.Containers {
			if table.Containers[c.Index].Replica != "spin-0" {
				t.Fatalf("%+v", table)
			}
			used += float64(c.Value[wire.CPU]) * 1e-9
			throttled += float64(c.Value[wire.Throttled]) * 1e-9
		}
		if time.Since(began) > 20*time.Second {
			t.Fatalf("process %d: %v s used, throttled for %v s", pid, used, throttled)
		}
		time.Sleep(10 * time.Millisecond)
	}
	wall := time.Since(began).Seconds()
	if used > 0.35*wall+0.05 || throttled > wall+0.2 {
		t.Errorf("%v s used, throttled for %v s, in %v s under a quota of 0.2 cores", used, throttled, wall)
	}
	t.Logf("%.3f s used, throttled for %.3f s in %.3f s", used, throttled, wall)
}

// A real listening socket of a process in a group: who waits there is told as that container's queue.
func TestRealQueueOfAContainer(t *testing.T) {
	g := newGroups(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// The socket belongs to a child alone that never accepts: this process gives it up.
	cmd := exec.Command("sleep", "60")
	cmd.ExtraFiles = []*os.File{f}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	addr := l.Addr().String()
	l.Close()
	f.Close()
	path, _ := g.child("web-0")
	g.join(path, cmd.Process.Pid)
	g.child("idle-1", "sleep", "60")
	s := &looker{Sampler: g.sampler(1)}
	s.spaces.files = 7 // looking for the socket's owner takes several seconds
	for range 3 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	for range 8 {
		s.look(true)
	}
	for _, x := range s.spaces.order {
		if x.unowned {
			t.Error("the search for owners has not ended")
		}
	}
	b, table := s.look(false)
	for _, c := range b.Containers {
		switch table.Containers[c.Index].Service {
		case "web":
			if !c.Has.Has(foresail.SignalQueue|foresail.SignalInFlight) || c.Value[wire.Backlog] != 3 || c.Value[wire.BacklogLimit] == 0 || c.Value[wire.Unread] != 0 {
				t.Errorf("three wait: %v %+v", c.Has, c.Value)
			}
		case "idle":
			if c.Has.Has(foresail.SignalQueue) {
				t.Errorf("a container that does not listen has a queue: %+v", c)
			}
		}
	}
	if len(b.Containers) != 2 {
		t.Errorf("%d containers", len(b.Containers))
	}
}
