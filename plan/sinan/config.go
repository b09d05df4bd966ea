package sinan

import (
	"errors"
	"fmt"
	"time"
)

// Config of a Manager. Zero fields mean the published values, where there are any.
type Config struct {
	Down        float64 // the probability of a violation up to which something is lowered; 0 means 0.1
	Up          float64 // the probability below which something is held or raised to; 0 means 0.25
	Margin      float64 // the margin as a multiple of the model's error on validation data; 0 means 1, negative: none
	Utilisation float64 // a service that uses a larger share of its cores is raised, and none is lowered beyond it; 0 means 0.75
	// Outside takes the place of Utilisation for what is lowered while the model was trained on nothing like what is seen; 0 means
	// 0.3, which is what the conservative step scaler keeps to.
	Outside float64
	// Tight takes its place for what is lowered while an endpoint has not shown, over as many requests as it is judged on since
	// something was lowered beyond Tight, that its percentile is below the share Headroom of its objective. 0 means 0.5 and
	// 0.7. With a Tight of 1 nothing waits for that.
	Tight, Headroom float64
	Unit            float64 // cores of the operations +1 and -1; 0 means a core, for services with a maximum of 4 and more
	// PublishedRate: nothing is lowered when the load of the newest second differs from that of the second before by 2 %
	// or more, as the artefact has it. Otherwise seconds are averaged, and what chance makes of the arrivals is allowed
	// for: see steady.
	PublishedRate bool

	Boost  time.Duration // how long everything stays at its maximum after a violation that was predicted safe; 0 means 3 s
	Misses int           // so many misses in a hundred decisions lose the model its trust; 0 means 3
	Earn   int           // so many correct predictions in a row give it back; 0 means 30
	Widen  float64       // what the margin is multiplied by while trust is lost; 0 means 2
}

// Defaults of a Config.
const (
	DefaultDown        = 0.1
	DefaultUp          = 0.25
	DefaultUtilisation = 0.75
)

func (c Config) withDefaults() (Config, error) {
	number := func(v *float64, d float64) {
		if *v == 0 {
			*v = d
		}
	}
	whole := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	number(&c.Down, DefaultDown)
	number(&c.Up, DefaultUp)
	number(&c.Margin, 1)
	number(&c.Utilisation, DefaultUtilisation)
	number(&c.Outside, 0.3)
	number(&c.Tight, 0.5)
	number(&c.Headroom, 0.7)
	number(&c.Unit, 1)
	number(&c.Widen, 2)
	whole(&c.Misses, 3)
	whole(&c.Earn, 30)
	c.Margin = max(c.Margin, 0)
	if c.Boost == 0 {
		c.Boost = 3 * time.Second
	}
	var errs []error
	check := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("sinan: "+format, a...))
		}
	}
	check(c.Down > 0 && c.Down < 1, "Down %v: a probability above 0 and below 1, for example 0.1", c.Down)
	check(c.Up > 0 && c.Up <= 1, "Up %v: a probability above 0 and at most 1, for example 0.25", c.Up)
	check(c.Down <= c.Up, "Down %v and Up %v: what is lowered to must be safe enough to be held, so Down is at most Up", c.Down, c.Up)
	check(c.Margin <= 100, "Margin %v: a multiple of the model's error, at most 100", c.Margin)
	check(c.Utilisation > 0 && c.Utilisation <= 1, "Utilisation %v: a share above 0 and at most 1, for example 0.75", c.Utilisation)
	check(c.Outside > 0 && c.Outside <= c.Utilisation, "Outside %v: a share above 0 and at most Utilisation, for example 0.3", c.Outside)
	check(c.Tight > 0 && c.Tight <= 1, "Tight %v: a share above 0 and at most 1, for example 0.5", c.Tight)
	check(c.Headroom > 0 && c.Headroom <= 1, "Headroom %v: a share above 0 and at most 1, for example 0.7", c.Headroom)
	check(c.Unit > 0 && c.Unit <= 1024, "Unit %v: cores above 0 and at most 1024, for example 1", c.Unit)
	check(c.Boost > 0 && c.Boost <= time.Hour, "Boost %v: must be above 0 and at most an hour", c.Boost)
	check(c.Misses > 0 && c.Misses <= kept, "Misses %d: must be 1 to %d", c.Misses, kept)
	check(c.Earn > 0, "Earn %d: must be above 0", c.Earn)
	check(c.Widen >= 1, "Widen %v: must be at least 1", c.Widen)
	return c, errors.Join(errs...)
}
