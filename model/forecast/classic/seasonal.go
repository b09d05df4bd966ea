package classic

import (
	"time"

	"foresail.dev/model/forecast"
)

// SeasonalNaive expects what was observed one season ago, of the strongest season that the training shows; without one, the
// last value.
type SeasonalNaive struct{}

// Name implements forecast.Method.
func (SeasonalNaive) Name() string { return "seasonal-naive" }

// Train implements forecast.Method.
func (SeasonalNaive) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	o, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	period := 1
	if p := forecast.Periods(history, 1); len(p) > 0 {
		period = p[0]
	}
	return newOnline(history, o, &seasonal{past: make([]float64, period)}), nil
}

type seasonal struct {
	past []float64 // the last season, a ring
	t    int
}

func (s *seasonal) take(load float64, _ time.Time) {
	s.past[s.t%len(s.past)] = load
	s.t++
}

func (s *seasonal) ahead(out []float64) bool {
	if s.t < len(s.past) {
		return false
	}
	for k := range out {
		out[k] = s.past[(s.t+k)%len(s.past)]
	}
	return true
}
