package replica

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"foresail.dev"
)

// dice draws for many goroutines from one seeded source.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

// newDice gives each replica a source of its own.
func newDice(seed uint64, name string) *dice {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	return &dice{rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
}

func (d *dice) uniform() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.Float64()
}

// draw draws a duration.
func (d *dice) draw(dist foresail.Dist) time.Duration {
	if dist.Mean <= 0 {
		return 0
	}
	s := dist.Mean
	switch {
	case dist.Shape == foresail.Exponential:
		d.mu.Lock()
		s *= d.rng.ExpFloat64()
		d.mu.Unlock()
	case dist.Shape == foresail.LogNormal && dist.CV > 0:
		// With this variance of the logarithm, the mean and the coefficient of variation are as asked.
		v := math.Log1p(dist.CV * dist.CV)
		d.mu.Lock()
		s *= math.Exp(d.rng.NormFloat64()*math.Sqrt(v) - v/2)
		d.mu.Unlock()
	}
	return time.Duration(s * float64(time.Second))
}
