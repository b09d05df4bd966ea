// Package cfs is the CPU of one replica: processor sharing under a quota, as Linux' completely fair scheduler gives it to a
// cgroup.
package cfs

// Period is the length of a CFS quota period, as Linux and Kubernetes set it.
const Period = int64(100e6)

// Never is later than anything.
const Never = int64(1<<63 - 1)

// Core is one core where parts of cores are counted.
const Core = int64(1 << 10)

// Group is a replica's share of its node's cores: processor sharing under a quota.
//
// Each runnable thread runs at full speed, up to the cores that the replica may have together, until the quota of the
// period (limit × 100 ms) is used up; then all wait for the next period. As all threads advance at one rate, a thread is
// done when the virtual time, which is what each runnable thread has received, reaches its finish: a small heap by finish
// is enough, and one event of the kernel at most. The quota is counted in whole nanoseconds of CPU. Threads that use it up
// between two nanoseconds run to the end of the nanosecond, and the next period has that much less.
//
// Cores and Slow may be written at any time after Advance; the counters may be read then, and set back. A Group must not be
// copied once it has threads.
type Group struct {
	jobs    []job   // a heap by finish
	first   [2]job  // where jobs begins, as most have no more
	virtual float64 // ns that each runnable thread received since there were any
	at      int64   // the instant that all this refers to
	start   int64   // of the current period, start ≤ at < start+period
	quota   int64   // ns of CPU per period
	used    int64   // of it, in this period or since the quota last changed
	Cores   int64   // that the node leaves it, in parts of 1/Core
	Slow    float64 // share of each running thread's time that is lost to its neighbours, 0..1
	Total   int64   // ns of CPU used

	Throttled int64 // ns during which runnable threads had to wait for the next period, since the last reset
	Waited    int64 // ns during which some had to wait for a core, since the last reset
}

// job is a thread that is runnable: the frame that goes on when it is done.
type job struct {
	finish float64
	frame  int32
}

// Reset makes it one without threads at the instant now, whose first period began so long ago, less than a Period, with a
// limit in cores and as many in parts of 1/Core as the node leaves it.
func (c *Group) Reset(now, ago int64, limit float64, cores int64) {
	jobs := c.jobs[:0]
	*c = Group{jobs: jobs, at: now, start: now - ago, quota: quota(limit), Cores: cores}
	if cap(c.jobs) == 0 {
		c.jobs = c.first[:0]
	}
}

// quota is the CPU time per period that a limit in cores gives.
func quota(cores float64) int64 { return max(int64(cores*float64(Period)+0.5), 1) }

// Threads is how many are runnable, those that wait for quota included.
func (c *Group) Threads() int { return len(c.jobs) }

// Waits reports whether its quota is used up.
func (c *Group) Waits() bool { return c.used >= c.quota }

// Drop takes out a thread that is not done; false: there is none.
func (c *Group) Drop() (frame int32, ok bool) {
	last := len(c.jobs) - 1
	if last < 0 {
		return -1, false
	}
	frame = c.jobs[last].frame
	c.jobs = c.jobs[:last]
	return frame, true
}

// Advance brings everything to the instant now.
func (c *Group) Advance(now int64) {
	for c.at < now {
		if len(c.jobs) == 0 {
			c.at = now
			c.turn()
			return
		}
		until := min(now, c.start+Period)
		if left := c.quota - c.used; left > 0 {
			busy := c.busy()
			if busy*(until-c.at) > left*Core {
				until = c.at + (left*Core+busy-1)/busy
			}
			d := until - c.at
			ran := busy * d / Core
			c.used += ran
			c.Total += ran
			c.virtual += float64(d) * c.rate()
			if busy < int64(len(c.jobs))*Core {
				c.Waited += d
			}
		} else if c.Stopped() {
			c.Total += (until - c.at) * min(c.quota, Period) / Period
		} else {
			c.Throttled += until - c.at
		}
		c.at = until
		c.turn()
	}
}

// turn begins the period that at lies in.
func (c *Group) turn() {
	if n := (c.at - c.start) / Period; n > 0 {
		c.start += n * Period
		if c.used/c.quota < n {
			c.used = 0
		} else {
			c.used -= n * c.quota
		}
	}
}

// Limit changes the cores that the replica may use. The quota of the running period begins anew, as the kernel refills it
// and lets throttled threads run on whenever it is written. Advance comes first.
func (c *Group) Limit(cores float64) {
	c.quota = quota(cores)
	if !c.Stopped() {
		c.used = 0
	}
}

// stopped is more quota than any is: used up for as long as it lasts.
const stopped = int64(1 << 62)

// Stop makes all threads wait until Go, as garbage collectors do: what stops them uses a core while there are any, or the
// limit where that is less. Advance comes first.
func (c *Group) Stop() { c.used = stopped }

// Go lets threads run again, with a quota that begins anew. Advance comes first.
func (c *Group) Go() {
	if c.Stopped() {
		c.used = 0
	}
}

// Stopped reports whether threads wait for Go.
func (c *Group) Stopped() bool { return c.used > stopped/2 }

// busy is how many cores the runnable threads keep busy while there is quota, in parts of 1/Core.
func (c *Group) busy() int64 { return min(int64(len(c.jobs))*Core, c.Cores) }

// rate is how fast each runnable thread advances while there is quota.
func (c *Group) rate() float64 {
	if n := int64(len(c.jobs)) * Core; n > c.Cores {
		return (1 - c.Slow) * float64(c.Cores) / float64(n)
	}
	return 1 - c.Slow
}

// Next is when the replica must be looked at again if nothing else happens: when the first thread is done or, where the
// quota is used up before that, at the start of the next period.
func (c *Group) Next() int64 {
	if len(c.jobs) == 0 || c.Stopped() {
		return Never
	}
	end := c.start + Period
	left := c.quota - c.used
	if left <= 0 {
		return end
	}
	wait := max((c.jobs[0].finish-c.virtual)/c.rate(), 0) // below 0: it is done at this very instant
	done := c.at + int64(wait)
	if float64(int64(wait)) < wait {
		done++
	}
	busy := c.busy()
	if busy*(end-c.at) > left*Core { // used up within this period
		if done <= c.at+(left*Core+busy-1)/busy {
			return done
		}
		return end
	}
	if done <= end || busy*Period <= c.quota*Core {
		return done
	}
	return end
}

// Add starts a thread that needs so many nanoseconds. Advance comes first.
func (c *Group) Add(need int64, frame int32) {
	if len(c.jobs) == 0 {
		c.virtual = 0
	}
	j := job{finish: c.virtual + float64(need), frame: frame}
	c.jobs = append(c.jobs, j)
	i := len(c.jobs) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if c.jobs[parent].finish <= j.finish {
			break
		}
		c.jobs[i] = c.jobs[parent]
		i = parent
	}
	c.jobs[i] = j
}

// Pop takes out a thread that is done. Where threads share cores, half a nanosecond is left to rounding.
func (c *Group) Pop() (frame int32, ok bool) {
	if len(c.jobs) == 0 || c.jobs[0].finish > c.virtual+0.5 {
		return -1, false
	}
	frame = c.jobs[0].frame
	last := len(c.jobs) - 1
	j := c.jobs[last]
	c.jobs = c.jobs[:last]
	i := 0
	for {
		child := 2*i + 1
		if child >= last {
			break
		}
		if child+1 < last && c.jobs[child+1].finish < c.jobs[child].finish {
			child++
		}
		if j.finish <= c.jobs[child].finish {
			break
		}
		c.jobs[i] = c.jobs[child]
		i = child
	}
	if last > 0 {
		c.jobs[i] = j
	}
	return frame, true
}
