package cgroup

import "time"

// Period is the length over which a CPU quota is counted.
const Period = 100 * time.Millisecond

// Stats are a group's counters since it was made, and its memory now.
type Stats struct {
	CPU       time.Duration // used on all CPUs
	Throttled time.Duration // waits for quota, summed over CPUs: see Waited for the time on the clock
	Limited   int64         // periods in which the group used up its quota and had to wait
	Memory    int64         // bytes in use now; -1 where memory is not controlled
}

// Waited is for how long since an earlier reading the group had no quota left, on the clock, under a quota of so many
// cores.
//
// The kernel adds up the waits of each CPU that had threads of the group. In a period P in which k of them use up the
// quota Q together, each runs for Q/k and waits for P - Q/k, so the kernel's sum is k·P - Q: it tells k, and k the time.
// This is exact for threads that spin; where they come and go it lies between the longest wait and the sum.
func (s Stats) Waited(before Stats, cores float64) time.Duration {
	sum := float64(s.Throttled - before.Throttled)
	if sum <= 0 {
		return 0
	}
	// A quota that is written ends the wait, and the period is not counted.
	periods := float64(max(s.Limited-before.Limited, 1))
	cpus := (sum/periods + cores*float64(Period)) / float64(Period)
	return time.Duration(sum / max(cpus, 1))
}

// Meter turns a group's counters into what happened in each interval.
type Meter struct {
	seen Stats         // at the newest interval's end
	end  time.Duration // of it
	late time.Duration // throttled in it, or before, but not yet told
}

// StartMeter counts from a reading at an instant on, on any steady clock.
func StartMeter(now Stats, at time.Duration) Meter { return Meter{seen: now, end: at} }

// Next is what was used from the newest interval's end to the one given, under a quota of so many cores. Throttled is at
// most the time between: the kernel tells of a wait when its period is over, so what is too much belongs to the next
// interval, though never more than a period.
func (u *Meter) Next(now Stats, cores float64, end time.Duration) (cpu, throttled time.Duration) {
	cpu = now.CPU - u.seen.CPU
	waited := u.late + now.Waited(u.seen, cores)
	throttled = min(waited, max(end-u.end, 0))
	u.seen, u.end, u.late = now, max(end, u.end), min(waited-throttled, Period)
	return cpu, throttled
}

// Total is the CPU time that the group has used since it was made.
func (u *Meter) Total() time.Duration { return u.seen.CPU }
