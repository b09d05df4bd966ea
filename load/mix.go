package load

import (
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
)

// MixPoint is the shares from an instant on. They need not add up to one.
type MixPoint struct {
	At     time.Duration
	Shares []float64
}

// Shares fills out with the share of each endpoint at an instant, adding up to one. All are equal where no mix is given.
// Before offset 0 they are what they are there.
func (l *Load) Shares(at time.Duration, out []float64) {
	clear(out)
	from, to, w := l.around(max(at, 0))
	switch {
	case from == nil:
		for k := range out {
			out[k] = 1
		}
	default:
		copy(out, from.Shares)
		if to != nil {
			for k := range min(len(out), len(to.Shares)) {
				out[k] += (to.Shares[k] - out[k]) * w
			}
		}
	}
	if l.Wander != nil {
		l.Wander.apply(max(at, 0), out)
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

// around is the point in effect and, where shares drift, the one they move to and how far they have come: 0..1.
func (l *Load) around(at time.Duration) (from, to *MixPoint, w float64) {
	n := len(l.Mix)
	if n == 0 {
		return nil, nil, 0
	}
	if l.Cycle > 0 {
		at %= l.Cycle
	}
	i := -1
	for i+1 < n && l.Mix[i+1].At <= at {
		i++
	}
	if i < 0 {
		if l.Cycle <= 0 {
			return &l.Mix[0], nil, 0
		}
		i, at = n-1, at+l.Cycle // the last point of the cycle before still holds
	}
	from = &l.Mix[i]
	if !l.Drift || i == n-1 && l.Cycle <= 0 {
		return from, nil, 0
	}
	to = &l.Mix[(i+1)%n]
	length := to.At - from.At
	if i == n-1 {
		length += l.Cycle
	}
	return from, to, (at - from.At).Seconds() / length.Seconds()
}

// Pick draws an endpoint at an instant; scratch is as long as the application's endpoints.
func (l *Load) Pick(at time.Duration, rng *rand.Rand, scratch []float64) foresail.EndpointID {
	u := rng.Float64()
	if len(l.Mix) == 0 && l.Wander == nil { // as there may be thousands of them
		return foresail.EndpointID(min(int(u*float64(len(scratch))), len(scratch)-1))
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

// Wander multiplies the share of each endpoint by a lognormal number of its own with mean 1, which moves over time as that
// of an Uncertain load does. The load as a whole stays what it is; a service's is the more uncertain the fewer endpoints
// reach it and the smaller their shares are, as Luo et al. measured (Madu, SoCC 2022, figures 3b and 4).
type Wander struct {
	Spread float64       // variance of the numbers, 0..1
	Day    time.Duration // as of an Uncertain load; 0 means 24 h
	Seed   uint64        // 0: that of the run, see Load.Seeded
}

func (w *Wander) apply(at time.Duration, shares []float64) {
	variance := math.Log1p(w.Spread)
	for k := range shares {
		if shares[k] > 0 {
			u := Uncertain{Day: w.Day, Seed: derive(w.Seed, uint64(k))}
			shares[k] *= math.Exp(math.Sqrt(variance)*u.wander(at) - variance/2)
		}
	}
}
