package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"

	"foresail.dev/model/callgraph/shares"
)

// Drawn says what series to draw.
type Drawn struct {
	Kind     Kind
	Series   int
	Windows  int
	Classes  int
	Mixes    int     // of Markov, Cycle and Ramp
	Stay     float64 // of Markov: the probability that a mix stays for another window
	Dwell    int     // of Cycle and Ramp: windows for which each mix stays, or that it takes to the next
	Requests float64 // in a window, in the mean; 0: shares are exact
	Seed     uint64
}

// Kind is how the mix moves.
type Kind string

// The kinds.
const (
	Still  Kind = "still"  // it does not
	Markov Kind = "markov" // it jumps among a few mixes; each has its own preferences of what follows
	Cycle  Kind = "cycle"  // a few mixes follow each other in one order, each for as long
	Ramp   Kind = "ramp"   // it moves evenly from each of a few mixes to another
	Drift  Kind = "drift"  // it wanders, and none comes back
)

// Kinds are all.
var Kinds = []Kind{Still, Markov, Cycle, Ramp, Drift}

// Draw draws series, each with mixes of its own. Shares are what that many requests have, each drawn from the mix.
func (d Drawn) Draw() (all []shares.Series) {
	for i := range d.Series {
		r := rand.New(rand.NewPCG(d.Seed, uint64(i)))
		s := shares.Series{Name: fmt.Sprintf("%s-%d", d.Kind, i)}
		next := d.walk(r)
		for range d.Windows {
			mix := next()
			n := math.Round(d.Requests * (0.8 + 0.4*r.Float64()))
			if d.Requests > 0 {
				n = max(n, 1)
				mix = counted(r, mix, int(n))
				s.Requests = append(s.Requests, n)
			}
			s.Rows = append(s.Rows, mix)
		}
		all = append(all, s)
	}
	return all
}

// walk makes what gives the mix of one window after another.
func (d Drawn) walk(r *rand.Rand) func() []float64 {
	mixes := make([][]float64, max(d.Mixes, 1))
	for i := range mixes {
		mixes[i] = dirichlet(r, d.Classes, 1)
	}
	now, since := -1, 0
	switch d.Kind {
	case Markov:
		to := make([][]float64, len(mixes))
		for i := range to {
			to[i] = dirichlet(r, len(mixes), 0.5)
		}
		return func() []float64 {
			switch {
			case now < 0:
				now = r.IntN(len(mixes))
			case r.Float64() >= d.Stay:
				now = choose(r, to[now])
			}
			return clone(mixes[now])
		}
	case Cycle:
		now, since = r.IntN(len(mixes)), r.IntN(d.Dwell)
		return func() []float64 {
			if since++; since > d.Dwell {
				now, since = (now+1)%len(mixes), 1
			}
			return clone(mixes[now])
		}
	case Ramp:
		from, to := 0, r.IntN(len(mixes))
		return func() []float64 {
			if since == 0 {
				from, to = to, r.IntN(len(mixes))
			}
			at := (float64(since) + 0.5) / float64(d.Dwell) // the mean of the window
			since = (since + 1) % d.Dwell
			out := clone(mixes[from])
			for i := range out {
				out[i] += at * (mixes[to][i] - out[i])
			}
			return out
		}
	case Drift:
		z := make([]float64, d.Classes)
		for i := range z {
			z[i] = r.NormFloat64()
		}
		return func() []float64 {
			out := make([]float64, len(z))
			sum := 0.0
			for i := range z {
				z[i] += 0.1*r.NormFloat64() - 0.005*z[i]
				out[i] = math.Exp(z[i])
				sum += out[i]
			}
			for i := range out {
				out[i] /= sum
			}
			return out
		}
	}
	return func() []float64 { return clone(mixes[0]) }
}

func clone(row []float64) []float64 { return append([]float64(nil), row...) }

func choose(r *rand.Rand, p []float64) int {
	u := r.Float64()
	for i, v := range p {
		if u -= v; u < 0 {
			return i
		}
	}
	return len(p) - 1
}

// counted is the shares of n requests, each drawn from the mix.
func counted(r *rand.Rand, mix []float64, n int) []float64 {
	out := make([]float64, len(mix))
	for range n {
		out[choose(r, mix)] += 1 / float64(n)
	}
	return out
}

// dirichlet draws shares: gamma figures with the shape alpha, 1 or 0.5, over their sum.
func dirichlet(r *rand.Rand, n int, alpha float64) []float64 {
	out := make([]float64, n)
	sum := 0.0
	for i := range out {
		if alpha == 1 {
			out[i] = r.ExpFloat64()
		} else { // a squared normal figure has the shape one half
			z := r.NormFloat64()
			out[i] = z * z / 2
		}
		out[i] += 1e-6
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}
