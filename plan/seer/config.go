package seer

import (
	"errors"
	"fmt"
	"time"
)

// Config of a Manager. Zero fields mean the values given.
type Config struct {
	Alarm  float64       `yaml:"alarm" json:"alarm,omitempty"`    // the probability of a violation from which on there is danger; 0: whatever the model calls an alarm
	Calm   float64       `yaml:"calm" json:"calm,omitempty"`      // the probability from which on danger that there is lasts; 0: as long as there are alarms
	Factor float64       `yaml:"factor" json:"factor,omitempty"`  // what the culprit's total is multiplied by; 0 means 1.5
	Again  time.Duration `yaml:"again" json:"again_ns,omitempty"` // after so long of danger it is multiplied once more; 0 means 1 s
	Most   float64       `yaml:"most" json:"most,omitempty"`      // of all that together, at most; 0 means 4
	Hold   time.Duration `yaml:"hold" json:"hold_ns,omitempty"`   // so long without danger ends it; 0 means 5 s, which is what ends an episode
	Few    int           `yaml:"few" json:"few,omitempty"`        // services that are raised at once, at most; 0 means 2
}

// Check tells every fault of c at once.
func (c Config) Check() error {
	_, err := c.withDefaults()
	return err
}

func (c Config) withDefaults() (Config, error) {
	number := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	number(&c.Factor, 1.5)
	number(&c.Most, max(4, c.Factor))
	span(&c.Again, time.Second)
	span(&c.Hold, 5*time.Second)
	if c.Few == 0 {
		c.Few = 2
	}
	var errs []error
	check := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("seer: "+format, a...))
		}
	}
	check(c.Alarm >= 0 && c.Alarm <= 1, "Alarm %v: a probability above 0 and at most 1, for example 0.5, or 0 for the model's own alarms", c.Alarm)
	check(c.Calm >= 0 && c.Calm <= 1, "Calm %v: a probability above 0 and at most 1, for example 0.25, or 0 for as long as there are alarms", c.Calm)
	check(c.Factor > 1 && c.Factor <= 100, "Factor %v: above 1 and at most 100, for example 1.5", c.Factor)
	check(c.Most >= c.Factor && c.Most <= 1000, "Most %v: at least Factor and at most 1000, for example 4", c.Most)
	check(c.Again > 0, "Again %v: must be above 0, for example 1s", c.Again)
	check(c.Hold > 0, "Hold %v: must be above 0, for example 5s", c.Hold)
	check(c.Few > 0, "Few %d: must be above 0, for example 2", c.Few)
	return c, errors.Join(errs...)
}
