package testbed_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// refused expects New to fail with one line that says all of want, and to leave nothing.
func refused(t *testing.T, cfg testbed.Config, want ...string) error {
	t.Helper()
	run := t.TempDir()
	if cfg.Dir == "" {
		cfg.Dir = run
	}
	before := len(children(os.Getpid()))
	c, err := testbed.New(t.Context(), cfg)
	if err == nil {
		c.Close()
		t.Fatal("the testbed started")
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the error has more than one line: %v", err)
	}
	if n := len(children(os.Getpid())); n != before {
		t.Errorf("%d child processes are left", n-before)
	}
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("the run directory still holds %v", left)
	}
	return err
}

func TestNoReceiver(t *testing.T) {
	refused(t, testbed.Config{Blueprint: twoTier(), OTLP: "127.0.0.1:1"}, "no OTLP receiver at 127.0.0.1:1", "connection refused", "start it")
}

func TestCgroupInUse(t *testing.T) {
	first := newCluster(t, testbed.Config{Blueprint: burner(0.2)})
	root := filepath.Base(filepath.Dir(groupDir(t, first)))
	err := refused(t, testbed.Config{Blueprint: burner(0.2), OTLP: newReceiver(t).address, CgroupRoot: root}, root, "there already")
	if !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	watch(t, first, 5*time.Second, func(s *foresail.Snapshot) bool { return s.Services[0].Ready == 1 }) // it was not harmed
}

// Without its load generator a run is over, and says so.
func TestUsersDie(t *testing.T) {
	c := newCluster(t, testbed.Config{Blueprint: burner(0.2), Load: rate(5)})
	merged(t, c, 200*time.Millisecond)
	pid := member(t, filepath.Join(filepath.Dir(groupDir(t, c)), "users"))
	err := syscall.Kill(pid, syscall.SIGKILL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for err == nil {
		_, err = c.Next(ctx)
	}
	if !strings.Contains(err.Error(), "load generator") || !strings.Contains(err.Error(), "killed") {
		t.Errorf("Next: %v", err)
	}
}

// When the receiver of spans goes away, requests are served as before, and the spans that are lost are counted.
func TestReceiverGoesAway(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: pair(1), Load: rate(50), Seed: 13, OTLP: r.address})
	merged(t, c, 300*time.Millisecond)
	r.server.Stop()
	dropped := 0.0
	watch(t, c, 30*time.Second, func(s *foresail.Snapshot) bool {
		dropped += s.Dropped
		return dropped >= 50
	})
	if e := c.Summary().Endpoints[0]; e.Errors > 0 || e.Ended < 50 || dropped < 50 {
		t.Errorf("%v spans dropped; the users' figures: %+v", dropped, e)
	}
}

// Every fault of a configuration is said at once.
func TestConfigFaults(t *testing.T) {
	_, err := testbed.New(t.Context(), testbed.Config{Duration: -1, Beat: time.Millisecond, Outstanding: -1})
	for _, w := range []string{"no application", "no OTLP address", "duration", "beat", "outstanding"} {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("the error does not speak of %q: %v", w, err)
		}
	}
}

// Without permission there is one line that names the path and what to do, and ErrNoCgroup.
func TestNoPermission(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to become somebody who may not make cgroups")
	}
	cmd := exec.Command("/proc/self/exe", roleParent, newReceiver(t).address, "foresail-test-nobody", "/tmp")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []string{testbed.ErrNoCgroup.Error(), "/sys/fs/cgroup", "foresail-test-nobody", "permission denied", "run as root"} {
		if !bytes.Contains(out, []byte(w)) {
			t.Errorf("the error does not say %q: %s", w, out)
		}
	}
}

// A full disk is found when the data files are filled, before anything is served.
func TestDiskFull(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	small := t.TempDir()
	if err := syscall.Mount("none", small, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("no small disk can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	refused(t, testbed.Config{Blueprint: twoTier(), OTLP: newReceiver(t).address, Dir: small}, "store-0", "data file", "no space left on device")
}

// Replicas hold the memory that they should, and limits are written where memory is managed. A limit below what is in
// use can't be had, which is an error of that service.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	b := pair(1)
	b.App.Services[1].Initial.Memory = 256 << 20
	b.App.Services[1].Bounds.MinMemory, b.App.Services[1].Bounds.MaxMemory = 1<<20, 1<<30
	b.Services[1].BaseMemory = 64 << 20
	b.Services[1].Start = 0
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(20), Seed: 9})
	s := merged(t, c, 300*time.Millisecond)
	if m := s.Services[1].Memory; m < 40<<20 || m > 120<<20 {
		t.Errorf("a replica of 64 MiB uses %d bytes", m)
	}
	if s.Services[1].Allocation.Memory != 256<<20 {
		t.Errorf("allocation %+v", s.Services[1].Allocation)
	}
	dir := groupDir(t, c)
	limit := func(service string) (values []string) {
		for _, w := range c.Writes() {
			if strings.HasPrefix(w.Replica, service) && strings.Contains(w.Path, "memory") {
				values = append(values, w.Value)
			}
		}
		return values
	}
	if v := limit("back"); len(v) != 1 || v[0] != strconv.Itoa(256<<20) || len(limit("front")) != 0 {
		t.Errorf("memory limits written: %v, %v; see %s", v, limit("front"), dir)
	}
	if v1 := strings.HasSuffix(c.Writes()[len(c.Writes())-1].Path, "memory.limit_in_bytes"); v1 {
		err := c.Apply(t.Context(), &foresail.Plan{Changes: []foresail.Change{{Service: 1, To: foresail.Allocation{Replicas: 1, CPU: 0.5, Memory: 16 << 20}}}})
		var failed *foresail.ApplyError
		if !errors.As(err, &failed) || failed.Failed[1] == nil || !strings.Contains(err.Error(), "memory.limit_in_bytes") {
			t.Errorf("a limit below what is in use: %v", err)
		}
	}
	apply(t, c, 1, foresail.Allocation{Replicas: 1, CPU: 0.5, Memory: 512 << 20})
	watch(t, c, 10*time.Second, func(s *foresail.Snapshot) bool { return s.Services[1].Allocation.Memory == 512<<20 })
}

// Intervals follow each other without a gap, on whole beats, until the duration is over; one that was missed is part of
// the next.
func TestIntervals(t *testing.T) {
	t.Parallel()
	c := newCluster(t, testbed.Config{Blueprint: burner(0.2), Duration: 2 * time.Second})
	var last *foresail.Snapshot
	var sum time.Duration
	for n := 0; ; n++ {
		s, err := c.Next(t.Context())
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if last != nil && !s.Start.Equal(last.End) || !s.End.Equal(s.End.Truncate(foresail.Beat)) || s.Start.Location() != time.UTC {
			t.Errorf("an interval from %v to %v", s.Start, s.End)
		}
		if late := time.Since(s.End); late < 0 || late > 2*time.Second {
			t.Errorf("the interval that ended at %v was told %v later", s.End, late)
		}
		last, sum = s, sum+s.Duration()
		if n == 3 { // be late
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			<-ctx.Done()
			cancel()
			s, err := c.Next(t.Context())
			if err != nil || s.Duration() < 200*time.Millisecond || !s.Start.Equal(last.End) {
				t.Errorf("after a pause: %v to %v, %v", s.Start, s.End, err)
			}
			last, sum = s, sum+s.Duration()
		}
	}
	if sum != 2*time.Second {
		t.Errorf("the intervals cover %v of 2s", sum)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx); err != io.EOF {
		t.Errorf("Next after the end: %v", err)
	}
}
