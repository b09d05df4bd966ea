package wire

import (
	"time"

	"golang.org/x/sys/unix"
)

// Epoch ties wall-clock time to the machine's monotonic clock at one instant. All processes of a testbed derive their
// timestamps from the same epoch, so that setting the machine's clock during a run moves none of them.
type Epoch struct {
	Wall int64 // nanoseconds since 1970, UTC
	Mono int64 // CLOCK_MONOTONIC, nanoseconds
}

// NewEpoch is now.
func NewEpoch() Epoch { return Epoch{Wall: time.Now().UnixNano(), Mono: monotonic()} }

// Clock is a steady clock: it advances evenly from its epoch, whatever happens to the machine's clock.
type Clock struct {
	epoch time.Time
	local time.Time     // read from this process's clock at the same instant as since
	since time.Duration // from the epoch to local
}

// NewClock starts from an epoch of this machine.
func NewClock(e Epoch) Clock {
	return Clock{epoch: time.Unix(0, e.Wall).UTC(), since: time.Duration(monotonic() - e.Mono), local: time.Now()}
}

// Elapsed is the time since the epoch.
func (c Clock) Elapsed() time.Duration { return c.since + time.Since(c.local) }

// Now is the steady time, UTC.
func (c Clock) Now() time.Time { return c.At(c.Elapsed()) }

// At is the steady time at an offset from the epoch.
func (c Clock) At(d time.Duration) time.Time { return c.epoch.Add(d) }

// Sleep waits for d to within about 0.1 ms, which time.Sleep, rounding to milliseconds, does not. It occupies a thread.
func Sleep(d time.Duration) {
	end := time.Now().Add(d)
	for left := d; left > 0; left = time.Until(end) { // a signal may interrupt it
		ts := unix.NsecToTimespec(int64(left))
		_ = unix.Nanosleep(&ts, nil)
	}
}

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("wire: CLOCK_MONOTONIC: " + err.Error()) // every Linux has it
	}
	return ts.Nano()
}
