package load

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/agent/probe"
)

// Config says what loads and victims may take. Zero fields have the value in brackets.
type Config struct {
	Dir     string // on the disk that is loaded; files in it have no name [the system's temporary directory]
	Peer    string // host:port of a Sink beyond the network that is loaded; empty: the network can't be loaded
	Threads int    // of a load, but for disks and networks [half of the CPUs, at least one]
	CPUs    []int  // that a load's threads are kept on, in turn; empty: wherever the kernel puts them
	Sizes   Sizes  // of caches [those of this machine]
}

func (c Config) complete() Config {
	if c.Threads <= 0 {
		c.Threads = max(runtime.NumCPU()/2, 1)
	}
	if c.Sizes == (Sizes{}) {
		c.Sizes = ReadSizes("/sys", "/proc")
	}
	return c
}

// Unavailable says why a resource can't be loaded here.
type Unavailable struct {
	Resource probe.Resource
	Reason   string
}

func (u *Unavailable) Error() string {
	return fmt.Sprintf("%s probe: unavailable: %s", u.Resource, u.Reason)
}

// Load loads one resource. It is used by one goroutine.
type Load struct {
	of      probe.Resource
	threads []*worker
	cpus    []int
	free    []func() error
}

// worker is one thread's part: a chunk takes some ten microseconds, or as long as a disk or a network takes to answer.
type worker struct {
	chunk func() error
	cpu   bool // it works on a CPU, so that its intensity is a share of time; else of the workers
}

// slice is the time of which a load works a share.
const slice = time.Millisecond

// Open makes what a load needs: memory, a file, a connection. The error is an *Unavailable where the machine can't have
// the load. Close gives everything back.
func Open(r probe.Resource, c Config) (*Load, error) {
	c = c.complete()
	l := &Load{of: r, cpus: c.CPUs}
	n := c.Threads
	if r == probe.Disk {
		n = depth
	}
	for range n {
		w, free, err := newWorker(r, c, false)
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.threads = append(l.threads, w)
		if free != nil {
			l.free = append(l.free, free)
		}
	}
	return l, nil
}

// newWorker makes a load's part, or, where gentle, a victim's.
func newWorker(r probe.Resource, c Config, gentle bool) (*worker, func() error, error) {
	switch r {
	case probe.IntegerCore:
		return &worker{integers, true}, nil, nil
	case probe.FloatCore:
		return &worker{floats, true}, nil, nil
	case probe.L1Instructions:
		return code(gentle)
	case probe.L1Data, probe.L2, probe.LastLevelCache:
		return cached(r, c.Sizes, gentle)
	case probe.MemoryBandwidth:
		return stream(c.Sizes)
	case probe.MemoryCapacity:
		return pages(gentle)
	case probe.Disk:
		return disk(c.Dir, gentle)
	case probe.Network:
		return network(c.Peer, gentle)
	}
	return nil, nil, fmt.Errorf("probe: there is no resource %q", r)
}

// Close gives back what the load holds; of nil nothing.
func (l *Load) Close() error {
	if l == nil {
		return nil
	}
	var errs []error
	for _, f := range l.free {
		errs = append(errs, f())
	}
	l.free, l.threads = nil, nil
	return errors.Join(errs...)
}

// Burst loads the resource for some time and waits for its end. intensity is above 0 and at most 1: the share of the time in
// which each thread works, for disks the share of the requests that are under way at once.
//
// worked is the share of what was asked for that the load had a CPU for; 1 for disks and networks.
func (l *Load) Burst(intensity float64, d time.Duration) (worked float64, err error) {
	if !(intensity > 0 && intensity <= 1) {
		return 0, fmt.Errorf("%s probe: intensity %v: must be above 0 and at most 1", l.of, intensity)
	}
	end := time.Now().Add(d)
	var wait sync.WaitGroup
	errs := make([]error, len(l.threads))
	spent := make([]time.Duration, len(l.threads))
	for i, w := range l.threads {
		if !w.cpu && float64(i) >= intensity*float64(len(l.threads)) {
			continue
		}
		wait.Go(func() {
			if !w.cpu {
				errs[i] = w.work(intensity, end)
				return
			}
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			defer on(l.cpus, i)()
			began := threadCPU()
			errs[i] = w.work(intensity, end)
			spent[i] = threadCPU() - began
		})
	}
	wait.Wait()
	worked = 1
	if l.threads[0].cpu {
		sum := time.Duration(0)
		for _, s := range spent {
			sum += s
		}
		worked = min(1, float64(sum)/(intensity*float64(d)*float64(len(l.threads))))
	}
	return worked, errors.Join(errs...)
}

// work does chunks until the end.
func (w *worker) work(intensity float64, end time.Time) error {
	for now := time.Now(); now.Before(end); now = time.Now() {
		busy := end
		if w.cpu && intensity < 1 {
			busy = now.Add(time.Duration(intensity * float64(slice)))
		}
		for now.Before(busy) && now.Before(end) {
			if err := w.chunk(); err != nil {
				return err
			}
			now = time.Now()
		}
		if rest := time.Duration((1 - intensity) * float64(slice)); w.cpu && intensity < 1 && now.Before(end) {
			time.Sleep(min(rest, end.Sub(now)))
		}
	}
	return nil
}

// on keeps the calling goroutine on the i-th of some CPUs until what it returns is called.
func on(cpus []int, i int) (off func()) {
	if len(cpus) == 0 {
		return func() {}
	}
	runtime.LockOSThread()
	var before, now unix.CPUSet
	now.Set(cpus[i%len(cpus)])
	err := unix.SchedGetaffinity(0, &before)
	if err == nil {
		err = unix.SchedSetaffinity(0, &now)
	}
	return func() {
		if err == nil && unix.SchedSetaffinity(0, &before) != nil {
			return // the thread ends with its goroutine, rather than be used by others
		}
		runtime.UnlockOSThread()
	}
}
