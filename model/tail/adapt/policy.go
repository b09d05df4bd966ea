package adapt

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"foresail.dev/model/tail/drift"
)

// Config says when to fine-tune and what is good enough. Start from Default.
type Config struct {
	Keep   time.Duration // how much of the past is kept to learn from
	Least  time.Duration // since the drift began, that must have been observed
	Every  time.Duration // between two attempts; it doubles with each one that brought nothing
	Most   time.Duration // what it doubles to at most
	Held   float64       // share of the seconds, the newest, that the two models are compared on
	Margin float64       // by how much the new model must be better, as a share of the old one's error
}

// Default suits a run that goes on for hours.
func Default() Config {
	return Config{Keep: 2 * time.Hour, Least: 15 * time.Minute, Every: 10 * time.Minute, Most: 4 * time.Hour, Held: 0.25, Margin: 0.05}
}

// Check tells all that is wrong with it.
func (c *Config) Check() error {
	var errs []error
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(c.Least < 5*time.Minute, "least %v: give 5m or more: from less nothing can be learnt", c.Least)
	wrong(c.Keep < c.Least || c.Keep > 48*time.Hour, "keep %v: give at least what least says, %v, and at most 48h", c.Keep, c.Least)
	wrong(c.Every < time.Minute, "every %v: give a minute or more", c.Every)
	wrong(c.Most < c.Every, "most %v: give at least what every says, %v", c.Most, c.Every)
	wrong(!(c.Held >= 0.1 && c.Held <= 0.5), "held %v: give a share from 0.1 to 0.5", c.Held)
	wrong(!(c.Margin >= 0 && c.Margin < 1), "margin %v: give a share from 0 on and below 1", c.Margin)
	return errors.Join(errs...)
}

// HeldSeconds is how many of n seconds are held out: at least fewest.
func (c *Config) HeldSeconds(n int) int { return max(int(c.Held*float64(n)), fewest) }

// fewest seconds that two models are compared on.
const fewest = 60

// Policy decides when. Its zero value has not tried yet.
type Policy struct {
	last   time.Time // the end of the last attempt
	failed int       // attempts in a row that brought nothing
}

// From is the time from which on seconds are of the kind that the model is to learn: since the oldest of the findings began.
func From(found []drift.Finding) time.Time {
	var t time.Time
	for _, f := range found {
		if t.IsZero() || f.Since.Before(t) {
			t = f.Since
		}
	}
	return t
}

// Due reports whether to fine-tune now, and why, or why not yet. seconds is how many there are since From. A model of other
// services can't be adapted.
func (p *Policy) Due(c Config, now time.Time, found []drift.Finding, seconds int) (why string, due bool) {
	switch {
	case len(found) == 0:
		return "the model fits", false
	case slices.ContainsFunc(found, func(f drift.Finding) bool { return f.Kind == drift.Services }):
		return drift.Texts(found) + ": train a model anew (foresail train sinan)", false
	case time.Duration(seconds)*time.Second < c.Least:
		return fmt.Sprintf("%s; %v of the %v that are learnt from were observed", drift.Texts(found), time.Duration(seconds)*time.Second, c.Least), false
	case !p.last.IsZero() && now.Sub(p.last) < p.wait(c):
		return fmt.Sprintf("%s; it was tried in vain, again at %s", drift.Texts(found), p.last.Add(p.wait(c)).UTC().Format(time.TimeOnly)), false
	}
	return drift.Texts(found), true
}

// wait is how long after the last attempt the next may be.
func (p *Policy) wait(c Config) time.Duration {
	d := c.Every
	for range p.failed {
		if d >= c.Most/2 {
			return c.Most
		}
		d *= 2
	}
	return d
}

// Tried notes that an attempt has ended; took: its model has taken over.
func (p *Policy) Tried(now time.Time, took bool) {
	p.last = now
	if took {
		p.failed = 0
	} else {
		p.failed++
	}
}
