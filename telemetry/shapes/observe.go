package shapes

import (
	"time"

	"foresail.dev"
)

// Observe adds what was counted to a snapshot that its maker has just made, up to its end: once a second, with the snapshot that a
// second ends with, since sketches of a beat would each hold a few requests and weigh as much as those of a second.
func (c *Collector) Observe(s *foresail.Snapshot) {
	s.Has |= foresail.SignalShapes
	if s.End.Truncate(time.Second).After(s.Start) {
		s.Shapes = c.Cut(s.End)
	}
}
