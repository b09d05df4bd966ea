package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// work is a piece of work whose CPU time is looked at. On a busy machine it may take much longer than it costs.
type work struct {
	wall time.Time
	cpu  time.Duration // of the thread
}

func startWork() work { return work{time.Now(), threadTime()} }

// took is the CPU time since the work began: at most the time that went by, should the scheduler have moved it to another thread.
func (w work) took() time.Duration {
	return min(max(threadTime()-w.cpu, 0), time.Since(w.wall))
}

func threadTime() time.Duration {
	var ts unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) // every Linux has it
	return time.Duration(ts.Nano())
}
