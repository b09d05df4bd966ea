package cgroup

import (
	"testing"
	"time"
)

// A wait that the kernel tells of in one interval and that belongs to two is shared between them: no interval holds more
// than it is long, and none of the wait is lost.
func TestThrottledIsAShareOfTheInterval(t *testing.T) {
	const beat = 100 * time.Millisecond
	var u Meter
	var now Stats
	sum := time.Duration(0)
	for i, periods := range []int64{1, 2, 0, 1, 1, 2, 0, 0} { // of 0.2 cores, two threads: 90 ms each
		now.Limited += periods
		now.Throttled += time.Duration(periods) * 180 * time.Millisecond
		now.CPU += 20 * time.Millisecond
		cpu, throttled := u.Next(now, 0.2, time.Duration(i+1)*beat)
		if cpu != 20*time.Millisecond || throttled < 0 || throttled > beat {
			t.Errorf("interval %d: %v used, throttled for %v", i, cpu, throttled)
		}
		sum += throttled
	}
	if sum != 7*90*time.Millisecond {
		t.Errorf("throttled for %v altogether", sum)
	}
	now.Throttled += time.Hour // whatever a kernel tells: at most a period is left for later
	now.Limited += 40_000
	u.Next(now, 0.2, 9*beat)
	_, a := u.Next(now, 0.2, 10*beat)
	if _, b := u.Next(now, 0.2, 11*beat); a != beat || b != 0 {
		t.Errorf("after an hour: %v, then %v", a, b)
	}
	if _, got := u.Next(now, 0.2, 11*beat-1); got != 0 {
		t.Errorf("an interval of no length: %v", got)
	}
}
