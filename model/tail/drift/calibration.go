package drift

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// Of the test of probabilities, over the newest windows: each is the four seconds after a prediction, and the next begins
// where it ends, so that of a calibrated model the sum of what happened less what was predicted has the variance Σ p(1−p).
const (
	ahead   = 4   // seconds of a window
	windows = 360 // half an hour
	sigmas  = 5.0 // how many standard deviations are a finding
	factor  = 2.0 // and how much more or less often than predicted, at least
)

// calibration tests how often what was predicted happens.
type calibration struct {
	missed func([]tail.Step) bool

	ring    [windows]outcome
	n, next int
	open    *outcome    // the window that runs
	steps   []tail.Step // of it so far
	since   time.Time
}

type outcome struct {
	p        float64
	happened bool
	at       time.Time
}

// tear drops the window that runs.
func (c *calibration) tear() { c.open, c.steps = nil, c.steps[:0] }

// add takes in a second, and what is predicted of those after it.
func (c *calibration) add(s *tail.Step, p *tail.Prediction) {
	if c.open != nil {
		if c.steps = append(c.steps, *s); len(c.steps) == ahead {
			c.open.happened = c.missed(c.steps)
			c.ring[c.next] = *c.open
			c.next, c.n = (c.next+1)%windows, min(c.n+1, windows)
			c.tear()
			c.judge()
		}
	}
	if c.open == nil && p != nil && !math.IsNaN(p.Violation) {
		c.open = &outcome{p: min(max(p.Violation, 0), 1), at: s.End}
	}
}

// figures over the ring.
func (c *calibration) figures() (expected, variance, happened float64) {
	for i := range c.n {
		o := &c.ring[i]
		expected += o.p
		variance += o.p * (1 - o.p)
		if o.happened {
			happened++
		}
	}
	return expected, variance, happened
}

// off is by how many standard deviations more (or less, negative) happened than was predicted; 0 where it is not worth a word.
func (c *calibration) off() float64 {
	expected, variance, happened := c.figures()
	few, many := min(expected, happened), max(expected, happened)
	if c.n < windows/6 || many < factor*few+3 {
		return 0
	}
	return (happened - expected) / math.Sqrt(variance+1)
}

func (c *calibration) judge() {
	switch {
	case math.Abs(c.off()) < sigmas:
		c.since = time.Time{}
	case c.since.IsZero():
		// It began with the first window since when more (or less) happened than predicted.
		c.since = c.began()
	}
}

// began is the time of the window at which the sum of what happened less what was predicted turned for the last time.
func (c *calibration) began() time.Time {
	sign := 1.0
	if c.off() < 0 {
		sign = -1
	}
	var at time.Time
	sum := 0.0
	for i := range c.n {
		o := &c.ring[(c.next-c.n+i+windows)%windows]
		if sum <= 0 {
			at, sum = o.at, 0
		}
		sum -= sign * o.p
		if o.happened {
			sum += sign
		}
	}
	return at
}

func (c *calibration) finding(app *foresail.App) *Finding {
	if c.since.IsZero() {
		return nil
	}
	expected, _, happened := c.figures()
	n := float64(c.n)
	return &Finding{Kind: Calibration, What: app.Name, Value: happened / n, Expected: expected / n, Score: math.Abs(c.off()) / sigmas, Since: c.since,
		Text: fmt.Sprintf("a violation followed in %.1f %% of %d predictions, and was predicted in %.1f %%", 100*happened/n, c.n, 100*expected/n)}
}
