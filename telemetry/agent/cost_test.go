package agent

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
)

// groups makes control groups of the test's own, below one parent, and removes them when it ends. It skips where that
// is not allowed.
type groups struct {
	t      testing.TB
	mounts cgroup.Mounts
	parent string
	roots  []string
}

func newGroups(t testing.TB) *groups {
	t.Helper()
	m, err := cgroup.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	g := &groups{t: t, mounts: m, parent: fmt.Sprintf("/agenttest-%d-%d", os.Getpid(), time.Now().UnixNano())}
	at, version := m.Where("cpu")
	switch version {
	case 1:
		for _, c := range []string{"cpu", "cpuacct", "memory", "blkio"} {
			if p := m.V1[c]; p != "" {
				g.roots = append(g.roots, p)
			}
		}
	case 2:
		g.roots = []string{at}
	default:
		t.Skip("no control groups with the cpu controller")
	}
	g.mkdir(g.parent)
	t.Cleanup(g.remove)
	return g
}

func (g *groups) mkdir(path string) {
	g.t.Helper()
	for _, r := range g.roots {
		if err := os.Mkdir(filepath.Join(r, path), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			g.t.Skipf("no permission to make control groups: %v", err)
		}
	}
}

// child makes a group with a process in it.
func (g *groups) child(name string, command ...string) (path string, pid int) {
	g.t.Helper()
	path = filepath.Join(g.parent, name)
	g.mkdir(path)
	if len(command) == 0 {
		return path, 0
	}
	cmd := exec.Command(command[0], command[1:]...)
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	g.join(path, cmd.Process.Pid)
	return path, cmd.Process.Pid
}

func (g *groups) join(path string, pid int) {
	g.t.Helper()
	for _, r := range g.roots {
		if err := os.WriteFile(filepath.Join(r, path, "cgroup.procs"), fmt.Appendf(nil, "%d", pid), 0); err != nil {
			g.t.Fatal(err)
		}
	}
}

// remove runs after the processes have ended.
func (g *groups) remove() {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		left := 0
		for _, r := range g.roots {
			entries, _ := os.ReadDir(filepath.Join(r, g.parent))
			for _, e := range entries {
				if e.IsDir() {
					_ = unix.Rmdir(filepath.Join(r, g.parent, e.Name()))
				}
			}
			if err := unix.Rmdir(filepath.Join(r, g.parent)); err != nil && !errors.Is(err, unix.ENOENT) {
				left++
			}
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			g.t.Errorf("control groups %s are left", g.parent)
			return
		}
	}
}

// sampler looks at the test's groups: NAME-1 is a replica of NAME.
func (g *groups) sampler(connections float64) *Sampler {
	g.t.Helper()
	rules, err := identity.Compile([]identity.Rule{{Cgroup: "^" + g.parent + "/((.+)-[0-9]+)$", Service: "$2", Replica: "$1"}})
	if err != nil {
		g.t.Fatal(err)
	}
	s, err := NewSampler(Config{Rules: rules, Connections: connections})
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(s.Close)
	return s
}

// crowd makes groups with a process each that sleeps, and works a little between; every other has a quota.
func (g *groups) crowd(n int) {
	for i := range n {
		path, _ := g.child(fmt.Sprintf("svc%d-%d", i%40, i), "sh", "-c", "while :; do sleep 1; done")
		if i%2 == 1 {
			g.limit(path, 50_000)
		}
	}
}

// limit sets a quota, microseconds in each 100 ms.
func (g *groups) limit(path string, us int) {
	g.t.Helper()
	at, version := g.mounts.Where("cpu")
	name, value := "cpu.cfs_quota_us", fmt.Sprint(us)
	if version == 2 {
		name, value = "cpu.max", fmt.Sprintf("%d 100000", us)
	}
	if err := os.WriteFile(filepath.Join(at, path, name), []byte(value), 0); err != nil {
		g.t.Fatal(err)
	}
}

// One beat of 200 containers, each a real control group with a process: what an agent does ten times a second, and the
// part that it does once a second. core_percent is the whole of it.
func BenchmarkBeat200(b *testing.B) {
	g := newGroups(b)
	g.crowd(200)
	s := g.sampler(-1)
	var beat wire.Beat
	ring := report.NewRing()
	now := time.Duration(0)
	sample := func(whole bool) {
		now += 100 * time.Millisecond
		t := s.Table()
		s.Sample(&beat, now, 100*time.Millisecond, whole)
		ring.Put(&beat, t)
	}
	sample(true)
	sample(true)
	if n, _ := s.Containers(); n != 200 {
		b.Fatalf("%d containers", n)
	}
	took := map[bool]time.Duration{}
	for _, whole := range []bool{false, true} {
		b.Run(map[bool]string{false: "beat", true: "second"}[whole], func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime()
			for b.Loop() {
				sample(whole)
			}
			took[whole] = (cpuTime() - before) / time.Duration(b.N)
			b.ReportMetric(float64(took[whole].Nanoseconds())/200, "cpu-ns/container")
			if whole {
				b.ReportMetric(100*(9*took[false]+took[true]).Seconds(), "core_percent")
			}
		})
	}
}

// cpuTime is what this process has used; the machine may be busy with other things.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A beat in which nothing comes or goes allocates nothing, whatever it looks at.
func TestABeatAllocatesNothing(t *testing.T) {
	g := newGroups(t)
	for i := range 5 {
		g.child(fmt.Sprintf("web-%d", i), "sleep", "60")
	}
	s := g.sampler(0.01)
	var beat wire.Beat
	ring := report.NewRing()
	now := time.Duration(0)
	sample := func(whole bool) {
		now += 100 * time.Millisecond
		table := s.Table()
		s.Sample(&beat, now, 100*time.Millisecond, whole)
		ring.Put(&beat, table)
	}
	for range report.Kept + 5 {
		sample(true)
	}
	if n := testing.AllocsPerRun(100, func() { sample(false) }); n > 0 {
		t.Errorf("%v allocations a beat", n)
	}
	if len(beat.Containers) != 5 {
		t.Errorf("%d containers", len(beat.Containers))
	}
	if n := testing.AllocsPerRun(20, func() { sample(true) }); n > 60 {
		t.Errorf("%v allocations in a beat that looks at everything", n)
	}
}
