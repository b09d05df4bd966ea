// Package evaluate measures forecast methods on a rolling origin: a method is trained on the first part of a series; then
// an origin moves over the rest, and at each the method sees what lies before it and forecasts what lies after.
package evaluate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev/model/forecast"
)

// Case is one series, and how methods are measured on it.
type Case struct {
	Series forecast.Series
	Train  int // values to train on; the others are forecast
	N, M   int // history that methods with a fixed window see, and steps ahead
	Stride int // steps from one origin to the next; 0: M, so that each step is forecast once
	Seed   uint64
	Steps  int // budget of training steps; 0: each method's own
	Levels []float64
	// Clock tells the time that has passed, for TrainTime and InferTime; nil: they are 0.
	Clock func() time.Duration
	// Each is told every forecast and what was then observed; nil: nobody. It must not keep the slices.
	Each func(origin int, f *forecast.Forecast, observed []float64)
}

// Result is what one method was worth on one case.
type Result struct {
	Measures
	Forecasts int
	Fallbacks int    // forecasts that were only the last value
	Fallback  string // why, the first time
	TrainTime time.Duration
	InferTime time.Duration // of one forecast, mean; what a method learns between origins included
}

// ErrShort is a series with nothing left to forecast after the training.
var ErrShort = errors.New("the series is too short: nothing is left to forecast after the training")

// Run trains a method and moves the origin over the rest of the series. stop is asked before each forecast; nil: nobody.
func Run(method forecast.Method, c Case, stop func() error) (Result, error) {
	s := c.Series
	if err := s.Check(); err != nil {
		return Result{}, err
	}
	if c.M <= 0 || c.Train <= 0 || c.Train+c.M > len(s.Values) {
		return Result{}, ErrShort
	}
	if c.Stride <= 0 {
		c.Stride = c.M
	}
	clock := c.Clock
	if clock == nil {
		clock = func() time.Duration { return 0 }
	}
	began := clock()
	f, err := method.Train(s.Slice(0, c.Train), forecast.Options{N: c.N, M: c.M, Seed: c.Seed, Steps: c.Steps, Levels: c.Levels})
	if err != nil {
		return Result{}, fmt.Errorf("training %s: %w", method.Name(), err)
	}
	r := Result{TrainTime: clock() - began}
	var t tally
	for origin := c.Train; origin+c.M <= len(s.Values); origin += c.Stride {
		if stop != nil {
			if err := stop(); err != nil {
				return Result{}, err
			}
		}
		history := s.Slice(0, origin)
		began := clock()
		ahead, err := f.Forecast(history, c.M)
		r.InferTime += clock() - began
		if err == nil {
			err = ahead.Check(history, c.M)
		}
		if err != nil {
			return Result{}, fmt.Errorf("%s at %s: %w", method.Name(), history.End().UTC().Format(time.RFC3339), err)
		}
		r.Forecasts++
		if ahead.Fallback != "" {
			if r.Fallbacks++; r.Fallback == "" {
				r.Fallback = ahead.Fallback
			}
		}
		observed := s.Values[origin : origin+c.M : origin+c.M]
		t.add(&ahead, observed)
		if c.Each != nil {
			c.Each(origin, &ahead, observed)
		}
	}
	r.InferTime /= time.Duration(r.Forecasts)
	r.Measures = t.done(naiveError(s.Values[:c.Train]))
	return r, nil
}

// naiveError is the mean absolute change from one step to the next; 0 where there is none.
func naiveError(values []float64) float64 {
	sum, n := 0.0, 0
	for i := 1; i < len(values); i++ {
		if d := values[i] - values[i-1]; !math.IsNaN(d) {
			sum += math.Abs(d)
			n++
		}
	}
	return sum / float64(max(n, 1))
}
