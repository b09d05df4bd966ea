package erms

import (
	"errors"
	"fmt"
)

// Config of a Manager. Zero fields mean the defaults.
type Config struct {
	// Factor is the share of an objective's latency that is split among services. 0 means 1. It may be above 1: the sum of the
	// services' percentiles, which is what is split, is more than the percentile of the sum.
	Factor   float64
	Headroom float64 // what is added to the load that was observed, as a share; 0: nothing
	Peak     int     // what any of so many of the last minutes took counts, counted over restarts; 0 means 30
	Window   int     // minutes whose call graphs are merged into one; 0 means 10
	// Full is the share of its CPU that a container may come to use in the mean of a minute; 0 means 0.75. The authors' data end
	// at 0.9, but moments of a minute that uses so much have no CPU left.
	Full float64
	// CPU is the share of its CPU that a container should use of a service whose latency is not known yet; 0 means 0.5.
	CPU     float64
	Fair    bool   // services that several endpoints use are scaled without priorities
	Explore int    // minutes, counted over restarts, that are spent on finding out how latency hangs on load; 0: none
	Seed    uint64 // of what is explored
}

func (c Config) withDefaults() (Config, error) {
	def := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	def(&c.Factor, 1)
	def(&c.Full, 0.75)
	def(&c.CPU, 0.5)
	if c.Window == 0 {
		c.Window = 10
	}
	if c.Peak == 0 {
		c.Peak = 30
	}
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("erms: "+format, a...))
		}
	}
	fault(!(c.Factor > 0 && c.Factor <= 10), "factor %v: must be above 0 and at most 10, for example 1", c.Factor)
	fault(!(c.Headroom >= 0 && c.Headroom <= 10), "headroom %v: must be at least 0 and at most 10, for example 0.1", c.Headroom)
	fault(c.Window < 1 || c.Window > 1440, "window %d: must be 1 to 1440 minutes, for example 10", c.Window)
	fault(c.Peak < 1 || c.Peak > mostMinutes, "peak %d: must be 1 to %d minutes, for example 30", c.Peak, mostMinutes)
	fault(!(c.Full > 0 && c.Full <= 1), "full %v: must be above 0 and at most 1, for example 0.9", c.Full)
	fault(!(c.CPU > 0 && c.CPU <= 1), "CPU %v: must be above 0 and at most 1, for example 0.5", c.CPU)
	fault(c.Explore < 0, "explore %d: must not be negative", c.Explore)
	return c, errors.Join(errs...)
}
