package gbt

import (
	"errors"
	"fmt"
	"math"
)

// Loss is what training makes small, summed over the rows by their weight.
type Loss uint8

const (
	Squared  Loss = iota // (y-f)²/2; predicts the mean
	Logistic             // -y log p - (1-y) log(1-p), p = 1/(1+exp(-f)); y in [0, 1]; predicts a probability
	Quantile             // (τ-1[y<f])·(y-f), the pinball loss; predicts the τ-quantile
	losses
)

func (l Loss) String() string {
	if l >= losses {
		return fmt.Sprintf("loss %d", uint8(l))
	}
	return [...]string{"squared", "logistic", "quantile"}[l]
}

// MaxBins is the most bins a feature can have, the one of missing values left out.
const MaxBins = 255

// Config says how to train. Start from Default.
type Config struct {
	Loss     Loss
	Quantile float64 // τ of the quantile loss, in (0, 1); not read otherwise

	Trees        int     // trees at most
	LearningRate float64 // what a leaf weighs is multiplied by it, in (0, 1]
	Depth        int     // splits from root to leaf at most; 0: as many as Leaves allow
	Leaves       int     // leaves of a tree at most, best gain first; 0: as many as Depth allows

	L2             float64 // λ: pulls what a leaf weighs to 0, ≥ 0
	Gamma          float64 // a split must gain more, ≥ 0
	MinChildWeight float64 // least sum of h (squared and quantile: of weights) in a leaf, ≥ 0

	RowSample    float64 // share of the rows each tree sees, in (0, 1]
	ColumnSample float64 // share of the features each tree sees, in (0, 1]

	// Monotone has an entry for each feature, or none at all: 1 if what is predicted may not fall when the feature
	// grows, -1 if it may not rise, 0 if it may do either.
	Monotone []int8

	// Patience is how many trees may follow without a lower loss on the validation data; then training ends, and the
	// trees after the best are left out. 0: all trees are made and kept.
	Patience int

	Seed uint64 // of the samples
}

// Default is a Config for the squared loss: 100 trees of depth 6 at a learning rate of 0.1.
func Default() Config {
	return Config{
		Quantile: 0.5, Trees: 100, LearningRate: 0.1, Depth: 6,
		L2: 1, MinChildWeight: 1, RowSample: 1, ColumnSample: 1,
	}
}

// validate reports all faults at once.
func (c *Config) validate(features int) error {
	var faults []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("gbt: "+format, args...))
		}
	}
	notNegative := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	share := func(v float64) bool { return v > 0 && v <= 1 }
	check(c.Loss < losses, "unknown %s", c.Loss)
	check(c.Loss != Quantile || c.Quantile > 0 && c.Quantile < 1, "quantile is %v, must lie between 0 and 1", c.Quantile)
	check(c.Trees > 0, "trees is %d, must be at least 1", c.Trees)
	check(share(c.LearningRate), "learning rate is %v, must be above 0 and at most 1", c.LearningRate)
	check(c.Depth >= 0 && c.Leaves >= 0 && c.Leaves != 1, "depth is %d and leaves %d: depth must not be negative, leaves 0 or at least 2", c.Depth, c.Leaves)
	check(c.Depth > 0 || c.Leaves > 0, "neither depth nor leaves bound a tree: set one of them")
	check(c.Depth <= maxDepth, "depth is %d, must be at most %d", c.Depth, maxDepth)
	check(notNegative(c.L2), "l2 is %v, must be a number of at least 0", c.L2)
	check(notNegative(c.Gamma), "gamma is %v, must be a number of at least 0", c.Gamma)
	check(notNegative(c.MinChildWeight), "min child weight is %v, must be a number of at least 0", c.MinChildWeight)
	check(share(c.RowSample), "row sample is %v, must be above 0 and at most 1", c.RowSample)
	check(share(c.ColumnSample), "column sample is %v, must be above 0 and at most 1", c.ColumnSample)
	check(c.Patience >= 0, "patience is %d, must not be negative", c.Patience)
	check(len(c.Monotone) == 0 || len(c.Monotone) == features, "monotone has %d entries for %d features", len(c.Monotone), features)
	for f, m := range c.Monotone {
		check(m >= -1 && m <= 1, "monotone of feature %d is %d, must be -1, 0 or 1", f, m)
	}
	return errors.Join(faults...)
}

// maxDepth bounds trees, so that those of a file can be walked without fear. Trees bounded by Leaves alone stop there too.
const maxDepth = 128

// Data is a table of features with what is to be predicted.
type Data struct {
	X        []float64 // row by row, Features each; NaN where missing, never infinite
	Features int
	Y        []float64 // one for each row
	Weight   []float64 // of the rows, ≥ 0; nil: all 1
}

// validate checks the shape of d and what a loss asks of Y and Weight.
func (d *Data) validate(loss Loss) error {
	if d.Features < 1 {
		return fmt.Errorf("gbt: data has %d features, must have at least 1", d.Features)
	}
	if len(d.X) != len(d.Y)*d.Features {
		return fmt.Errorf("gbt: X has %d numbers, but %d rows of %d features need %d", len(d.X), len(d.Y), d.Features, len(d.Y)*d.Features)
	}
	return validTargets(loss, d.Y, d.Weight)
}

func validTargets(loss Loss, y, weight []float64) error {
	if len(y) == 0 {
		return errors.New("gbt: data has no rows")
	}
	for i, v := range y {
		if !(math.Abs(v) <= 1e100) {
			return fmt.Errorf("gbt: Y of row %d is %v, must be a number of at most 1e100", i, v)
		}
		if loss == Logistic && (v < 0 || v > 1) {
			return fmt.Errorf("gbt: Y of row %d is %v: the logistic loss needs a probability in [0, 1]", i, v)
		}
	}
	if weight == nil {
		return nil
	}
	if len(weight) != len(y) {
		return fmt.Errorf("gbt: %d weights for %d rows", len(weight), len(y))
	}
	sum := 0.0
	for i, w := range weight {
		if !(w >= 0 && w <= 1e30) {
			return fmt.Errorf("gbt: weight of row %d is %v, must be from 0 to 1e30", i, w)
		}
		sum += w
	}
	if sum == 0 {
		return errors.New("gbt: all weights are 0")
	}
	return nil
}
