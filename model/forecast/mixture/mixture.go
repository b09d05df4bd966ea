// Package mixture is Foresail's own forecast method: an online mixture of experts, weighted by their recent errors, with
// intervals that are calibrated by what comes.
//
// The experts are the last value, exponential averages, the seasons that the series itself shows, and four ridge
// regressions on lags, averages, seasons and the calendar, of the load and of its logarithm, with and without forgetting
// (regression.go). For each step ahead they are mixed by their recent absolute errors (blend.go). The errors of the mixture
// give the scale and the quantiles, which adapt so that they cover what they say (spread.go). Nothing is to be tuned.
//
// It learns from each value once, in some tens of microseconds for five steps ahead. docs/decisions/forecast.md says why it
// is made like this.
package mixture

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev/model/forecast"
)

// Method is Foresail's own.
type Method struct{}

// Name implements forecast.Method.
func (Method) Name() string { return "foresail" }

// Train implements forecast.Method. A warm start is of no use to it: it learns as fast as it reads.
func (Method) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	if err := history.Check(); err != nil && !errors.Is(err, forecast.ErrEmpty) {
		return nil, err
	}
	f := &forecaster{o: o.Defaults()}
	f.restart(history, f.o.M)
	return f, nil
}

type forecaster struct {
	o forecast.Options
	s *state
}

// restart learns from a history alone.
func (f *forecaster) restart(history forecast.Series, m int) {
	f.o.M = m
	f.s = newState(history, f.o)
	for _, v := range history.Values {
		f.s.take(v)
	}
}

// longestGap is how many steps between two histories are guessed; past it the later history is learnt from alone.
const longestGap = 10_000

// Forecast implements forecast.Forecaster. Asked for more steps than it was trained for, it learns anew from the history it
// is given, for as many; so it does after a long time of silence.
func (f *forecaster) Forecast(history forecast.Series, m int) (forecast.Forecast, error) {
	s := f.s
	switch late := history.Start.Sub(s.next); {
	case m <= 0:
		return forecast.Forecast{}, fmt.Errorf("a forecast needs 1 step or more, not %d", m)
	case history.Step != s.step:
		return forecast.Forecast{}, fmt.Errorf("the history's step is %v, but %v was trained on", history.Step, s.step)
	case history.End().Before(s.next):
		return forecast.Forecast{}, fmt.Errorf("the history ends at %s, before what was seen already, %s",
			history.End().UTC().Format(time.RFC3339), s.next.UTC().Format(time.RFC3339))
	case m > s.m || late > longestGap*s.step:
		f.restart(history, max(m, s.m))
	default:
		for range late / s.step {
			s.take(math.NaN())
		}
		for _, v := range history.Values[max(0, -late/s.step):] {
			s.take(v)
		}
	}
	if s = f.s; s.observed < forecast.FewestToLearn {
		return forecast.Fallback(history, m, f.o.Levels, forecast.TooShort(s.observed, forecast.FewestToLearn))
	}
	return s.forecastOf(history, m), nil
}
