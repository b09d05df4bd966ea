package send

import (
	"sync"
	"time"
)

// clock is the daemon's clock, as far as it is known here: this machine's steady one, and an offset. Each message says when it
// was sent and each answer when the daemon read it, so the daemon's clock then lay between sending and answer: the offset is
// known to half of that time. Of the last answers the quickest counts.
type clock struct {
	mu      sync.Mutex
	source  func() time.Time
	base    time.Time
	samples [clockSamples]sample
	n       int
	offset  int64
	within  int64
}

type sample struct{ offset, within int64 }

const clockSamples = 64

func newClock(source func() time.Time) *clock { return &clock{source: source, base: source()} }

// local is this machine's own time, nanoseconds since 1970; setting the clock does not move it.
func (c *clock) local() int64 {
	now := c.source()
	return c.base.UnixNano() + int64(now.Sub(c.base))
}

// now is the daemon's time.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Unix(0, c.local()+c.offset).UTC()
}

// observe takes an answer that has just come to a message of the given local time, which the daemon read at its time at.
func (c *clock) observe(sent, at int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	trip := c.local() - sent
	if sent <= 0 || at <= 0 || trip < 0 {
		return // no message of ours
	}
	c.samples[c.n%clockSamples] = sample{at - sent - trip/2, trip/2 + 1}
	c.n++
	best := c.samples[0]
	for _, s := range c.samples[:min(c.n, clockSamples)] {
		if s.within < best.within {
			best = s
		}
	}
	if d := best.offset - c.offset; c.n == 1 || d > best.within || d < -best.within {
		c.offset = best.offset // else what is in effect may as well be right
	}
	c.within = best.within
}

// forget begins anew: the daemon is another one, and so may be its clock.
func (c *clock) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n = 0
}

// known is the offset and how far off it may be.
func (c *clock) known() (offset, within int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset, c.within
}
