package sim

import (
	"math"
	"math/rand/v2"

	"foresail.dev"
)

// Every random choice comes from a stream of its own purpose, so that what a manager does changes no other draw:
// arrivals and endpoints come from two streams of the load, the way through the replicas from a third, and all that a
// request needs (demands, which calls are made, cache hits) from a state that is derived from the request's number and
// handed down the call tree. The same request therefore needs the same under every manager.

const golden = 0x9e3779b97f4a7c15

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// stream is a SplitMix64 generator; it is a rand.Source.
type stream uint64

// Uint64 is the next number.
func (s *stream) Uint64() uint64 {
	*s += golden
	return mix(uint64(*s))
}

// float is uniform in [0, 1).
func (s *stream) float() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// split derives an independent stream.
func (s *stream) split() stream { return stream(mix(s.Uint64() ^ golden)) }

// purpose derives the stream of one purpose from the seed.
func purpose(seed, n uint64) stream { return stream(mix(mix(seed+golden) + n*golden)) }

// The purposes.
const (
	forArrivals uint64 = iota + 1
	forEndpoints
	forDemands
	forRouting
	forUsers
	forTraces
	forPhases
	forSpanIDs
)

// demand is a distribution made ready for drawing, in nanoseconds.
type demand struct {
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

func newDemand(d foresail.Dist) demand {
	out := demand{mean: d.Mean * 1e9}
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

// drawer draws demands from any stream without allocating: rng reads from current.
type drawer struct {
	current stream
	rng     *rand.Rand
}

func newDrawer() *drawer {
	d := &drawer{}
	d.rng = rand.New(&d.current)
	return d
}

// draw is at least 1 ns and a whole number of nanoseconds.
func (d *drawer) draw(from *stream, dist *demand) int64 {
	v := dist.mean
	switch dist.shape {
	case exponential:
		d.current = *from
		v *= d.rng.ExpFloat64()
		*from = d.current
	case logNormal:
		d.current = *from
		v = math.Exp(dist.mean + dist.sigma*d.rng.NormFloat64())
		*from = d.current
	}
	return max(int64(v+0.5), 1)
}
