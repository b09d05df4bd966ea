package telemetry

import (
	"time"

	"foresail.dev"
)

// clock estimates how far one sender's clock is off, from how far behind the time of receipt the newest span of each
// message ends: its lag.
//
// A message is on time when its lag could be ordinary delay. One that isn't shows a clock that is off, old data, or a
// bad stamp, and no single message tells which. So an offset is taken only from a run of messages that all show it, and
// until then the offset stays as it was: what ends too far ahead or too long ago is dropped and counted as such. The
// offset is the least lag of the run, since a span can't be received before it ended. A clock that is behind stays so
// by the same time, while the lag of old data shrinks as it catches up and that of one stamp sent again and again grows:
// hence a run of messages that end too long ago counts only once it is steady.
//
// A message on time that an offset would make late ends that offset at once, and each message on time ends a run that
// would lead to one, so whoever sends in a replica's name can't keep its own spans out.
type clock struct {
	offset   int64 // nanoseconds to add to the sender's times
	since    int64 // when the run's first message was received
	last     int64 // and its last
	messages int   // in the run; 0: there is none
	min, max int64 // lags in the run
}

const (
	clockTolerance = int64(foresail.Beat)
	clockBehind    = int64(foresail.RevisionLimit - foresail.Beat) // delay after which a span still finds its beat open
	clockMessages  = 4                                             // at least, in a run that counts
	clockRun       = int64(time.Second)                            // from first to last at least
	clockSteady    = 2                                             // a run is steady when it lasts longer than so many times the spread of its lags
	clockFarthest  = -1 << 61                                      // lags are taken to be above it, so that differences don't overflow
)

// onTime tells whether a lag could be ordinary delay.
func onTime(lag int64) bool { return -clockTolerance <= lag && lag <= clockBehind }

// observe takes a message received at the given time and returns the offset to use for it.
func (c *clock) observe(received int64, spans []Record) int64 {
	lag := c.lag(received, spans)
	good := onTime(lag)
	if good && (c.offset == 0 || !onTime(lag-c.offset)) {
		*c = clock{}
		return 0
	}
	c.extend(received, lag, good)
	lasted := received - c.since
	if c.messages < clockMessages || lasted < clockRun || c.min > clockBehind && clockSteady*(c.max-c.min) >= lasted {
		return c.offset
	}
	c.messages = 0
	if c.offset = c.min; good {
		c.offset = 0
	}
	return c.offset
}

// extend adds a message to the run, or begins another with it when no one offset explains both.
func (c *clock) extend(received, lag int64, good bool) {
	if c.messages == 0 || good != onTime(c.min) || max(c.max, lag)-min(c.min, lag) > clockBehind {
		c.since, c.messages, c.min, c.max = received, 0, lag, lag
	}
	if c.messages == 0 || received != c.last { // a message may name a sender more than once
		c.messages++
	}
	c.last, c.min, c.max = received, min(c.min, lag), max(c.max, lag)
}

// lag is how far behind its receipt a message's newest span ends. Where that one and what ends shortly before it are no
// more than half of the message, and half of it is on time as it is or with the present offset, these speak for it.
func (c *clock) lag(received int64, spans []Record) int64 {
	newest := int64(0)
	for i := range spans {
		newest = max(newest, spans[i].End)
	}
	lag := max(received-newest, clockFarthest)
	if onTime(lag) {
		return lag
	}
	if _, n := newestIn(spans, newest-clockBehind, newest); 2*n > len(spans) {
		return lag
	}
	for _, offset := range [...]int64{0, c.offset} {
		now := received - offset // by the sender's clock
		if end, n := newestIn(spans, now-clockBehind, now+clockTolerance); 2*n >= len(spans) {
			return received - end
		}
	}
	return lag
}

// newestIn finds the newest end between two instants, and how many there are.
func newestIn(spans []Record, from, to int64) (newest int64, n int) {
	for i := range spans {
		if end := spans[i].End; from <= end && end <= to {
			newest = max(newest, end)
			n++
		}
	}
	return newest, n
}
