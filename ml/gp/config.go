package gp

import (
	"errors"
	"fmt"
	"math"
)

// Kernel is how covariance falls with distance.
type Kernel uint8

const (
	Matern52 Kernel = iota // twice differentiable
	Matern32               // once differentiable
	kernels
)

func (k Kernel) String() string {
	if k >= kernels {
		return fmt.Sprintf("kernel %d", uint8(k))
	}
	return [...]string{"matern-5/2", "matern-3/2"}[k]
}

// MaxRows bounds how many rows a model may be of: time grows with their cube, memory with their square.
const MaxRows = 4096

// Config says how to fit. Start from Default.
type Config struct {
	Kernel Kernel
	// PerFeature gives each feature a length scale of its own; otherwise one holds for all, once they have variance 1.
	PerFeature bool

	Restarts    int // starts from random parameters, after that from fixed ones; ≥ 0
	Iterations  int // of L-BFGS at most, for each start; > 0
	Evaluations int // of the likelihood at most, for each start; > 0

	// Prior pulls length scales towards what is plausible. Its zero value pulls at none: with many features and few rows,
	// the likelihood alone then finds features that matter by chance.
	Prior Prior

	// MaxJitter is how much may be added to the diagonal so that the kernel matrix can be factored, as a share of the
	// variance: 1e-12 at first, then ten times as much each time. 0: nothing.
	MaxJitter float64

	Seed uint64 // of the random starts
}

// Prior is a normal distribution of the natural logarithm of each length scale, of features of variance 1. Parameters are then
// where likelihood and prior together are highest.
type Prior struct {
	Mean, Deviation float64 // Deviation 0: no prior
}

// Default is a Config with a length scale for each feature.
func Default() Config {
	return Config{PerFeature: true, Restarts: 2, Iterations: 50, Evaluations: 80, MaxJitter: 1e-6}
}

func (c *Config) validate() error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("gp: "+format, args...))
		}
	}
	check(c.Kernel < kernels, "unknown %s", c.Kernel)
	check(c.Restarts >= 0, "restarts is %d, must not be negative", c.Restarts)
	check(c.Iterations > 0, "iterations is %d, must be at least 1", c.Iterations)
	check(c.Evaluations > 0, "evaluations is %d, must be at least 1", c.Evaluations)
	check(c.Prior.Deviation >= 0 && !math.IsInf(c.Prior.Deviation, 0) && math.Abs(c.Prior.Mean) <= 100, "the prior of length scales has the mean %v and the deviation %v", c.Prior.Mean, c.Prior.Deviation)
	check(c.MaxJitter >= 0 && c.MaxJitter <= 1, "max jitter is %v, must be from 0 to 1", c.MaxJitter)
	return errors.Join(faults...)
}

// Params are what the likelihood hangs on, in the units of the data.
type Params struct {
	// Lengths has a length scale for each feature, in its unit.
	Lengths  []float64
	Variance float64 // s, in the square of the target's unit; > 0
	Noise    float64 // variance of the noise, likewise; ≥ 0
}

func (p *Params) validate(features int) error {
	if len(p.Lengths) != features {
		return fmt.Errorf("gp: %d length scales for %d features", len(p.Lengths), features)
	}
	for f, l := range p.Lengths {
		if !(l > 0) || math.IsInf(l, 0) {
			return fmt.Errorf("gp: length scale of feature %d is %v, must be above 0", f, l)
		}
	}
	if !(p.Variance > 0) || math.IsInf(p.Variance, 0) || !(p.Noise >= 0) || math.IsInf(p.Noise, 0) {
		return fmt.Errorf("gp: variance is %v and noise %v: they must be numbers above 0, and of at least 0", p.Variance, p.Noise)
	}
	return nil
}

// A SingularError says that the kernel matrix can't be factored: rows repeat, or nearly so, and there is no noise.
type SingularError struct {
	Rows   int
	Jitter float64 // the most that was added to the diagonal, as a share of the variance
}

func (e *SingularError) Error() string {
	return fmt.Sprintf("gp: the kernel matrix of %d rows is singular, with %.0e of the variance added to its diagonal too: rows repeat, or length scales are far too long; allow noise, or leave rows out", e.Rows, e.Jitter)
}

// validate checks the shape and the numbers of a table.
func validate(x []float64, features int, y []float64) error {
	switch {
	case features < 1:
		return fmt.Errorf("gp: data has %d features, must have at least 1", features)
	case len(y) == 0:
		return errors.New("gp: data has no rows")
	case len(y) > MaxRows:
		return fmt.Errorf("gp: data has %d rows, must have at most %d: leave some out", len(y), MaxRows)
	case len(x) != len(y)*features:
		return fmt.Errorf("gp: X has %d numbers, but %d rows of %d features need %d", len(x), len(y), features, len(y)*features)
	}
	for i, v := range x {
		if !(math.Abs(v) <= 1e100) {
			return fmt.Errorf("gp: feature %d of row %d is %v, must be a number of at most 1e100", i%features, i/features, v)
		}
	}
	for i, v := range y {
		if !(math.Abs(v) <= 1e100) {
			return fmt.Errorf("gp: Y of row %d is %v, must be a number of at most 1e100", i, v)
		}
	}
	return nil
}
