package guard

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
)

// Config of a guard. Zero fields mean the defaults, which let the largest step of the reactive baseline pass: one replica
// to five.
type Config struct {
	StepUp   float64 // how many times larger a service's total CPU may be after one decision; 0 means 5
	StepDown float64 // the share of it that must be left after one decision; 0 means 0.5

	Period     time.Duration // what the next two count over; 0 means a minute
	PeriodUp   float64       // how many times larger than the smallest total of the period; 0 means 16
	PeriodDown float64       // the share of the largest total of the period that must be left; 0 means 0.25

	Cooldown time.Duration // a service that was raised is not lowered for so long; 0 means 30 s, negative: none

	// Cap is the utilisation that an allocation may fall to: it stays above the largest usage observed in Window, over
	// Cap. 0 means 0.8.
	Cap      float64
	Window   time.Duration // 0 means 5 min
	Sustain  time.Duration // usage is averaged over this long before the largest is taken; 0 means 10 s
	Observed time.Duration // nothing is lowered before CPU was observed for so long; 0 means 10 s

	Return int // how many good answers in a row bring the inner manager back; 0 means 3

	// Rebuild makes another inner manager after a panic, since the old one may be in any state; nil: the old one is asked
	// again.
	Rebuild func() (foresail.Manager, error)
}

func (c Config) withDefaults() Config {
	number := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	lasting := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	number(&c.StepUp, 5)
	number(&c.StepDown, 0.5)
	number(&c.PeriodUp, 16)
	number(&c.PeriodDown, 0.25)
	number(&c.Cap, 0.8)
	lasting(&c.Period, time.Minute)
	lasting(&c.Cooldown, 30*time.Second)
	lasting(&c.Window, 5*time.Minute)
	lasting(&c.Sustain, 10*time.Second)
	lasting(&c.Observed, 10*time.Second)
	if c.Return == 0 {
		c.Return = 3
	}
	return c
}

// validate tells every fault at once.
func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("guard: "+format, a...))
		}
	}
	check(c.StepUp >= 1, "StepUp %v: must be at least 1", c.StepUp)
	check(c.PeriodUp >= 1, "PeriodUp %v: must be at least 1", c.PeriodUp)
	check(c.StepDown > 0 && c.StepDown <= 1, "StepDown %v: must be above 0 and at most 1", c.StepDown)
	check(c.PeriodDown > 0 && c.PeriodDown <= 1, "PeriodDown %v: must be above 0 and at most 1", c.PeriodDown)
	check(c.Cap > 0 && c.Cap <= 1, "Cap %v: must be above 0 and at most 1", c.Cap)
	check(c.Period > 0, "Period %v: must be above 0", c.Period)
	check(c.Window >= c.Sustain, "Window %v: must be at least Sustain, %v", c.Window, c.Sustain)
	check(c.Sustain > 0, "Sustain %v: must be above 0", c.Sustain)
	check(c.Observed > 0, "Observed %v: must be above 0", c.Observed)
	check(c.Return > 0, "Return %d: must be above 0", c.Return)
	return errors.Join(errs...)
}
