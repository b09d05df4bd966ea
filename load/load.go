// Package load says how many requests reach an application, when, and at which endpoint: the same for a simulated
// application and a real one. It is pure: time is an offset from the start of the run, and randomness is injected.
package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Load is what users do over time.
type Load struct {
	Name string
	Mode Mode
	// Curve is requests per second in Open mode, and the number of users in Closed mode. Its segments follow each other;
	// the last holds its final value for ever.
	Curve []Segment
	// Mix is the share of each endpoint over time, by EndpointID; the last point before now is in effect, and Drift makes
	// shares move linearly from point to point instead.
	Mix   []MixPoint
	Drift bool
	// Cycle is how long it takes until the mix starts over; with Drift it moves back to its first point by then. All
	// points lie before it. 0: it never does.
	Cycle time.Duration
	// Think is a user's mean pause between an answer and the next request, exponential; Closed mode only.
	Think time.Duration
	// Noise is laid over the whole curve.
	Noise Noise
	// Wander lets the shares of the endpoints waver; nil: they don't.
	Wander *Wander `json:",omitempty"`

	// Factor is what the curve is multiplied by; 0: 1. See Times.
	Factor float64 `json:",omitempty"`
}

// Times is the load with its curve multiplied by a factor, at least 0: another load; l is as it was.
func (l *Load) Times(factor float64) *Load {
	out := *l
	out.Factor = factor
	if l.Factor > 0 {
		out.Factor *= l.Factor
	}
	if out.Factor == 0 {
		out.Curve, out.Factor = []Segment{{}}, 1
	}
	return &out
}

// Mode is how requests come about.
type Mode uint8

// The modes.
const (
	Open   Mode = iota // a Poisson process: arrivals don't wait for answers
	Closed             // users who each wait for an answer, think and go on
)

// cell is the step over which Arrivals takes the rate as constant.
const cell = 10 * time.Millisecond

// Arrivals draws the instants of an open load's requests: a Poisson process whose rate follows the curve, taken as
// constant over each hundredth of a second.
type Arrivals struct {
	load    *Load
	rng     *rand.Rand
	at      time.Duration
	left    float64 // unit-rate time from at to the next arrival; 0: not drawn yet
	pending bool    // at is an arrival that no call has returned
}

// NewArrivals starts at offset 0.
func NewArrivals(l *Load, rng *rand.Rand) *Arrivals { return &Arrivals{load: l, rng: rng} }

// SetLoad changes the load from the given instant on; at is not before the last arrival returned.
func (a *Arrivals) SetLoad(l *Load, at time.Duration) { *a = Arrivals{load: l, rng: a.rng, at: at} }

// Next is the offset of the next arrival; ok is false when there is none before limit.
func (a *Arrivals) Next(limit time.Duration) (at time.Duration, ok bool) {
	if !a.pending {
		a.advance(limit)
	}
	if !a.pending || a.at >= limit {
		return limit, false
	}
	a.pending = false
	return a.at, true
}

// advance moves to the next arrival, or to the first cell at or after limit that none came before. What is left of the
// wait is kept, so that the limits asked with don't change the process.
func (a *Arrivals) advance(limit time.Duration) {
	if a.left == 0 {
		a.left = a.rng.ExpFloat64()
	}
	for a.at < limit {
		end := a.at.Truncate(cell) + cell
		rate := a.load.Level(end - cell/2)
		if got := rate * (end - a.at).Seconds(); got <= 0 || got < a.left {
			a.left -= math.Max(got, 0)
			a.at = end
			continue
		}
		a.at += time.Duration(a.left / rate * float64(time.Second))
		a.left = 0
		a.pending = true
		return
	}
}
