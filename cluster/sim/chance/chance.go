// Package chance draws for the simulator. Every random choice comes from a stream of its own purpose, so that what a
// manager does changes no other draw: arrivals and endpoints come from two streams of the load, the way through the
// replicas from a third, and all that a request needs (demands, which calls are made, cache hits) from a state that is
// derived from the request's number and handed down the call tree. The same request therefore needs the same under every
// manager.
package chance

import (
	"math"
	"math/rand/v2"

	"foresail.dev"
)

// Golden is what a stream moves on by: 2^64 over the golden ratio.
const Golden = 0x9e3779b97f4a7c15

// Mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
func Mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Stream is a SplitMix64 generator; it is a rand.Source.
type Stream uint64

// Uint64 is the next number.
func (s *Stream) Uint64() uint64 {
	*s += Golden
	return Mix(uint64(*s))
}

// Float is uniform in [0, 1).
func (s *Stream) Float() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Split derives an independent stream.
func (s *Stream) Split() Stream { return Stream(Mix(s.Uint64() ^ Golden)) }

// Purpose derives the stream of one purpose from the seed.
func Purpose(seed, n uint64) Stream { return Stream(Mix(Mix(seed+Golden) + n*Golden)) }

// The purposes.
const (
	ForArrivals uint64 = iota + 1
	ForEndpoints
	ForDemands
	ForRouting
	ForUsers
	ForTraces
	ForPhases
	ForSpanIDs
	ForLosses
	ForFaults
)

// Demand is a distribution made ready for drawing, in nanoseconds.
type Demand struct {
	mean  float64 // for logNormal: that of the logarithm
	sigma float64 // of the logarithm, for logNormal
	shape demandShape
}

type demandShape uint8

const (
	noDemand demandShape = iota
	constant
	exponential
	logNormal
)

// NewDemand makes a distribution ready; its mean is in seconds.
func NewDemand(d foresail.Dist) Demand {
	out := Demand{mean: d.Mean * 1e9}
	switch {
	case d.Mean == 0:
	case d.Shape == foresail.Exponential:
		out.shape = exponential
	case d.Shape == foresail.LogNormal && d.CV > 0:
		out.shape = logNormal
		v := math.Log1p(d.CV * d.CV)
		out.mean, out.sigma = math.Log(out.mean)-v/2, math.Sqrt(v)
	default:
		out.shape = constant
	}
	return out
}

// Fixed is a demand of always so many nanoseconds.
func Fixed(ns int64) Demand { return Demand{mean: float64(ns), shape: constant} }

// Drawer draws from any stream without allocating: Rand reads from Current.
type Drawer struct {
	Current Stream
	Rand    *rand.Rand
}

// NewDrawer is one without a stream yet.
func NewDrawer() *Drawer {
	d := &Drawer{}
	d.Rand = rand.New(&d.Current)
	return d
}

// Any reports whether there is anything to draw.
func (d *Demand) Any() bool { return d.shape != noDemand }

// Draw is at least 1 ns and a whole number of nanoseconds.
func (d *Drawer) Draw(from *Stream, dist *Demand) int64 {
	v := dist.mean
	switch dist.shape {
	case exponential:
		d.Current = *from
		v *= d.Rand.ExpFloat64()
		*from = d.Current
	case logNormal:
		d.Current = *from
		v = math.Exp(dist.mean + dist.sigma*d.Rand.NormFloat64())
		*from = d.Current
	}
	return max(int64(v+0.5), 1)
}
