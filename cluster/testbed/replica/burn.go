package replica

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// slice is how much CPU is burnt between two looks at the clock.
const slice = 200 * time.Microsecond

// near is how near to the demand burning ends: about what looking at the clock costs.
const near = time.Microsecond

// burner uses up CPU time.
type burner struct {
	turns  float64       // of the spinning loop in one nanosecond
	result atomic.Uint64 // of all spinning, so that no tool takes it for useless
	walk   *walk         // nil: all work is spinning
}

// newBurner measures how fast this machine spins. The fastest of some runs counts, since others may disturb one.
func newBurner() *burner {
	const turns = 200_000
	best := time.Duration(1<<63 - 1)
	b := &burner{}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for range 5 {
		start := threadCPU()
		b.result.Add(spin(turns))
		if d := threadCPU() - start; d > 0 {
			best = min(best, d)
		}
	}
	b.turns = turns / float64(best)
	return b
}

// burn uses d of CPU time, counted on the clock of the thread it runs on: being preempted or throttled counts nothing. It
// keeps its thread and its place among those that run Go code (Procs), so that the kernel shares the CPU among requests as
// it does among the threads of a server, and the network is looked at meanwhile: goroutines that yield to each other instead
// keep the runtime from polling it for up to 10 ms.
func (b *burner) burn(d time.Duration) {
	if d < near {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	d = b.walk.some(d)
	start := threadCPU()
	for left := d; left >= near; left = d - (threadCPU() - start) {
		b.result.Add(spin(int(float64(min(left, slice))*b.turns) + 1))
	}
}

// threadCPU is the CPU time that the calling thread has used.
func threadCPU() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic("replica: CLOCK_THREAD_CPUTIME_ID: " + err.Error()) // every Linux has it
	}
	return time.Duration(ts.Nano())
}

// spin does arithmetic whose turns depend on each other, so that no compiler or CPU shortens it.
//
//go:noinline
func spin(turns int) uint64 {
	x := uint64(turns)
	for range turns {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}
