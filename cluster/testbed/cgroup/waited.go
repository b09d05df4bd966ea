package cgroup

import "time"

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
