package load

import (
	"math"
	"math/rand/v2"
	"time"
)

// Uncertain is a synthetic load with a daily and a weekly period and with data-dependent uncertainty: it reproduces what
// Luo et al. (Madu, SoCC 2022, §2.2) measured in Alibaba's clusters and drew in figures 2 to 4, and nothing beyond that.
//
// Uncertainty is taken as the paper defines it, the variance across days, at the same time of the day, of the load over
// its mean there (the square of a coefficient of variation). It grows with the mean: Spread at the peak of the week, and
// in proportion to the mean elsewhere. A day's deviation is a lognormal factor with mean 1 whose logarithm wanders: four
// fifths of its variance over a sixth of a day, most of the rest over a forty-eighth, 3 % anew each minute. The paper
// gives no such shares: these are assumed.
//
// The value at an instant hangs on the instant and Seed alone. The zero value is no load.
type Uncertain struct {
	Low, High float64       // the mean at the bottom of a day, and at the top of a working day
	Day       time.Duration // 0 means 24 h; the week is seven of them, and a minute a 1,440th
	Peak      float64       // at which share of a day the mean is highest; 0 means 0.6
	Sharp     float64       // how much narrower the peak is than the bottom: an exponent; 0 means 0.8, a little wider
	Weekend   float64       // what is left of the mean on the last two days of a week; 0 means 0.7
	Spread    float64       // the uncertainty at High, 0..1; see Spread
	Seed      uint64        // 0: that of the run, see Load.Seeded
}

// The shape of the wandering, in shares of a day and of its variance.
const (
	slowKnots, midKnots, fastKnots = 6, 48, 1440
	slowShare, midShare, fastShare = 0.80, 0.17, 0.03
)

// Spread is the uncertainty at the peak of a service's load, by the place of the service in the call graph (figures 3b, 4a
// and 4b): at most 0.5, the highest that was measured; less the more services call it, less the surer a request is to call
// it. Services that users enter have 0.1, about half of what the others have on average. The figures give directions and
// these two levels; the curve between is assumed. probability is that of a call times the number of calls, from 0 on;
// inDegree the number of services that call it.
func Spread(entry bool, inDegree int, probability float64) float64 {
	if entry {
		return 0.1
	}
	p := math.Min(math.Max(probability, 0), 1)
	return 0.5 * (1 - 0.8*p) / math.Sqrt(float64(max(inDegree, 1)))
}

func (u *Uncertain) day() time.Duration {
	if u.Day <= 0 {
		return 24 * time.Hour
	}
	return u.Day
}

// Mean is what the load would be without uncertainty, at an offset from the start of a week.
func (u *Uncertain) Mean(at time.Duration) float64 {
	days := float64(max(at, 0)) / float64(u.day())
	peak := u.Peak
	if peak == 0 {
		peak = 0.6
	}
	sharp := u.Sharp
	if sharp == 0 {
		sharp = 0.8 // a wide top and a narrow bottom, as figure 2 has them
	}
	shape := math.Pow((1+math.Cos(2*math.Pi*(days-peak)))/2, sharp)
	return (u.Low + (u.High-u.Low)*shape) * u.week(days)
}

// week is what the day of the week makes of the mean: working days are alike, and it changes around midnight.
func (u *Uncertain) week(days float64) float64 {
	left := u.Weekend
	if left == 0 {
		left = 0.7
	}
	ramp := func(x float64) float64 { return math.Min(math.Max(4*x+0.5, 0), 1) } // an eighth of a day before and after
	in := math.Mod(days, 7)
	off := ramp(-in) // what is left of the Sunday before
	if in > 3 {
		off = math.Min(ramp(in-5), ramp(7-in))
	}
	return 1 - (1-left)*off
}

// Level is the load at an offset from the start of a week. It is never negative.
func (u *Uncertain) Level(at time.Duration) float64 {
	at = max(at, 0)
	mean := u.Mean(at)
	if u.High <= 0 || u.Spread <= 0 || mean <= 0 {
		return math.Max(mean, 0)
	}
	variance := math.Log1p(u.Spread * math.Min(mean/u.High, 1))
	return mean * math.Exp(math.Sqrt(variance)*u.wander(at)-variance/2)
}

// wander is a normal number with variance 1 at any instant, that of the next instant nearly the same, and that of another
// day independent.
func (u *Uncertain) wander(at time.Duration) float64 {
	day := u.day()
	slow := between(u.Seed, 1, float64(at)/float64(day)*slowKnots)
	mid := between(u.Seed, 2, float64(at)/float64(day)*midKnots)
	fast := knot(u.Seed, 3, uint64(float64(at)/float64(day)*fastKnots))
	return math.Sqrt(slowShare)*slow + math.Sqrt(midShare)*mid + math.Sqrt(fastShare)*fast
}

// between goes smoothly from knot to knot, with variance 1 everywhere.
func between(seed, of uint64, x float64) float64 {
	i := math.Floor(x)
	w := (1 - math.Cos(math.Pi*(x-i))) / 2
	return ((1-w)*knot(seed, of, uint64(i)) + w*knot(seed, of, uint64(i)+1)) / math.Hypot(1-w, w)
}

// knot is a normal number of its own for each i.
func knot(seed, of, i uint64) float64 {
	var r rand.PCG
	r.Seed(seed+of*0x9e3779b97f4a7c15, i)
	return normal(&r)
}
