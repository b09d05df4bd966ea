package random

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
)

// objectives gives every endpoint an objective: ObjectiveFactor times its p99 when idle, rounded up to 10 ms.
func (d *drawer) objectives(bp *foresail.Blueprint) {
	const samples = 300
	took := make([]float64, samples)
	for i := range bp.App.Endpoints {
		for k := range took {
			took[k] = d.takes(bp, bp.Entries[i])
		}
		slices.Sort(took)
		p99 := took[samples*99/100]
		latency := time.Duration(math.Ceil(ObjectiveFactor*p99*100)) * 10 * time.Millisecond
		bp.App.Endpoints[i].Objective = &foresail.Objective{Percentile: 99, Latency: latency}
	}
}

// takes draws how long one run of an operation takes when nobody else is there.
func (d *drawer) takes(bp *foresail.Blueprint, t foresail.Target) float64 {
	return d.stepsTake(bp, bp.Services[t.Service].Operations[t.Operation].Steps)
}

func (d *drawer) stepsTake(bp *foresail.Blueprint, steps []foresail.Step) (sum float64) {
	for i := range steps {
		s := &steps[i]
		sum += d.sample(s.Work.CPU) + d.sample(s.Work.IO)
		longest := 0.0
		for j := range s.Calls {
			c := &s.Calls[j]
			if c.Async || c.Probability < 1 && !d.chance(c.Probability) {
				continue
			}
			call := 0.0
			for range c.Repeat {
				call += d.takes(bp, c.Target)
				if c.Cached && !d.chance(c.Hit) {
					call += d.stepsTake(bp, c.Miss)
				}
			}
			longest = math.Max(longest, call)
		}
		sum += longest
	}
	return sum
}

// sample draws from a lognormal distribution with the mean and the coefficient of variation given.
func (d *drawer) sample(v foresail.Dist) float64 {
	if v.Mean == 0 {
		return 0
	}
	s := math.Log1p(v.CV * v.CV)
	return v.Mean * math.Exp(math.Sqrt(s)*d.rng.NormFloat64()-s/2)
}
