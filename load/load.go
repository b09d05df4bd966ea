// Package load says how many requests reach an application, when, and at which endpoint: the same for a simulated
// application and a real one. It is pure: time is an offset from the start of the run, and randomness is injected.
package load

import (
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
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
	// Think is a user's mean pause between an answer and the next request, exponential; Closed mode only.
	Think time.Duration
}

// Mode is how requests come about.
type Mode uint8

// The modes.
const (
	Open   Mode = iota // a Poisson process: arrivals don't wait for answers
	Closed             // users who each wait for an answer, think and go on
)

// MixPoint is the shares from an instant on. They need not add up to one.
type MixPoint struct {
	At     time.Duration
	Shares []float64
}

// Segment is a stretch of a curve.
type Segment struct {
	Shape  Shape
	For    time.Duration // 0: for ever
	From   float64       // the level; where a ramp starts, a diurnal's low, a spike's base
	To     float64       // where a ramp ends, a diurnal's high, a spike's peak
	Period time.Duration // a diurnal's day; it starts at its low
	At     time.Duration // when a spike rises, from the segment's start
	Width  time.Duration // how long a spike lasts
	Values []float64     // a trace's levels
	Step   time.Duration // how long each level of a trace lasts
}

// Shape is the form of a segment.
type Shape uint8

// The shapes.
const (
	Constant Shape = iota
	Ramp
	Diurnal
	Spike
	Trace
)

// Level is the curve at an instant, never negative. Before offset 0 it is what it is there.
func (l *Load) Level(at time.Duration) float64 {
	at = max(at, 0)
	last := 0.0
	for _, s := range l.Curve {
		if s.For <= 0 || at < s.For {
			return math.Max(s.level(at), 0)
		}
		last = s.level(s.For)
		at -= s.For
	}
	return math.Max(last, 0)
}

// Length is how long the curve lasts; ok is false when it has no end.
func (l *Load) Length() (d time.Duration, ok bool) {
	for _, s := range l.Curve {
		if s.For <= 0 {
			return 0, false
		}
		d += s.For
	}
	return d, true
}

func (s *Segment) level(at time.Duration) float64 {
	switch s.Shape {
	case Ramp:
		if s.For <= 0 {
			return s.From
		}
		return s.From + (s.To-s.From)*math.Min(at.Seconds()/s.For.Seconds(), 1)
	case Diurnal:
		if s.Period <= 0 {
			return s.From
		}
		return s.From + (s.To-s.From)*(1-math.Cos(2*math.Pi*at.Seconds()/s.Period.Seconds()))/2
	case Spike:
		if at >= s.At && at < s.At+s.Width {
			return s.To
		}
		return s.From
	case Trace:
		if len(s.Values) == 0 || s.Step <= 0 {
			return 0
		}
		return s.Values[min(int(at/s.Step), len(s.Values)-1)]
	default:
		return s.From
	}
}

// Shares fills out with the share of each endpoint at an instant, adding up to one. All are equal where no mix is given.
// Before offset 0 they are what they are there.
func (l *Load) Shares(at time.Duration, out []float64) {
	at = max(at, 0)
	clear(out)
	i := -1
	for i+1 < len(l.Mix) && l.Mix[i+1].At <= at {
		i++
	}
	switch {
	case len(l.Mix) == 0:
		for k := range out {
			out[k] = 1
		}
	case i < 0:
		copy(out, l.Mix[0].Shares)
	default:
		copy(out, l.Mix[i].Shares)
		if l.Drift && i+1 < len(l.Mix) {
			a, b := l.Mix[i], l.Mix[i+1]
			w := (at - a.At).Seconds() / (b.At - a.At).Seconds()
			for k := range min(len(out), len(b.Shares)) {
				out[k] += (b.Shares[k] - out[k]) * w
			}
		}
	}
	sum := 0.0
	for _, v := range out {
		sum += v
	}
	for k := range out {
		if sum > 0 {
			out[k] /= sum
		}
	}
}

// Pick draws an endpoint at an instant; scratch is as long as the application's endpoints.
func (l *Load) Pick(at time.Duration, rng *rand.Rand, scratch []float64) foresail.EndpointID {
	u := rng.Float64()
	if len(l.Mix) == 0 { // as there may be thousands of them
		return foresail.EndpointID(u * float64(len(scratch)))
	}
	l.Shares(at, scratch)
	last := 0
	for k, v := range scratch {
		if v <= 0 {
			continue
		}
		last = k
		if u -= v; u < 0 {
			return foresail.EndpointID(k)
		}
	}
	return foresail.EndpointID(last)
}

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
