package sim

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// Config says what is simulated.
type Config struct {
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Seed      uint64
	// Start is the simulated instant of offset 0, on a whole beat; zero means 2024-01-01 00:00 UTC.
	Start time.Time
	// Duration is how much is simulated, in whole beats; 0: for ever.
	Duration time.Duration
	// Beat is the length of a snapshot; 0 means foresail.Beat.
	Beat time.Duration

	// TraceShare is the share of requests, 0..1, whose spans are reported to Spans.
	TraceShare float64
	// Spans receives the spans of one trace when all work for it has ended, from within Next, in the order of their ends.
	// The receiver owns the slice. Each span's weight is 1/TraceShare.
	Spans func([]foresail.Span)

	// NodeCores is how many threads of one replica run at once, whatever its limit; 0 means DefaultNodeCores.
	NodeCores int
	// DrainLimit is how long a replica that is being removed may go on with what it has; then the rest fails. 0 means
	// DefaultDrainLimit.
	DrainLimit time.Duration
}

// Defaults of a Config.
const (
	DefaultNodeCores  = 64
	DefaultDrainLimit = 30 * time.Second
)

var defaultStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *Config) defaults() {
	if c.Start.IsZero() {
		c.Start = defaultStart
	}
	c.Start = c.Start.UTC()
	if c.Beat == 0 {
		c.Beat = foresail.Beat
	}
	if c.NodeCores == 0 {
		c.NodeCores = DefaultNodeCores
	}
	if c.DrainLimit == 0 {
		c.DrainLimit = DefaultDrainLimit
	}
}

// validate reports every fault at once; it comes after defaults.
func (c *Config) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("sim: "+format, args...))
		}
	}
	fault(c.Blueprint == nil || c.Blueprint.App == nil, "no blueprint of an application: set Config.Blueprint")
	fault(c.Load == nil, "no load: set Config.Load")
	fault(c.Beat < 0, "beat %s is negative", c.Beat)
	fault(c.Duration < 0, "duration %s is negative", c.Duration)
	if c.Beat > 0 {
		fault(c.Duration%c.Beat != 0, "duration %s is not a whole number of beats of %s", c.Duration, c.Beat)
		fault(c.Start.UnixNano()%int64(c.Beat) != 0, "start %s is not on a whole beat of %s", c.Start.Format(time.RFC3339Nano), c.Beat)
	}
	fault(!(c.TraceShare >= 0 && c.TraceShare <= 1), "trace share %v is outside 0..1", c.TraceShare)
	fault(c.NodeCores < 0, "%d cores per node", c.NodeCores)
	fault(c.DrainLimit < 0, "drain limit %s is negative", c.DrainLimit)
	return errors.Join(errs...)
}
