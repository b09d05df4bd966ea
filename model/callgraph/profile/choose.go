package profile

import (
	"fmt"
	"math"
	"strings"

	"foresail.dev/model/callgraph/dist"
	"foresail.dev/sketch"
)

// Family is a kind of distribution.
type Family string

// The families, from the simplest on.
const (
	FamilyExponential      Family = "exponential"      // shifted; of the two fits the likelier
	FamilyErlang           Family = "erlang"           // several exponentials of one rate in a row, shifted
	FamilyHyperexponential Family = "hyperexponential" // a mixture of two exponentials, shifted
	FamilyPhases           Family = "phases"           // a mixture of two Erlangs, shifted: a body and a tail
	FamilyEmpirical        Family = "empirical"        // as observed: a narrow Erlang for each part of the quantiles, see Empirical
)

// Candidate is a family fitted to a sample.
type Candidate struct {
	Family Family `json:"family"`
	// Score is the Bayesian information criterion per own time, in nats: the lower, the better. See Choose.
	Score    float64    `json:"score"`
	Goodness Goodness   `json:"goodness"`
	Stage    dist.Stage `json:"stage"`
}

// Choice is the family that describes a sample, what the others would have done, and why it is this one.
type Choice struct {
	Best       Candidate   `json:"best"`
	Candidates []Candidate `json:"candidates"` // of each family the best that could be fitted, Best among them
	Why        string      `json:"why"`
}

// judged is how many own times a choice is made on at most. With more, any family is refused for a difference that no
// decision hangs on, and only what was observed itself is left.
const judged = 2000

// tolerated is how far a family's 95th and 99th percentile may be from the observed ones.
const tolerated = 0.1

// Choose fits every family and takes the one with the lowest Bayesian information criterion, of the likelihood of a sketch's
// buckets, in which own times are counted for this, and counts samples of more than 2,000 own times as 2,000. A family
// whose 95th or 99th percentile is off by more than a tenth is passed over, unless all are: percentiles are what it is for.
// A percentile beyond which fewer than ten own times lie isn't looked at.
func Choose(s Sample) (Choice, error) {
	if _, _, ok := s.curve(); !ok {
		return Choice{}, ErrSample
	}
	buckets := s.buckets()
	var c Choice
	add := func(f Family, d dist.Stage, params int) {
		k := Candidate{Family: f, Stage: d}
		var err error
		if k.Goodness, err = GoodnessOf(s, d); err != nil {
			return
		}
		k.Score = score(buckets, s, d, params)
		if math.IsNaN(k.Score) || math.IsInf(k.Score, 0) {
			return
		}
		for i := range c.Candidates {
			if c.Candidates[i].Family == f {
				if k.Score < c.Candidates[i].Score {
					c.Candidates[i] = k
				}
				return
			}
		}
		c.Candidates = append(c.Candidates, k)
	}
	for _, fit := range []func(Sample) (dist.Stage, error){Likely, Published} {
		if e, err := fit(s); err == nil {
			add(FamilyExponential, e, 2)
		}
	}
	for _, orders := range mixtures {
		for _, shift := range []float64{s.least(), 0} {
			p, ok := fitPhases(s, shift, orders)
			if !ok {
				continue
			}
			params := 2*len(orders) + 1 // weights but one, rates, the orders as one, the shift
			add(familyOf(orders), p, params)
		}
	}
	if e, err := Empirical(s); err == nil {
		add(FamilyEmpirical, e, 3*len(e.Parts))
	}
	c.pick(s)
	return c, nil
}

// tells says whether enough own times lie beyond a percentile for it to be known: ten.
func (s Sample) tells(p float64) bool { return s.told*(1-p) >= 10 }

func familyOf(orders []int) Family {
	switch {
	case len(orders) == 1:
		return FamilyErlang
	case orders[0] == 1 && orders[1] == 1:
		return FamilyHyperexponential
	default:
		return FamilyPhases
	}
}

func (c *Choice) pick(s Sample) {
	var off []string
	best := -1
	for i, k := range c.Candidates {
		if s.tells(0.95) && math.Abs(k.Goodness.P95) > tolerated || s.tells(0.99) && math.Abs(k.Goodness.P99) > tolerated {
			off = append(off, fmt.Sprintf("%s is off by %+.0f %% at p95 and %+.0f %% at p99", k.Family, 100*k.Goodness.P95, 100*k.Goodness.P99))
			continue
		}
		if best < 0 || k.Score < c.Candidates[best].Score {
			best = i
		}
	}
	if best < 0 {
		for i, k := range c.Candidates {
			if best < 0 || k.Score < c.Candidates[best].Score {
				best = i
			}
		}
	}
	c.Best = c.Candidates[best]
	c.Why = fmt.Sprintf("of %.0f own times, %s has the lowest criterion, %.3f a time, at a distance of CDFs of %.3f", s.n, c.Best.Family, c.Best.Score, c.Best.Goodness.KS)
	if e := c.Candidates[0]; c.Best.Family != FamilyExponential && e.Family == FamilyExponential {
		c.Why += fmt.Sprintf("; the exponential has %.3f at %.3f", e.Score, e.Goodness.KS)
	}
	if len(off) > 0 {
		c.Why += "; passed over: " + strings.Join(off, ", ")
	}
}

// bucket is one of a sketch's, with how many own times are in it.
type bucket struct {
	lo, hi, n float64
}

// buckets counts the sample in a sketch's buckets. The first reaches down to 0 and the last up without end, so that a
// distribution is not punished for what it has beyond the sample.
func (s Sample) buckets() (b []bucket) {
	last := math.MinInt
	for _, c := range s.cells {
		i := sketch.Index(c.hi)
		if i != last {
			b = append(b, bucket{lo: sketch.UpperBound(i - 1), hi: sketch.UpperBound(i)})
			last = i
		}
		b[len(b)-1].n += c.n
	}
	b[0].lo, b[len(b)-1].hi = 0, math.Inf(1)
	return b
}

// score is the criterion per own time: -2 ln L / n + params ln(m) / m, with m how many were observed, or judged.
func score(b []bucket, s Sample, d dist.Stage, params int) (bic float64) {
	for _, k := range b {
		p := -d.CDF(k.lo)
		if math.IsInf(k.hi, 1) {
			p++
		} else {
			p += d.CDF(k.hi)
		}
		bic -= 2 * k.n / s.n * math.Log(max(p, 1e-12))
	}
	m := max(min(s.told, judged), 2)
	return bic + float64(params)*math.Log(m)/m
}
