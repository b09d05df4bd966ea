package classic

import (
	"math"

	"foresail.dev/model/forecast"
)

// SeasonalNaive expects what was observed one season ago, of the strongest season that the training shows.
type SeasonalNaive struct{}

// Name implements forecast.Method.
func (SeasonalNaive) Name() string { return "seasonal-naive" }

// Train implements forecast.Method.
func (SeasonalNaive) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	if err := history.Check(); err != nil {
		return nil, err
	}
	o = o.Defaults()
	p := forecast.Periods(history, 1)
	if len(p) == 0 {
		return forecast.LastValue{}.Train(history, o)
	}
	return &seasonal{o, p[0]}, nil
}

type seasonal struct {
	o forecast.Options
	p int
}

func (s *seasonal) Forecast(history forecast.Series, m int) (forecast.Forecast, error) {
	f := forecast.New(history, m, s.o.Levels)
	n := len(history.Values)
	for k := range m {
		j := n + k - s.p
		for j >= n {
			j -= s.p
		}
		v := history.Values[j]
		if math.IsNaN(v) {
			v, _ = history.Last()
		}
		f.SetNormal(k, v, 1)
	}
	return f, nil
}
