// Package perf counts what the processor counts: misses of the last-level cache. Many virtual machines hide these
// counters; what they don't count is then absent, never zero.
package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrUnavailable is wrapped where this machine, or what its kernel allows, has no such counter.
var ErrUnavailable = errors.New("not available on this machine")

// Event is what is counted.
type Event struct {
	Type   uint32
	Config uint64
}

// CacheMisses are misses of the last-level cache.
var CacheMisses = Event{unix.PERF_TYPE_HARDWARE, unix.PERF_COUNT_HW_CACHE_MISSES}

// ContextSwitches are counted by the kernel itself, on every machine.
var ContextSwitches = Event{unix.PERF_TYPE_SOFTWARE, unix.PERF_COUNT_SW_CONTEXT_SWITCHES}

// Counter counts an event for one group of processes, or one process.
type Counter struct {
	fds  []int
	last []reading
	buf  [24]byte
}

// reading is what one descriptor has told: the count, and for how long it should have counted and did, nanoseconds.
type reading struct{ value, enabled, running uint64 }

// OpenGroup counts for a control group, by its directory in the hierarchy that holds perf_event (version 2 always does),
// on each of the CPUs.
func OpenGroup(dir string, cpus []int, e Event) (*Counter, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	c := &Counter{}
	for _, cpu := range cpus {
		if err := c.open(e, int(f.Fd()), cpu, unix.PERF_FLAG_PID_CGROUP); err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// OpenProcess counts for a process and what it starts from now on, wherever they run.
func OpenProcess(pid int, e Event) (*Counter, error) {
	c := &Counter{}
	if err := c.open(e, pid, -1, 0); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Counter) open(e Event, pid, cpu, flags int) error {
	attr := unix.PerfEventAttr{
		Type: e.Type, Config: e.Config, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Read_format: unix.PERF_FORMAT_TOTAL_TIME_ENABLED | unix.PERF_FORMAT_TOTAL_TIME_RUNNING,
		Bits:        unix.PerfBitInherit,
	}
	if flags&unix.PERF_FLAG_PID_CGROUP != 0 {
		attr.Bits = 0 // a group's members come and go by themselves
	}
	fd, err := unix.PerfEventOpen(&attr, pid, cpu, -1, flags|unix.PERF_FLAG_FD_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("counter %d of type %d: %w: %w", e.Config, e.Type, ErrUnavailable, err)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("counter %d of type %d: %w: %w; run as root, or give CAP_PERFMON", e.Config, e.Type, ErrUnavailable, err)
	case err != nil:
		return fmt.Errorf("counter %d of type %d: %w", e.Config, e.Type, err)
	}
	c.fds = append(c.fds, fd)
	c.last = append(c.last, reading{})
	return nil
}

// Close ends the counting.
func (c *Counter) Close() {
	if c == nil {
		return
	}
	for _, fd := range c.fds {
		_ = unix.Close(fd)
	}
	c.fds = nil
}

// Next is how many there were since the last call. Where the processor had too few counters, so that this one had to
// take turns, the count is scaled up by the share of time that it had; ok is false where it had none.
func (c *Counter) Next() (n int64, ok bool) {
	sum := 0.0
	for i, fd := range c.fds {
		if k, err := unix.Read(fd, c.buf[:]); err != nil || k != len(c.buf) {
			return 0, false
		}
		now := reading{binary.NativeEndian.Uint64(c.buf[0:]), binary.NativeEndian.Uint64(c.buf[8:]), binary.NativeEndian.Uint64(c.buf[16:])}
		value, enabled, running := now.value-c.last[i].value, now.enabled-c.last[i].enabled, now.running-c.last[i].running
		c.last[i] = now
		switch {
		case running > 0:
			sum += float64(value) * float64(enabled) / float64(running)
		case enabled > 0:
			return 0, false // nothing is known of this time
		}
	}
	return int64(sum), len(c.fds) > 0
}

// Check says whether an event can be counted here; nil: it can.
func Check(e Event) error {
	c, err := OpenProcess(0, e)
	c.Close()
	return err
}

// Online reads the CPUs of a machine, of a list as /sys/devices/system/cpu/online has it: "0-3,8".
func Online(list string) (cpus []int, err error) {
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		var a, b int
		if n, err := fmt.Sscanf(part, "%d-%d", &a, &b); n < 1 {
			return nil, fmt.Errorf("CPUs %q: %w", list, err)
		} else if n == 1 {
			b = a
		}
		if a < 0 || b < a || b > 1<<14 {
			return nil, fmt.Errorf("CPUs %q: %d to %d", list, a, b)
		}
		for cpu := a; cpu <= b; cpu++ {
			cpus = append(cpus, cpu)
		}
	}
	return cpus, nil
}
