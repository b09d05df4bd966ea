// Package mixture is Foresail's own forecast method: an online mixture of experts, weighted by their recent errors, with
// intervals that are calibrated by what comes.
//
// The experts are the last value, exponential averages, the seasons that the series itself shows, and six ridge
// regressions: on lags, averages, seasons and the calendar, of the load and of its logarithm, and on few lags and averages
// alone, each with and without forgetting (regression.go). For each step ahead they are mixed by their recent absolute
// errors, and the mixture with the last value and the season by its own (blend.go). The errors of what comes of it
// give the scale and the quantiles, which adapt so that they cover what they say (spread.go). Nothing is to be tuned.
//
// It learns from each value once, in some tens of microseconds for five steps ahead. docs/decisions/forecast.md says why it
// is made like this.
package mixture

import (
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
	o, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	f := &forecaster{o: o}
	f.restart(history, f.o.M)
	return f, nil
}

type forecaster struct {
	o       forecast.Options
	s       *state
	trained int // values of the history that it learnt its layout from
}

// farthest is how many steps ahead have regressions of their own; those beyond go on from there.
const farthest = 240

// restart learns from a history alone.
func (f *forecaster) restart(history forecast.Series, m int) {
	f.o.M = min(m, farthest)
	f.s, f.trained = newState(history, f.o), len(history.Values)
	for _, v := range history.Values {
		f.s.take(v)
	}
}

// longestGap is how many steps between two histories are guessed; past it the later history is learnt from alone.
const longestGap = 10_000

// grown tells whether a history is so much longer than that of the training that seasons may be found now that were not.
func (f *forecaster) grown(history forecast.Series) bool { return len(history.Values) > 2*f.trained }

// Forecast implements forecast.Forecaster. It learns anew from the history it is given where that is more than twice as long
// as that of the training, after a long silence, and when it is asked for more steps than before.
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
	case min(m, farthest) > s.m || late > longestGap*s.step || f.grown(history):
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
