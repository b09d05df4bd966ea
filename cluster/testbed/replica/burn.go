package replica

import (
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// slice is how much CPU is burnt between two looks at the clock. Other requests may run in between, so that requests
// share the CPU in turns of this length.
const slice = 200 * time.Microsecond

// near is how near to the demand burning ends: about what looking at the clock costs.
const near = time.Microsecond

// burner uses up CPU time.
type burner struct {
	turns  float64       // of the spinning loop in one nanosecond
	result atomic.Uint64 // of all spinning, so that no tool takes it for useless
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

// burn uses d of CPU time, counted on the clock of the thread it runs on: being preempted or throttled counts nothing.
func (b *burner) burn(d time.Duration) {
	for used := time.Duration(0); used < d-near; {
		used += b.spinFor(min(d-used, slice))
		if used < d-near {
			runtime.Gosched()
		}
	}
}

// spinFor spins for about d and returns the CPU time that it took.
func (b *burner) spinFor(d time.Duration) time.Duration {
	runtime.LockOSThread() // both looks must be at the same thread's clock
	defer runtime.UnlockOSThread()
	start := threadCPU()
	b.result.Add(spin(int(float64(d)*b.turns) + 1))
	return threadCPU() - start
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
