package load

import (
	"math"
	"time"
)

// Segment is a stretch of a curve.
type Segment struct {
	Shape  Shape
	For    time.Duration // 0: for ever
	From   float64       // the level; where a ramp or steps start, a diurnal's low, the base of a spike, bursts or a flash crowd
	To     float64       // where a ramp or steps end, a diurnal's high, the peak of a spike, bursts or a flash crowd
	Period time.Duration // a diurnal's day; it starts at its low
	At     time.Duration // when a spike or a flash crowd rises, from the segment's start
	Width  time.Duration // how long a spike or a burst lasts; a burst at most Every
	Values []float64     // a trace's levels
	Step   time.Duration // how long each level of a trace, or of steps, lasts
	By     float64       // how far apart the levels of steps are, above 0
	Every  time.Duration // the mean time from one burst's start to the next one's
	Seed   uint64        // of bursts: another draws other instants
	Rise   time.Duration // a flash crowd rises evenly for so long,
	Hold   time.Duration // stays at its peak,
	Decay  time.Duration // and is down to 1/e of its height above the base after this long

	Uncertain *Uncertain `json:",omitempty"` // of that shape
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
	// Bursts start as a Poisson process, independent of the requests' own: the level is To while any lasts, which is a
	// share 1-exp(-Width/Every) of the time, and From otherwise. None starts before the segment.
	Bursts
	Flash
	Steps
	Wavering // as Uncertain says
)

// Level is the curve at an instant, noise included, never negative. Before offset 0 it is what it is there.
func (l *Load) Level(at time.Duration) float64 {
	at = max(at, 0)
	v := math.Max(l.smooth(at), 0)
	if l.Noise.CV > 0 {
		v *= l.Noise.factor(at)
	}
	if l.Factor > 0 {
		v *= l.Factor
	}
	return v
}

// smooth is the curve without noise.
func (l *Load) smooth(at time.Duration) (level float64) {
	for i := range l.Curve {
		s := &l.Curve[i]
		if s.For <= 0 || at < s.For {
			return s.level(at)
		}
		if i == len(l.Curve)-1 {
			level = s.level(s.For)
		}
		at -= s.For
	}
	return level
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
	case Bursts:
		if s.inBurst(at) {
			return s.To
		}
		return s.From
	case Flash:
		return s.flash(at)
	case Steps:
		return s.steps(at)
	case Wavering:
		if s.Uncertain == nil {
			return 0
		}
		return s.Uncertain.Level(at)
	default:
		return s.From
	}
}

// flash rises evenly, stays, and falls exponentially.
func (s *Segment) flash(at time.Duration) float64 {
	at -= s.At
	switch top := s.Rise + s.Hold; {
	case at < 0:
		return s.From
	case at < s.Rise:
		return s.From + (s.To-s.From)*at.Seconds()/s.Rise.Seconds()
	case at < top:
		return s.To
	case s.Decay <= 0:
		return s.From
	default:
		return s.From + (s.To-s.From)*math.Exp(-(at-top).Seconds()/s.Decay.Seconds())
	}
}

// steps goes from From to To, and not beyond.
func (s *Segment) steps(at time.Duration) float64 {
	if s.Step <= 0 || s.By <= 0 {
		return s.From
	}
	gone := s.By * float64(at/s.Step)
	if s.To < s.From {
		return math.Max(s.From-gone, s.To)
	}
	return math.Min(s.From+gone, s.To)
}
