package forecast

import "fmt"

// A Method trains a Forecaster on one series' past.
type Method interface {
	// Name is what commands and files call it, like "holt-winters".
	Name() string
	// Train learns from a history and leaves it unchanged. A history that is too short to learn from is no error: the
	// forecaster then says so in each Forecast's Fallback until it has seen enough. An error is one of the history itself
	// (Series.Check) or of the options.
	Train(history Series, o Options) (Forecaster, error)
}

// A Forecaster predicts the load of one series: history in; mean, scale and quantiles per step out.
//
// It may learn from what it is shown: values later than any it has seen before, those of its training included, are
// learnt from once. So histories are to be given in the order of time; each may be all that is known or its last part, but
// should reach back to the end of the one before, or else what lies between counts as not observed. History is not
// kept and not changed. A Forecaster is not safe for concurrent use.
type Forecaster interface {
	// Forecast predicts the m steps after a history's end; m may be more than it was trained for. Nothing observed in
	// the history is an error, ErrEmpty.
	Forecast(history Series, m int) (Forecast, error)
}

// Options are what a method is told when it trains. None needs to be set.
type Options struct {
	N      int        // steps of history that a method with a window of fixed length looks at; 0: 60
	M      int        // steps ahead that it will be asked for; 0: 5
	Seed   uint64     // of everything that is drawn
	Steps  int        // training steps at most, for methods that train in steps; 0: the method's own budget
	Warm   Forecaster // trained by the same method before, on this series or another: training goes on from it, and leaves it as it is; nil: from scratch
	Levels []float64  // of the quantiles, ascending; nil: DefaultLevels
}

// Defaults is the options with what is not set filled in.
func (o Options) Defaults() Options {
	if o.N <= 0 {
		o.N = 60
	}
	if o.M <= 0 {
		o.M = 5
	}
	if len(o.Levels) == 0 {
		o.Levels = DefaultLevels
	}
	return o
}

// Ready checks what a method is told to train on, and fills in the options that are not set.
func Ready(history Series, o Options) (Options, error) {
	o = o.Defaults()
	for i, p := range o.Levels {
		if !(p > 0 && p < 1) || i > 0 && p <= o.Levels[i-1] {
			return o, fmt.Errorf("the levels %v of quantiles must ascend within 0 and 1", o.Levels)
		}
	}
	return o, history.Check()
}
