package learner

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Candidate is a kind of learner with its hyper-parameters. Those of other kinds are 0.
type Candidate struct {
	Kind      Kind
	LogInputs bool // logarithms of inputs that are never negative
	LogTarget bool // of the target

	// Of Gaussian processes. Shrink is the standard deviation of the prior of logarithmic length scales, around what fits
	// the number of inputs (Hvarfner et al., "Vanilla Bayesian optimization performs great in high dimensions", ICML 2024);
	// 0: none, lengths are where the likelihood is highest.
	Rough  bool // Matern 3/2 in place of 5/2
	Shrink float64

	Penalty float64 // of Ridge, for each row; of Trees λ; of Network the weight decay

	Layers, Width int     // hidden layers of Network, and their width
	Rate          float64 // of learning: of Network and Trees
	Rounds        int     // epochs of Network; trees of Trees
	Depth         int     // of Trees
	Share         float64 // of rows and inputs that each of Trees sees
}

func (c *Candidate) check() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	within := func(what string, v, lo, hi float64) {
		check(v >= lo && v <= hi, "%s of a %s is %v, must be from %v to %v", what, c.Kind, v, lo, hi)
	}
	check(c.Kind < kinds, "there is no %s", c.Kind)
	switch c.Kind {
	case Ridge:
		within("the penalty", c.Penalty, 1e-9, 1e6)
	case Process, Scaled:
		within("shrink", c.Shrink, 0, 100)
	case Network:
		within("the number of layers", float64(c.Layers), 1, 8)
		within("the width", float64(c.Width), 1, 4096)
		within("the rate", c.Rate, 1e-6, 1)
		within("the number of epochs", float64(c.Rounds), 1, 1e5)
		within("the weight decay", c.Penalty, 0, 1e3)
	case Trees:
		within("the number of trees", float64(c.Rounds), 1, 1e4)
		within("the depth", float64(c.Depth), 1, 30)
		within("the rate", c.Rate, 1e-6, 1)
		within("the share", c.Share, 1e-3, 1)
		within("the penalty", c.Penalty, 0, 1e6)
	}
	return errors.Join(faults...)
}

// first is what is tried first of a kind.
func first(k Kind) Candidate {
	c := Candidate{Kind: k, LogInputs: true, LogTarget: true}
	switch k {
	case Ridge:
		c.Penalty = 0.1
	case Scaled:
		c.Shrink = 1
	case Network:
		c.Layers, c.Width, c.Rate, c.Rounds, c.Penalty = 2, 32, 0.003, 150, 0.01
	case Trees:
		c.Rounds, c.Depth, c.Rate, c.Share, c.Penalty = 200, 3, 0.05, 0.7, 1
	}
	return c
}

// draw is another candidate of a kind.
func draw(k Kind, r *rand.Rand) Candidate {
	c := Candidate{Kind: k, LogInputs: r.IntN(4) > 0, LogTarget: r.IntN(4) > 0}
	between := func(lo, hi float64) float64 { return math.Exp(math.Log(lo) + r.Float64()*math.Log(hi/lo)) }
	switch k {
	case Ridge:
		c.Penalty = between(1e-3, 10)
	case Process:
		c.Rough, c.Shrink = r.IntN(2) > 0, []float64{0, 1}[r.IntN(2)]
	case Scaled:
		c.Rough, c.Shrink = r.IntN(2) > 0, []float64{0, 0.3, 0.6, 1, math.Sqrt(3)}[r.IntN(5)]
	case Network:
		c.Layers, c.Width = 1+r.IntN(3), int(between(8, 128))
		c.Rate, c.Rounds, c.Penalty = between(0.0005, 0.03), int(between(40, 500)), between(1e-4, 1)
	case Trees:
		c.Rounds, c.Depth, c.Rate = int(between(50, 500)), 1+r.IntN(5), between(0.02, 0.2)
		c.Share, c.Penalty = 0.3+0.7*r.Float64(), between(0.1, 20)
	}
	return c
}
