// Package expected holds what a manager expects of latencies against what then happened.
package expected

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// fewest is how many requests an interval needs for its percentile to be held against one that was expected, beyond it: of
// 100 requests one lies beyond the 99th percentile, which says little.
const fewest = 5

// Scores gathers how far off expectations were. The zero value is ready.
type Scores struct {
	open   []open
	errors []float64
}

// open is an expectation whose interval has not ended.
type open struct {
	foresail.Expectation
	latency *sketch.Sketch
}

// Planned takes in what a plan expects.
func (s *Scores) Planned(p *foresail.Plan) {
	for _, e := range p.Expected {
		if e.To.After(e.From) && e.Latency > 0 && !math.IsInf(e.Latency, 1) && e.Percentile > 0 && e.Percentile < 100 {
			s.open = append(s.open, open{e, sketch.New()})
		}
	}
}

// Observed takes in what happened in an interval. Expectations whose interval ended before count then, where requests enough
// ended in it.
func (s *Scores) Observed(sn *foresail.Snapshot) {
	s.settle(sn.Start)
	if !sn.Has.Has(foresail.SignalEndpoints) {
		return
	}
	for i := range s.open {
		o := &s.open[i]
		if !sn.Start.Before(o.From) && !sn.End.After(o.To) && int(o.Endpoint) < len(sn.Endpoints) {
			o.latency.Merge(sn.Endpoints[o.Endpoint].Latency)
		}
	}
}

// settle counts what has ended at an instant.
func (s *Scores) settle(now time.Time) {
	s.open = slices.DeleteFunc(s.open, func(o open) bool {
		if o.To.After(now) {
			return false
		}
		if o.latency.Count()*(1-o.Percentile/100) >= fewest {
			s.errors = append(s.errors, o.Latency/o.latency.Quantile(o.Percentile/100)-1)
		}
		return true
	})
}

// Score is how far off expectations were, over all that could be held against something.
type Score struct {
	N        int     // expectations
	Error    float64 // median of |expected/observed - 1|
	Bias     float64 // median of expected/observed - 1
	Within10 float64 // share that was at most 10 % off
}

// Score counts what has been taken in. Intervals that have not ended by then don't count.
func (s *Scores) Score(now time.Time) (out Score) {
	s.settle(now)
	if out.N = len(s.errors); out.N == 0 {
		return out
	}
	sizes := make([]float64, out.N)
	for i, e := range s.errors {
		sizes[i] = math.Abs(e)
		if sizes[i] <= 0.1 {
			out.Within10 += 1 / float64(out.N)
		}
	}
	out.Error, out.Bias = median(sizes), median(slices.Clone(s.errors))
	return out
}

func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
