package testbed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// burner is one service whose requests each burn 20 ms of CPU.
func burner(cores float64) *foresail.Blueprint {
	return blueprint(svc{"burner", foresail.Allocation{Replicas: 1, CPU: cores}, foresail.ServiceBlueprint{
		Workers: 4, Queue: 8, Operations: operation("burn", foresail.Step{Work: cpu(20 * time.Millisecond)})}})
}

// groupDir is the cgroup directory of the only replica, as the writes tell it.
func groupDir(t *testing.T, c *testbed.Cluster) string {
	t.Helper()
	w := c.Writes()
	if len(w) == 0 {
		t.Fatal("no limit was written to any cgroup")
	}
	return filepath.Dir(w[0].Path)
}

// words reads a file of numbers and words.
func words(t testing.TB, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

// member is the one process in a cgroup.
func member(t *testing.T, dir string) int {
	t.Helper()
	in := words(t, filepath.Join(dir, "cgroup.procs"))
	if len(in) != 1 {
		t.Fatalf("%d processes are in %s, not one", len(in), dir)
	}
	pid, err := strconv.Atoi(in[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// stat is one counter of a cgroup's cpu.stat.
func stat(t *testing.T, dir, name string) int {
	t.Helper()
	f := words(t, filepath.Join(dir, "cpu.stat"))
	for i := 0; i+1 < len(f); i += 2 {
		if f[i] == name {
			n, _ := strconv.Atoi(f[i+1])
			return n
		}
	}
	t.Fatalf("%s/cpu.stat has no %s", dir, name)
	return 0
}

// processCPU is what the kernel has accounted to a process, apart from any cgroup.
func processCPU(t *testing.T, pid int) time.Duration {
	t.Helper()
	f := words(t, fmt.Sprintf("/proc/%d/stat", pid))
	user, _ := strconv.Atoi(f[13])
	system, _ := strconv.Atoi(f[14])
	return time.Duration(user+system) * time.Second / 100 // USER_HZ is 100 on every Linux that Go runs on
}

// A service that is asked for three times the work that its quota allows uses its quota and no more, and the kernel
// says that it throttled it. More quota, by a plan, lets more requests through.
func TestQuotaLimits(t *testing.T) {
	c := newCluster(t, testbed.Config{Blueprint: burner(0.2), Load: rate(30), Seed: 2})
	merged(t, c, time.Second) // the queue fills
	dir := groupDir(t, c)
	pid := member(t, dir)
	start, cpuBefore, throttledBefore := time.Now(), processCPU(t, pid), stat(t, dir, "nr_throttled")
	sentBefore := c.Summary().Endpoints[0]

	var parts []*foresail.Snapshot
	covered := time.Duration(0)
	watch(t, c, 30*time.Second, func(s *foresail.Snapshot) bool {
		for _, r := range s.Services[0].Replicas {
			if r.Throttled < 0 || r.Throttled > s.Duration() {
				t.Errorf("%s was throttled for %v of %v", r.Name, r.Throttled, s.Duration())
			}
		}
		parts, covered = append(parts, s), covered+s.Duration()
		return covered >= 2*time.Second
	})
	s := foresail.Merge(parts...)
	if share := s.Services[0].Throttled.Seconds() / covered.Seconds(); share < 0.4 {
		t.Errorf("throttled for %.2f of the time, with three times the work that the quota allows", share)
	}
	cores := (processCPU(t, pid) - cpuBefore).Seconds() / time.Since(start).Seconds()
	if cores > 0.26 || cores < 0.1 {
		t.Errorf("the process used %.3f cores under a quota of 0.2", cores)
	}
	if told := s.Services[0].CPU / s.Duration().Seconds(); told > 0.26 || told < 0.1 {
		t.Errorf("the snapshots tell of %.3f cores under a quota of 0.2", told)
	}
	if n := stat(t, dir, "nr_throttled") - throttledBefore; n < 7 {
		t.Errorf("%d periods of about 20 were throttled", n)
	}
	if a := s.Services[0].Allocation; a.CPU != 0.2 || a.Replicas != 1 || s.Services[0].Pending != nil {
		t.Errorf("allocation in effect %v, pending %v", a, s.Services[0].Pending)
	}
	limited := answered(c) - (sentBefore.Ended - sentBefore.Errors)

	plan := &foresail.Plan{Changes: []foresail.Change{{Service: 0, To: foresail.Allocation{Replicas: 1, CPU: 1}}}}
	if err := c.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	last := c.Writes()[len(c.Writes())-1]
	if last.Initial || !strings.HasPrefix(last.Value, "100000") {
		t.Errorf("the last write is %+v", last)
	}
	merged(t, c, time.Second)
	before := answered(c)
	merged(t, c, 2*time.Second)
	if free := answered(c) - before; float64(free) < 1.5*float64(limited) {
		t.Errorf("%d requests answered in 2 s under 0.2 cores, and %d under 1 core", limited, free)
	}
}

// answered is how many requests the users had answered without an error.
func answered(c *testbed.Cluster) int64 {
	e := c.Summary().Endpoints[0]
	return e.Ended - e.Errors
}

// A quota below what the kernel takes is refused at once, also where more replicas have to start first, and leaves nothing
// pending.
func TestQuotaBelowTheKernels(t *testing.T) {
	t.Parallel()
	b := burner(0.2)
	b.App.Services[0].Bounds.MinCPU = 0.001
	c := newCluster(t, testbed.Config{Blueprint: b, Seed: 2})
	for _, replicas := range []int{1, 3} {
		err := c.Apply(t.Context(), &foresail.Plan{Changes: []foresail.Change{{Service: 0, To: foresail.Allocation{Replicas: replicas, CPU: 0.004}}}})
		failed, ok := err.(*foresail.ApplyError)
		if !ok || failed.Failed[0] == nil || !strings.Contains(err.Error(), "at least 0.01") {
			t.Errorf("0.004 cores for %d replicas: %v", replicas, err)
		}
	}
	if s := merged(t, c, 300*time.Millisecond); s.Services[0].Pending != nil || len(s.Services[0].Replicas) != 1 {
		t.Errorf("pending %v, %d replicas", s.Services[0].Pending, len(s.Services[0].Replicas))
	}
}

// A plan that can't be followed is an error of its service, and changes nothing there; the others are done.
func TestApplyReportsPerService(t *testing.T) {
	b := burner(0.2)
	other := *burner(0.2)
	b.App.Services = append(b.App.Services, other.App.Services[0])
	b.App.Services[1].Name = "second"
	b.Services = append(b.Services, other.Services[0])
	c := newCluster(t, testbed.Config{Blueprint: b, Seed: 2})
	err := c.Apply(t.Context(), &foresail.Plan{Changes: []foresail.Change{
		{Service: 0, To: foresail.Allocation{Replicas: 9, CPU: 0.2}},
		{Service: 1, To: foresail.Allocation{Replicas: 1, CPU: 0.4}},
		{Service: 7, To: foresail.Allocation{Replicas: 1, CPU: 0.4}},
	}})
	failed, ok := err.(*foresail.ApplyError)
	if !ok || len(failed.Failed) != 2 || failed.Failed[0] == nil || failed.Failed[7] == nil {
		t.Fatalf("Apply: %v", err)
	}
	watch(t, c, 10*time.Second, func(s *foresail.Snapshot) bool {
		if s.Services[0].Allocation.CPU != 0.2 || s.Services[0].Allocation.Replicas != 1 {
			t.Errorf("the refused change was made: %v", s.Services[0].Allocation)
		}
		return s.Services[1].Allocation.CPU == 0.4
	})
}
