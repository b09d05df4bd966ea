package expected

import (
	"math"
	"time"

	"foresail.dev"
)

// Columns are what results tell of expectations: of those of each endpoint's objective's percentile, and of those of the 95th.
// Absent where none could be held against anything.
type Columns struct {
	PredictionError  *float64 `json:"prediction_error,omitempty"`         // median of the size of it, as a share of what was observed
	PredictionBias   *float64 `json:"prediction_bias,omitempty"`          // median; above 0: too much was expected
	PredictionWithin *float64 `json:"prediction_within10,omitempty"`      // share that was at most 10 % off
	PredictionBest   *float64 `json:"prediction_within10_best,omitempty"` // that share, of who knows the truth: see Case.Best

	PredictionError95  *float64 `json:"prediction_p95_error,omitempty"`
	PredictionBias95   *float64 `json:"prediction_p95_bias,omitempty"`
	PredictionWithin95 *float64 `json:"prediction_p95_within10,omitempty"`
	PredictionBest95   *float64 `json:"prediction_p95_within10_best,omitempty"`
}

// fields are all columns, in their order.
func (c *Columns) fields() [8]**float64 {
	return [8]**float64{&c.PredictionError, &c.PredictionBias, &c.PredictionWithin, &c.PredictionBest, &c.PredictionError95, &c.PredictionBias95, &c.PredictionWithin95, &c.PredictionBest95}
}

// Columns are those of an application's expectations, with how many there are of the objectives' percentiles.
func (s *Scores) Columns(now time.Time, app *foresail.App) (n int, c Columns) {
	fields := c.fields()
	put := func(at int, sc Score) {
		if sc.N > 0 {
			for i, v := range [4]float64{sc.Error, sc.Bias, sc.Within10, sc.Best} {
				*fields[at+i] = new(math.Round(v*1000) / 1000)
			}
		}
	}
	own := s.Score(now, func(e foresail.Expectation) bool {
		o := app.Endpoints[e.Endpoint].Objective
		return o != nil && o.Percentile == e.Percentile
	})
	put(0, own)
	put(4, s.Score(now, func(e foresail.Expectation) bool { return e.Percentile == 95 }))
	return own.N, c
}

// Mean is that of several runs' columns, of those that have it.
func Mean(all ...Columns) (c Columns) {
	for i, f := range c.fields() {
		n, sum := 0.0, 0.0
		for k := range all {
			if v := *all[k].fields()[i]; v != nil {
				n, sum = n+1, sum+*v
			}
		}
		if n > 0 {
			*f = new(math.Round(sum/n*1e4) / 1e4)
		}
	}
	return c
}
