package tune

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"foresail.dev/model/latency/learner"
)

// Optimiser is how the next setting is picked.
type Optimiser string

// The optimisers.
const (
	Random   Optimiser = "random"   // the best predicted of many settings at random
	Bayesian Optimiser = "bayesian" // the largest expected improvement, where other objectives likely hold
	Metis    Optimiser = "metis"    // exploration, exploitation or sampling again, whichever promises most
)

// Optimisers are all there are.
var Optimisers = []Optimiser{Random, Bayesian, Metis}

// Config says what is searched, and how.
type Config struct {
	Space     Space
	Entry     string // the service that the tuned endpoint calls
	Model     Model
	Optimiser Optimiser
	Initial   int // trials of the initial design, the default setting's included; ≥ 1
	// Candidates are settings at random whose predictions are looked at; > 0.
	Candidates int
	// Evaluations are sets of hyper-parameters that are tried for each model that is trained; > 0.
	Evaluations int
	// Weight is how many seconds of latency a unit of cost is worth.
	Weight float64
	Seed   uint64
}

// Check reports all that is wrong.
func (c *Config) Check() error {
	faults := []error{c.Space.Check()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(slices.Contains(Models, c.Model), "there is no model %q", c.Model)
	check(slices.Contains(Optimisers, c.Optimiser), "there is no optimiser %q", c.Optimiser)
	check(c.Entry != "" && !strings.ContainsAny(c.Entry, ":#"), "the entry service is %q", c.Entry)
	check(c.Initial >= 1, "the initial design has %d trials, at least 1 is needed", c.Initial)
	check(c.Candidates > 0 && c.Evaluations > 0, "%d candidates and %d evaluations: at least one of each is needed", c.Candidates, c.Evaluations)
	check(c.Weight >= 0 && !math.IsInf(c.Weight, 0), "the weight of cost is %v", c.Weight)
	return errors.Join(faults...)
}

// Score is what is made small: latency in seconds, and what the setting costs times Weight.
func (c *Config) Score(v Setting, latency float64) float64 {
	if c.Weight == 0 {
		return latency
	}
	return latency + c.Weight*c.Space.cost(v)
}

// Proposal is what to try next, and what is expected of it.
type Proposal struct {
	Setting   Setting
	Predicted *learner.Prediction // nil: no model was asked
	Why       string              // one word or a few: "default", "design", "exploit"
}

// Streams of random numbers.
const (
	forDesign = 0xde519
	forPick   = 0x71c4
)

// Next is what to try after so many trials. Errors say what model can't be trained, or what is wrong with the config.
func (c *Config) Next(trials []Trial) (Proposal, error) {
	if err := c.Check(); err != nil {
		return Proposal{}, err
	}
	n := len(trials)
	if n == 0 {
		return Proposal{Setting: c.Space.Default(), Why: "default"}, nil
	}
	r := rand.New(rand.NewPCG(c.Seed^uint64(n)<<32, forPick))
	worked := 0
	for i := range trials {
		worked += b2i(trials[i].worked())
	}
	switch {
	case n < c.Initial:
		u := c.Space.hypercube(c.Initial-1, rand.New(rand.NewPCG(c.Seed, forDesign)))[n-1]
		return Proposal{Setting: c.Space.towards(u, reach(trials)), Why: "design"}, nil
	case c.Model == None:
		return Proposal{Setting: c.Space.Draw(r), Why: "random"}, nil
	case worked < enough:
		u := c.Space.hypercube(1, r)[0]
		return Proposal{Setting: c.Space.towards(u, reach(trials)), Why: "design"}, nil
	}
	p, err := c.fit(trials, c.Seed)
	if err != nil {
		return Proposal{}, err
	}
	k := picker{c: c, p: p, trials: trials, r: r, tried: map[string]bool{}}
	for i := range trials {
		k.tried[trials[i].Setting.key()] = true
	}
	var out Proposal
	switch c.Optimiser {
	case Bayesian:
		out = k.bayesian()
	case Metis:
		out = k.metis()
	default:
		out = k.exploit()
	}
	if out.Setting == nil { // all that can be set was tried
		return Proposal{Setting: c.Space.Draw(r), Why: "random"}, nil
	}
	expected, _ := p.predict(out.Setting)
	out.Predicted = &expected
	return out, nil
}

// enough is how many trials must have worked before a model is trained.
const enough = 6

// reach is how far from the default setting the next trial of a design goes, as a share of the way: nearer after each trial in which
// the application did not work, and on again after each in which it did.
func reach(trials []Trial) float64 {
	out := 1.0
	for i := range trials {
		if trials[i].worked() && trials[i].Verdict == Fine {
			out = math.Min(out*1.1, 1)
		} else {
			out *= 0.8
		}
	}
	return out
}

// Effect is what one knob does to the predicted latency.
type Effect struct {
	Knob  int
	Ratio float64 // the largest over the smallest that is predicted, as this knob alone goes through its range
}

// Effects are what each knob does beside a setting, largest first: of a model that is trained on all trials. The knobs that cost are
// moved whatever the bound is.
func (c *Config) Effects(trials []Trial, at Setting) ([]Effect, error) {
	if c.Model == None {
		return nil, nil
	}
	p, err := c.fit(trials, c.Seed)
	if err != nil {
		return nil, err
	}
	var out []Effect
	for i := range c.Space.Knobs {
		least, most := math.Inf(1), 0.0
		v := slices.Clone(at)
		const steps = 17
		for s := range steps {
			v[i] = c.Space.Knobs[i].at(float64(s) / (steps - 1))
			x := p.value(v)
			least, most = min(least, x), max(most, x)
		}
		out = append(out, Effect{i, most / least})
	}
	slices.SortStableFunc(out, func(a, b Effect) int {
		switch {
		case a.Ratio > b.Ratio:
			return -1
		case a.Ratio < b.Ratio:
			return 1
		}
		return 0
	})
	return out, nil
}
