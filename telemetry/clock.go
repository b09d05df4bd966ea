package telemetry

import (
	"time"

	"foresail.dev"
)

// clock estimates how far one sender's clock is off, from how far behind the time of receipt the newest span of each
// batch ends: its lag.
//
// A span can't be received before it ended, so a negative lag shows a clock that is ahead, and the least lag shows by
// how much. A lag above foresail.RevisionLimit shows either a clock that is behind or old data; a clock stays behind by
// the same time, so it is taken for one only when all lags of some seconds lie close together. Lags in between are
// ordinary delay. What was estimated is looked at again each few seconds, so a clock that is set right is noticed.
type clock struct {
	offset   int64 // nanoseconds to add to the sender's times
	since    int64 // when the present look began; 0: none has
	batches  int
	min, max int64 // lag
}

const (
	clockTolerance = int64(foresail.Beat)
	clockLook      = int64(2 * time.Second)
	clockBatches   = 4 // at least, in one look
	clockSteady    = int64(time.Second)
	clockBehind    = int64(foresail.RevisionLimit)
)

// observe takes a batch received at the given time and returns the offset to use for it.
func (c *clock) observe(received int64, spans []Record) int64 {
	newest := int64(0)
	for i := range spans {
		newest = max(newest, spans[i].End)
	}
	lag := received - newest
	if lag-c.offset < -clockTolerance {
		if !plausible(received, lag, spans) {
			return c.offset // one absurd span among good ones: no clock does that
		}
		*c = clock{offset: lag}
	}
	if c.since == 0 {
		c.since, c.batches, c.min, c.max = received, 0, lag, lag
	}
	c.batches++
	c.min, c.max = min(c.min, lag), max(c.max, lag)
	if received-c.since < clockLook || c.batches < clockBatches {
		return c.offset
	}
	switch steady := c.max-c.min < clockSteady; {
	case c.min < -clockTolerance:
		c.offset = c.min
	case c.min <= clockBehind:
		c.offset = 0
	case steady:
		c.offset = c.min
	}
	c.since = 0
	return c.offset
}

// plausible tells whether with this offset at least half of the spans ended within the revision limit before receipt.
func plausible(received, offset int64, spans []Record) bool {
	n := 0
	for i := range spans {
		if spans[i].End+offset >= received-clockBehind {
			n++
		}
	}
	return 2*n >= len(spans)
}
