package callgraph

import (
	"errors"
	"fmt"
	"math"

	"foresail.dev/sketch"
)

// Calibration is how far observed latencies are from those computed. Own times that are large together (a slow request
// is often slow everywhere) make the tail longer than the sum of independent ones, and queues that empty together make it
// shorter; at the same mix and about the same load the ratio stays, so that what is computed for other allocations is
// multiplied by it.
type Calibration struct {
	Levels []Level // ascending percentiles
	Bound  float64 // ratios used are from 1/Bound to Bound
}

// Level is one percentile, computed and observed.
type Level struct {
	P                  float64 // 0 to 1
	Computed, Observed float64 // s; Observed is NaN where too few requests are beyond it to tell
	Beyond             float64 // requests observed beyond it
	Ratio              float64 // Observed / Computed, nearer to 1 the fewer requests tell of it, and within the bound
	Cut                bool    // the bound changed it: own times don't explain the latency, and a percentile is not to be relied on
}

// levels are the percentiles that are compared.
var levels = [...]float64{0.5, 0.75, 0.9, 0.95, 0.99, 0.999}

const (
	leastBeyond = 5  // requests beyond a percentile, for it to be told at all
	halfway     = 10 // requests beyond a percentile that move a ratio half of the way from 1
)

// Calibrate compares the mixture with the latencies that were observed of its requests, in seconds. bound, at least 1, is the
// most by which a percentile may be corrected: 1.5 is a good one. It fails where the bound is out of its range, nothing was
// observed, or the mixture has no latency.
func (m *Mixture) Calibrate(observed *sketch.Sketch, bound float64) (*Calibration, error) {
	switch {
	case !(bound >= 1) || math.IsInf(bound, 0):
		return nil, fmt.Errorf("a bound of %g: corrections lie within 1/bound and bound, which is at least 1", bound)
	case observed.Count() <= 0:
		return nil, errors.New("no latency was observed to calibrate to")
	}
	c := &Calibration{Bound: bound}
	for _, p := range levels {
		l := Level{P: p, Computed: m.Percentile(p), Observed: math.NaN(), Beyond: observed.Count() * (1 - p), Ratio: 1}
		if !(l.Computed > 0) {
			return nil, fmt.Errorf("percentile %g of the mixture is %g s: its own times are 0", p, l.Computed)
		}
		if l.Beyond >= leastBeyond {
			l.Observed = observed.Quantile(p)
			ratio := math.Log(math.Max(l.Observed, 1e-9)/l.Computed) * l.Beyond / (l.Beyond + halfway)
			most := math.Log(bound)
			l.Cut = math.Abs(ratio) > most
			l.Ratio = math.Exp(math.Min(math.Max(ratio, -most), most))
		} else if n := len(c.Levels); n > 0 {
			l.Ratio = c.Levels[n-1].Ratio // the next lower percentile is the best that is known
		}
		c.Levels = append(c.Levels, l)
	}
	return c, nil
}

// Ratio is what a computed percentile p is to be multiplied by: between two levels on the scale of ln(1-p), on which tails are
// nearly straight; outside of them that of the outermost. 1 of a nil calibration.
func (c *Calibration) Ratio(p float64) float64 {
	if c == nil || len(c.Levels) == 0 || math.IsNaN(p) {
		return 1
	}
	before := c.Levels[0]
	for _, l := range c.Levels {
		if p <= l.P {
			if l.P == before.P {
				return l.Ratio
			}
			x := (math.Log1p(-p) - math.Log1p(-before.P)) / (math.Log1p(-l.P) - math.Log1p(-before.P))
			return before.Ratio + x*(l.Ratio-before.Ratio)
		}
		before = l
	}
	return before.Ratio
}

// ByService adds up what is by part and visit, as the rows of Tail and Gradient are: by ServiceID, to the highest that is visited.
func (m *Mixture) ByService(rows [][]float64) []float64 {
	var out []float64
	for i, p := range m.parts {
		for v, x := range rows[i] {
			s := int(p.Graph.form.Visits[v].Service)
			for len(out) <= s {
				out = append(out, 0)
			}
			out[s] += x
		}
	}
	return out
}
