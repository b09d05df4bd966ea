package profile

import (
	"math"

	"foresail.dev/model/callgraph/dist"
)

// Goodness tells how far a fitted distribution is from the own times it was fitted to.
type Goodness struct {
	KS float64 `json:"ks"` // the largest distance of the two CDFs (Kolmogorov-Smirnov), 0..1
	// KL is the artefact's measure: the relative entropy, in nats, of the empirical to the fitted CDF at the left edges of 100
	// bins, each scaled so that its sum is 1. It is a measure of curves, not of distributions.
	KL float64 `json:"kl"`
	// P95 and P99 are the fitted percentiles over the empirical ones, less 1.
	P95 float64 `json:"p95"`
	P99 float64 `json:"p99"`
}

// GoodnessOf compares a distribution with a sample of at least two own times that differ.
func GoodnessOf(s Sample, d dist.Stage) (g Goodness, err error) {
	f, x, ok := s.curve()
	if !ok {
		return g, ErrSample
	}
	sum := 0.0
	for i, c := range s.cells {
		// Within a cell nothing is known: its ends are compared.
		before := sum / s.n
		sum += c.n
		lo := c.lo
		if c.lo == c.hi {
			lo = math.Nextafter(c.lo, 0) // a step: the CDF just below it is the one before
		}
		if i == 0 || c.lo == c.hi || s.cells[i-1].hi <= c.lo {
			g.KS = max(g.KS, math.Abs(d.CDF(lo)-before))
		}
		if i+1 == len(s.cells) || s.cells[i+1].hi > c.hi {
			g.KS = max(g.KS, math.Abs(d.CDF(c.hi)-sum/s.n))
		}
	}
	g.KL = entropy(f, x, s.least(), d)
	g.P95 = d.Quantile(0.95)/s.Quantile(0.95) - 1
	g.P99 = d.Quantile(0.99)/s.Quantile(0.99) - 1
	return g, nil
}

// entropy is Σ p ln(p/q) of the curves f and d's CDF, scaled to sum 1; infinite where d has nothing and f has something.
func entropy(f, x []float64, shift float64, d dist.Stage) (kl float64) {
	q := make([]float64, len(x))
	fs, qs := 0.0, 0.0
	for i := range x {
		q[i] = d.CDF(shift + x[i])
		fs, qs = fs+f[i], qs+q[i]
	}
	for i := range x {
		if f[i] > 0 {
			kl += f[i] / fs * math.Log(f[i]/fs*qs/q[i])
		}
	}
	return max(kl, 0)
}

// Quantile is the own time in seconds that a share p of the sample stays below; NaN of an empty one.
func (s Sample) Quantile(p float64) float64 {
	if len(s.cells) == 0 || !(p >= 0 && p <= 1) {
		return math.NaN()
	}
	rank, seen := p*s.n, 0.0
	for _, c := range s.cells {
		if seen+c.n >= rank {
			in := max(rank-seen, 0) / c.n
			if c.lo <= 0 {
				return c.hi * in
			}
			return c.lo * math.Pow(c.hi/c.lo, in)
		}
		seen += c.n
	}
	return s.cells[len(s.cells)-1].hi
}
