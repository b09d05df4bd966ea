package sim

// period is the length of a CFS quota period, as Linux and Kubernetes set it.
const period = int64(100e6)

// never is later than anything.
const never = int64(1<<63 - 1)

// core is one core where parts of cores are counted.
const core = int64(1 << 10)

// cpu is a replica's share of its node's cores: processor sharing under a quota.
//
// Each runnable thread runs at full speed, up to the cores that the replica may have together, until the quota of the period (limit ×
// 100 ms) is used up; then all wait for the next period. As all threads advance at one rate, a thread is done when the
// virtual time, which is what each runnable thread has received, reaches its finish: a small heap by finish is enough,
// and one event of the kernel at most. The quota is counted in whole nanoseconds of CPU. Threads that use it up between
// two nanoseconds run to the end of the nanosecond, and the next period has that much less.
type cpu struct {
	jobs    []job   // a heap by finish
	virtual float64 // ns that each runnable thread received since there were any
	at      int64   // the instant that all this refers to
	start   int64   // of the current period, start ≤ at < start+period
	quota   int64   // ns of CPU per period
	used    int64   // of it, in this period or since the quota last changed
	cores   int64   // that the node leaves it, in parts of 1/core
	slow    float64 // share of each running thread's time that is lost to its neighbours, 0..1

	total     int64 // ns of CPU used
	throttled int64 // ns during which runnable threads had to wait for the next period, since the last reset
	waited    int64 // ns during which some had to wait for a core, since the last reset
}

// job is a thread that is runnable: the frame that goes on when it is done.
type job struct {
	finish float64
	frame  int32
}

// advance brings everything to the instant now.
func (c *cpu) advance(now int64) {
	for c.at < now {
		if len(c.jobs) == 0 {
			c.at = now
			c.turn()
			return
		}
		until := min(now, c.start+period)
		if left := c.quota - c.used; left > 0 {
			busy := c.busy()
			if busy*(until-c.at) > left*core {
				until = c.at + (left*core+busy-1)/busy
			}
			d := until - c.at
			ran := busy * d / core
			c.used += ran
			c.total += ran
			c.virtual += float64(d) * c.rate()
			if busy < int64(len(c.jobs))*core {
				c.waited += d
			}
		} else {
			c.throttled += until - c.at
		}
		c.at = until
		c.turn()
	}
}

// turn begins the period that at lies in.
func (c *cpu) turn() {
	if n := (c.at - c.start) / period; n > 0 {
		c.start += n * period
		if c.used/c.quota < n {
			c.used = 0
		} else {
			c.used -= n * c.quota
		}
	}
}

// limit changes the cores that the replica may use. The quota of the running period begins anew, as the kernel refills it
// and lets throttled threads run on whenever it is written. advance comes first.
func (c *cpu) limit(cores float64) { c.quota, c.used = quota(cores), 0 }

// busy is how many cores the runnable threads keep busy while there is quota, in parts of 1/core.
func (c *cpu) busy() int64 { return min(int64(len(c.jobs))*core, c.cores) }

// rate is how fast each runnable thread advances while there is quota.
func (c *cpu) rate() float64 {
	if n := int64(len(c.jobs)) * core; n > c.cores {
		return (1 - c.slow) * float64(c.cores) / float64(n)
	}
	return 1 - c.slow
}

// next is when the replica must be looked at again if nothing else happens: when the first thread is done or, where the
// quota is used up before that, at the start of the next period.
func (c *cpu) next() int64 {
	if len(c.jobs) == 0 {
		return never
	}
	end := c.start + period
	left := c.quota - c.used
	if left <= 0 {
		return end
	}
	wait := (c.jobs[0].finish - c.virtual) / c.rate()
	done := c.at + int64(wait)
	if float64(int64(wait)) < wait {
		done++
	}
	busy := c.busy()
	if busy*(end-c.at) > left*core { // used up within this period
		if done <= c.at+(left*core+busy-1)/busy {
			return done
		}
		return end
	}
	if done <= end || busy*period <= c.quota*core {
		return done
	}
	return end
}

// add starts a thread that needs so many nanoseconds. advance comes first.
func (c *cpu) add(need int64, frame int32) {
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

// pop takes out a thread that is done. Where threads share cores, half a nanosecond is left to rounding.
func (c *cpu) pop() (frame int32, ok bool) {
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
