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
	open []open
	done []Case
}

// open is an expectation whose interval has not ended.
type open struct {
	foresail.Expectation
	parts []*sketch.Sketch // of the latencies of each second or so
	ends  time.Time        // of the newest part
}

// Case is an expectation that was held against what happened.
type Case struct {
	foresail.Expectation
	Observed float64 // latency in seconds
	// Best is the probability that what is observed is at most 10 % off what was to be expected, for whoever knows that exactly: of
	// so few requests, which come and are late in bursts, a percentile is off by chance.
	Best float64
}

// Off is by how much more was expected than observed, as a share of the latter.
func (c *Case) Off() float64 { return c.Latency/c.Observed - 1 }

// Planned takes in what a plan expects.
func (s *Scores) Planned(p *foresail.Plan) {
	for _, e := range p.Expected {
		if e.To.After(e.From) && e.Latency > 0 && !math.IsInf(e.Latency, 1) && e.Percentile > 0 && e.Percentile < 100 {
			s.open = append(s.open, open{Expectation: e})
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
		if sn.Start.Before(o.From) || sn.End.After(o.To) || int(o.Endpoint) >= len(sn.Endpoints) {
			continue
		}
		if n := len(o.parts); n == 0 || sn.End.Sub(o.ends) > time.Second {
			o.parts = append(o.parts, sketch.New())
			o.ends = sn.Start
		}
		o.parts[len(o.parts)-1].Merge(sn.Endpoints[o.Endpoint].Latency)
	}
}

// settle counts what has ended at an instant.
func (s *Scores) settle(now time.Time) {
	s.open = slices.DeleteFunc(s.open, func(o open) bool {
		if o.To.After(now) {
			return false
		}
		all := sketch.New()
		for _, p := range o.parts {
			all.Merge(p)
		}
		if all.Count()*(1-o.Percentile/100) >= fewest {
			s.done = append(s.done, Case{o.Expectation, all.Quantile(o.Percentile / 100), best(o.parts, all, o.Percentile/100)})
		}
		return true
	})
}

// Tolerated is how far off an expectation may be, as a share of what was observed.
const Tolerated = 0.1

// best is the probability of Case.Best where all is the truth: that of n independent requests so many lie below what is tolerated
// too little, and so many below what is too much, n being fewer than there were by as much as the counts of seconds vary more than
// those of independent requests would.
func best(parts []*sketch.Sketch, all *sketch.Sketch, p float64) float64 {
	n, at := all.Count(), all.Quantile(p)
	more := 0.0
	for _, s := range parts {
		d := s.CountAbove(at) - (1-p)*s.Count()
		more += d * d
	}
	n /= max(more/(n*p*(1-p)), 1)
	below := func(v float64) float64 { // the probability that the percentile of what is observed lies below v
		f := 1 - all.CountAbove(v)/all.Count()
		if d := math.Sqrt(f * (1 - f) / n); d > 0 {
			return 0.5 * math.Erfc((p-f)/d/math.Sqrt2)
		}
		if f < p {
			return 0
		}
		return 1
	}
	return max(below(at/(1-Tolerated))-below(at/(1+Tolerated)), 0)
}

// Score is how far off expectations were, over all that could be held against something.
type Score struct {
	N        int     // expectations
	Error    float64 // median of |expected/observed - 1|
	Bias     float64 // median of expected/observed - 1
	Within10 float64 // share that was at most 10 % off
	Best     float64 // mean of Case.Best: the share that could be, but for chance
}

// Cases are those that have been held against what happened until now. Intervals that have not ended don't count.
func (s *Scores) Cases(now time.Time) []Case {
	s.settle(now)
	return s.done
}

// Score counts what has been taken in of expectations that of is true of; nil: of all. Intervals that have not ended by then don't
// count.
func (s *Scores) Score(now time.Time, of func(foresail.Expectation) bool) (out Score) {
	var errors []float64
	for _, c := range s.Cases(now) {
		if of == nil || of(c.Expectation) {
			errors = append(errors, c.Off())
			out.Best += c.Best
		}
	}
	if out.N = len(errors); out.N == 0 {
		return out
	}
	out.Best /= float64(out.N)
	sizes := make([]float64, out.N)
	for i, e := range errors {
		sizes[i] = math.Abs(e)
		if sizes[i] <= Tolerated {
			out.Within10 += 1 / float64(out.N)
		}
	}
	out.Error, out.Bias = median(sizes), median(errors)
	return out
}

func median(v []float64) float64 {
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
