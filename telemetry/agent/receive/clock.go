package receive

// clock estimates how far an agent's clock is off: by the least time that its messages seemed to be under way, of the
// newest ones. Messages are stamped as they are sent, so that is the offset and the shortest way of any of them.
type clock struct {
	offset int64 // nanoseconds to add to the agent's times; 0 while the clock seems right
	lags   [clockMessages]int64
	n      int
}

const (
	clockMessages  = 32
	clockTolerance = int64(beat) / 2 // what is less shifts no beat
)

// observe takes a message's times.
func (c *clock) observe(received, sent int64) {
	c.lags[c.n%clockMessages] = received - sent
	c.n++
	least := c.lags[0]
	for _, l := range c.lags[:min(c.n, clockMessages)] {
		least = min(least, l)
	}
	switch d := least - c.offset; {
	case least >= -clockTolerance && least <= clockTolerance:
		c.offset = 0
	case c.n == 1 || d < -clockTolerance:
		c.offset = least // under way for less than nothing: it is off at least so much
	case c.n >= clockMessages && d > clockTolerance:
		c.offset = least // all of the newest took so long
	}
}
