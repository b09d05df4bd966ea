package explore

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config of a Manager. Zero fields mean the published values, or what gives them for the two published applications: p99
// below 500 ms (Social Network) and below 200 ms (Hotel Reservation).
type Config struct {
	Quantum  float64    // ms that a p99 is rounded up to in the hidden state; 0: max(L/8, L/4 - 25) with the objective L: 100 and 25
	Roof     float64    // ms of p99, the end of the region of interest, above which it recovers; 0: L + min(50, L/4): 550 and 250
	Rate     float64    // requests/s that a rate is rounded up to; 0: ten requests in the time of the objective, 10,000/L: 20 and 50
	Bias     [6]float64 // of the operations, in their order; all 0: those of the published application with the nearer objective
	Cap      float64    // utilisation above which a service is not lowered, and is raised to it; 0: 0.8 and 0.7
	Random   float64    // share of a service's seconds in which its cores are drawn at random; 0: 0.01; negative: none
	Hold     float64    // share of seconds in which all services are held; 0: 0.05; negative: none
	Dwell    int        // seconds, in the mean, that all services are then held for; 0: 1
	Reach    float64    // how many times what a service uses it is raised to at most, and a unit more; 0: as far as its bounds allow
	Replicas bool       // the number of replicas is moved as well where the CPU of one comes to its bounds; else each service keeps those it has
	Unit     float64    // cores that allocations are whole multiples of, and fifths below one; 0: 1
	Warmup   int        // seconds at the maximum in the beginning; 0: 5
	Recovery int        // seconds of recovery in a row after which everything goes to the maximum; 0: 30

	// Budget is how long the objective may be violated in all; 0: for ever. Before it is spent, less Reserve for what is still in
	// flight, everything goes to its maximum and stays there.
	Budget  time.Duration
	Reserve time.Duration // 0: 5 s, the time that a violation is taken to come after its cause
	// Pace is over how long the budget is spread: when more than Reserve and its share of the time so far is spent, nothing is
	// lowered until the time has come. 0: it is spent as it goes.
	Pace time.Duration
}

// The published applications: the objective in ms, the operations' biases and the cap on utilisation.
var published = [...]struct {
	objective float64
	bias      [6]float64
	cap       float64
}{
	{500, [6]float64{4.1, 4, 2, 0.05, 0.05, 0.025}, 0.8},
	{200, [6]float64{2.51, 2.5, 2, 0.0025, 0.0025, 0.00125}, 0.7},
}

// withDefaults fills in what is zero, for an objective in ms.
func (c Config) withDefaults(objective float64) Config {
	set := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	near := published[0]
	for _, p := range published {
		if math.Abs(math.Log(objective/p.objective)) < math.Abs(math.Log(objective/near.objective)) {
			near = p
		}
	}
	set(&c.Quantum, max(objective/8, objective/4-25))
	set(&c.Roof, objective+min(50, objective/4))
	set(&c.Rate, 10_000/objective)
	set(&c.Cap, near.cap)
	set(&c.Random, 0.01)
	set(&c.Hold, 0.05)
	set(&c.Unit, 1)
	if c.Bias == [6]float64{} {
		c.Bias = near.bias
	}
	if c.Warmup == 0 {
		c.Warmup = delay
	}
	if c.Recovery == 0 {
		c.Recovery = 30
	}
	if c.Dwell == 0 {
		c.Dwell = 1
	}
	if c.Reserve == 0 {
		c.Reserve = delay * time.Second
	}
	c.Random, c.Hold = max(c.Random, 0), max(c.Hold, 0)
	return c
}

// check tells every fault at once; it comes after withDefaults.
func (c *Config) check(objective float64) error {
	var errs []error
	must := func(ok bool, format string, a ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("explore: "+format, a...))
		}
	}
	finite := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	must(finite(c.Quantum), "quantum %v ms: must be above 0", c.Quantum)
	must(c.Roof >= objective && finite(c.Roof), "roof %v ms: must be at least the objective, %v ms", c.Roof, objective)
	must(finite(c.Rate), "rate %v requests/s: must be above 0", c.Rate)
	for i, b := range c.Bias {
		must(b >= 0 && !math.IsInf(b, 0), "bias of %s, %v: must not be negative", ops[i].name, b)
	}
	must(c.Cap > 0 && c.Cap <= 1, "cap %v: must be above 0 and at most 1", c.Cap)
	must(c.Random <= 1, "random %v: must be at most 1", c.Random)
	must(c.Hold <= 1, "hold %v: must be at most 1", c.Hold)
	must(finite(c.Unit), "unit %v cores: must be above 0", c.Unit)
	must(c.Warmup >= 1, "warm-up of %d seconds: must be at least 1", c.Warmup)
	must(c.Dwell >= 1, "dwell of %d seconds: must be at least 1", c.Dwell)
	must(c.Reach == 0 || c.Reach >= 1 && !math.IsInf(c.Reach, 0), "reach %v: must be at least 1", c.Reach)
	must(c.Recovery >= 1, "recovery of %d seconds: must be at least 1", c.Recovery)
	must(c.Budget >= 0, "budget %v: must not be negative", c.Budget)
	must(c.Budget == 0 || c.Budget > c.Reserve, "budget %v: must be above what is kept for requests in flight, %v", c.Budget, c.Reserve)
	must(c.Reserve >= 0, "reserve %v: must not be negative", c.Reserve)
	must(c.Pace >= 0, "pace %v: must not be negative", c.Pace)
	return errors.Join(errs...)
}
