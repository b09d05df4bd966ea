package load

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/agent/probe"
)

// Victim is a small piece of work that lives on one resource. It is used by one goroutine.
type Victim struct {
	Resource probe.Resource
	w        *worker
	cpus     []int
	free     func() error
}

// Price is what a piece of a victim's work took, seconds.
type Price struct {
	CPU  float64 // on the thread's own clock; of disks and networks, which nobody computes for, nothing is made of it
	Wall float64
}

// OpenVictim makes a victim; errors are as Open's. Of Config.CPUs the first is its.
func OpenVictim(r probe.Resource, c Config) (*Victim, error) {
	c = c.complete()
	w, free, err := newWorker(r, c, true)
	if err != nil {
		return nil, err
	}
	if free == nil {
		free = func() error { return nil }
	}
	return &Victim{r, w, c.CPUs, free}, nil
}

// Close gives back what it holds.
func (v *Victim) Close() error { return v.free() }

// Computes tells whether the victim works on a CPU, so that its price is CPU time; else it is time on the wall.
func (v *Victim) Computes() bool { return v.w.cpu }

// Suffer works for about as long as is said, and tells the mean price of a piece. cold: it begins with whatever others have
// left of its caches; else it first makes them its own again.
func (v *Victim) Suffer(d time.Duration, cold bool) (Price, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer on(v.cpus, 0)()
	for warm := time.Now(); !cold && time.Since(warm) < d/8; {
		if err := v.w.chunk(); err != nil {
			return Price{}, err
		}
	}
	began, cpu := time.Now(), threadCPU()
	n := 0
	for n == 0 || time.Since(began) < d {
		if err := v.w.chunk(); err != nil {
			return Price{}, err
		}
		n++
	}
	return Price{CPU: (threadCPU() - cpu).Seconds() / float64(n), Wall: time.Since(began).Seconds() / float64(n)}, nil
}

// threadCPU is the CPU time of the calling thread.
func threadCPU() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // every Linux has it
	return time.Duration(ts.Nano())
}
