package testbed

import (
	"time"

	"foresail.dev/cluster/testbed/cgroup"
)

// usage turns the counters of a replica's cgroup into what happened in each interval.
type usage struct {
	seen cgroup.Stats  // at the newest interval's end
	end  time.Duration // of it, since the epoch
	late time.Duration // throttled in it, or before, but not yet told
}

// next is what was used from the newest interval's end to the one given. Throttled is at most the time between: the
// kernel tells of a wait when its period is over, so what is too much belongs to the next interval, though never more
// than a period.
func (u *usage) next(now cgroup.Stats, cores float64, end time.Duration) (cpu, throttled time.Duration) {
	cpu = now.CPU - u.seen.CPU
	waited := u.late + now.Waited(u.seen, cores)
	throttled = min(waited, max(end-u.end, 0))
	u.seen, u.end, u.late = now, max(end, u.end), min(waited-throttled, cgroup.Period)
	return cpu, throttled
}
