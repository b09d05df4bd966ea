package forecast

import (
	"fmt"
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// Forecast is what is expected for each of the steps that follow a history. All slices but Levels have one value for each
// step, and all values are finite and not negative.
type Forecast struct {
	Start time.Time
	Step  time.Duration
	// Mean is the middle of what is expected; Scale is how far from it the load may well be, as a standard deviation
	// in the load's unit.
	Mean, Scale []float64
	// Point is what the method would have taken for its prediction where it must name one figure: mean and sigma added for
	// Madu (eq 8). nil: the mean.
	Point []float64
	// Levels are the levels of the quantiles, ascending within 0..1; Quantiles[l][k] is the load that step k stays under
	// with the probability Levels[l]. They don't cross.
	Levels    []float64
	Quantiles [][]float64
	// Fallback says why this is only the last value; empty: it is not.
	Fallback string
}

// DefaultLevels are the levels of quantiles where none are asked for: the 90 % interval lies between the first and the last.
var DefaultLevels = []float64{0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95}

// Predicted is what accuracy is measured of: Point, or Mean where there is none.
func (f Forecast) Predicted() []float64 {
	if f.Point != nil {
		return f.Point
	}
	return f.Mean
}

// Quantile is the load that step k stays under with probability p: between two levels in a straight line, and outside of
// all the outermost. It is NaN where the forecast has no quantiles.
func (f Forecast) Quantile(p float64, k int) float64 {
	n := len(f.Levels)
	if n == 0 {
		return math.NaN()
	}
	i, found := slices.BinarySearch(f.Levels, p)
	switch {
	case found || i == 0:
		return f.Quantiles[i][k]
	case i == n:
		return f.Quantiles[n-1][k]
	}
	a := (p - f.Levels[i-1]) / (f.Levels[i] - f.Levels[i-1])
	return f.Quantiles[i-1][k] + a*(f.Quantiles[i][k]-f.Quantiles[i-1][k])
}

// Check says what of a forecast is not as its type promises, for m steps after a history.
func (f Forecast) Check(history Series, m int) error {
	if !f.Start.Equal(history.End()) || f.Step != history.Step {
		return fmt.Errorf("starts at %v in steps of %v, not at %v in steps of %v", f.Start, f.Step, history.End(), history.Step)
	}
	rows := append([][]float64{f.Mean, f.Scale}, f.Quantiles...)
	if f.Point != nil {
		rows = append(rows, f.Point)
	}
	for _, row := range rows {
		if len(row) != m {
			return fmt.Errorf("has a row of %d steps, not %d", len(row), m)
		}
		for k, v := range row {
			if !(v >= 0) || math.IsInf(v, 0) {
				return fmt.Errorf("has %v at step %d", v, k)
			}
		}
	}
	if len(f.Quantiles) != len(f.Levels) {
		return fmt.Errorf("has %d quantiles for %d levels", len(f.Quantiles), len(f.Levels))
	}
	for l := 1; l < len(f.Levels); l++ {
		for k := range m {
			if f.Quantiles[l][k] < f.Quantiles[l-1][k] {
				return fmt.Errorf("has quantiles that cross at step %d: %v of level %v under %v of level %v", k, f.Quantiles[l][k], f.Levels[l], f.Quantiles[l-1][k], f.Levels[l-1])
			}
		}
	}
	return nil
}

// New is a forecast for m steps after a history, with nothing filled in.
func New(history Series, m int, levels []float64) Forecast {
	if len(levels) == 0 {
		levels = DefaultLevels
	}
	f := Forecast{Start: history.End(), Step: history.Step, Mean: make([]float64, m), Scale: make([]float64, m), Levels: levels,
		Quantiles: make([][]float64, len(levels))}
	for l := range f.Quantiles {
		f.Quantiles[l] = make([]float64, m)
	}
	return f
}

// SetNormal fills step k in as a normal distribution, cut off at 0.
func (f *Forecast) SetNormal(k int, mean, scale float64) {
	f.Mean[k], f.Scale[k] = max(mean, 0), scale
	for l, p := range f.Levels {
		f.Quantiles[l][k] = max(mean+scale*distuv.UnitNormal.Quantile(p), 0)
	}
}
