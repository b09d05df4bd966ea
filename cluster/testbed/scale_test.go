package testbed_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// pair is a front end with one service behind it.
func pair(replicas int) *foresail.Blueprint {
	return blueprint(
		svc{"front", foresail.Allocation{Replicas: 1, CPU: 0.5}, foresail.ServiceBlueprint{Operations: operation("page",
			foresail.Step{Calls: []foresail.Call{{Target: foresail.Target{Service: 1}, Probability: 1, Repeat: 1}}})}},
		svc{"back", foresail.Allocation{Replicas: replicas, CPU: 0.5}, foresail.ServiceBlueprint{Start: 600 * time.Millisecond,
			Operations: operation("do", foresail.Step{Work: cpu(time.Millisecond)})}},
	)
}

func apply(t *testing.T, c *testbed.Cluster, id foresail.ServiceID, to foresail.Allocation) {
	t.Helper()
	if err := c.Apply(t.Context(), &foresail.Plan{Changes: []foresail.Change{{Service: id, To: to}}}); err != nil {
		t.Fatal(err)
	}
}

// serving waits until a service has so many ready replicas and no other.
func serving(t *testing.T, c *testbed.Cluster, id foresail.ServiceID, n int) {
	t.Helper()
	watch(t, c, 20*time.Second, func(s *foresail.Snapshot) bool {
		x := &s.Services[id]
		got := 0
		for _, r := range x.Replicas {
			if r.Has.Has(foresail.SignalReady) {
				got++
			}
		}
		return x.Ready == n && got == n && x.Pending == nil
	})
}

// Replicas come and go under load, and no request notices. A narrower allocation with more replicas takes effect only
// when these are ready.
func TestScalingLosesNoRequest(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: pair(1), Load: rate(150), Seed: 3, OTLP: r.address})
	apply(t, c, 1, foresail.Allocation{Replicas: 3, CPU: 0.2})
	sawWait := false
	watch(t, c, 20*time.Second, func(s *foresail.Snapshot) bool {
		x := &s.Services[1]
		if x.Ready < 3 && x.Allocation.CPU == 0.2 {
			t.Errorf("the quota fell when %d of 3 replicas were ready", x.Ready)
		}
		sawWait = sawWait || x.Pending != nil && x.Pending.Replicas == 3
		return x.Ready == 3 && x.Allocation.CPU == 0.2 && x.Pending == nil
	})
	if !sawWait {
		t.Error("no snapshot told that the change was pending")
	}
	for _, name := range []string{"back-0", "back-1", "back-2"} {
		eventually(t, 10*time.Second, "requests at "+name, func() bool {
			return r.count(func(s foresail.Span) bool { return s.Replica == name && s.Kind == foresail.KindServer }) > 10
		})
	}
	apply(t, c, 1, foresail.Allocation{Replicas: 1, CPU: 0.5})
	serving(t, c, 1, 1)
	merged(t, c, 500*time.Millisecond)
	shut(t, c)
	if e := c.Summary().Endpoints[0]; e.Errors > 0 || e.Sent < 150 {
		t.Errorf("%d of %d requests failed", e.Errors, e.Sent)
	}
}

// A draining replica keeps the limits that it had, whether those of its service fall or rise.
func TestDrainingReplicaKeepsItsQuota(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testbed.Config{Blueprint: pair(2), Load: rate(20), Seed: 7})
	apply(t, c, 1, foresail.Allocation{Replicas: 1, CPU: 0.2})
	apply(t, c, 1, foresail.Allocation{Replicas: 1, CPU: 0.8}) // it drains still: it waits until nobody has called for a while
	written := map[string]int{}
	for _, w := range c.Writes() {
		if !w.Initial {
			written[w.Replica]++
		}
	}
	if written["back-0"] != 2 || written["back-1"] != 0 {
		t.Errorf("%d limits were written to the replica that stays, and %d to the one that drains", written["back-0"], written["back-1"])
	}
}

// A replica is cold when its first requests come, however long it took to start: its warm-up begins when it is ready.
func TestColdAfterStartUpDelay(t *testing.T) {
	t.Parallel()
	b := pair(1)
	b.Services[1].Start, b.Services[1].Warmup, b.Services[1].ColdFactor = 2500*time.Millisecond, 2500*time.Millisecond, 10
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(50), Seed: 6, OTLP: r.address})
	apply(t, c, 1, foresail.Allocation{Replicas: 2, CPU: 0.5})
	first := func() (out []time.Duration) {
		for _, s := range r.all() {
			if s.Replica == "back-1" && s.Kind == foresail.KindServer {
				out = append(out, s.End.Sub(s.Start))
			}
		}
		return out[:min(len(out), 5)]
	}
	eventually(t, 20*time.Second, "requests at back-1", func() bool { return len(first()) == 5 })
	if took := first(); slices.Min(took) < 3*time.Millisecond {
		t.Errorf("the first requests, of 1 ms when warm and up to 10 ms when cold, took %v", took)
	}
}

// A replica that is killed in mid-run is taken out of the routes and replaced.
func TestKilledReplicaIsReplaced(t *testing.T) {
	t.Parallel()
	root := "foresail-test-kill-" + strconv.Itoa(os.Getpid())
	c := newCluster(t, testbed.Config{Blueprint: pair(2), Load: rate(50), Seed: 4, CgroupRoot: root})
	serving(t, c, 1, 2)
	var dir string
	for _, w := range c.Writes() {
		if w.Replica == "back-0" {
			dir = filepath.Dir(w.Path)
		}
	}
	if err := syscall.Kill(member(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	sawLoss, held := false, true
	watch(t, c, 20*time.Second, func(s *foresail.Snapshot) bool {
		sawLoss = sawLoss || s.Services[1].Ready == 1
		held = held && s.Services[1].Allocation.Replicas == 2
		return sawLoss && s.Services[1].Ready == 2
	})
	if !sawLoss || !held {
		t.Errorf("loss seen: %v; allocation kept: %v", sawLoss, held)
	}
	eventually(t, 5*time.Second, "the dead replica's cgroup removed", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
	before := c.Summary().Endpoints[0]
	merged(t, c, 2*time.Second)
	after := c.Summary().Endpoints[0]
	if after.Errors > before.Errors || answered(c) <= before.Ended {
		t.Errorf("after the replacement: %+v, then %+v", before, after)
	}
}
