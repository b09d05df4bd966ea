package classic

import (
	"math"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/linear"
)

// Ridge is ridge regression on the last N loads and the calendar, with weights for each step ahead, that goes on learning
// while it forecasts. Its penalty is the one of a few that did best on the training's last fifth.
type Ridge struct{}

// Name implements forecast.Method.
func (Ridge) Name() string { return "ridge" }

// penalties are in rows: as if so many had shown a weight of 0.
var penalties = []float64{0.1, 1, 10, 100, 1000}

// Train implements forecast.Method.
func (Ridge) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	o, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	best, least := penalties[0], math.Inf(1)
	values := history.Filled()
	r := newRidge(history, o)
	cut := len(values) * 4 / 5
	for i, v := range values[:cut] {
		r.take(v, history.At(i))
	}
	for _, p := range penalties {
		if loss := r.loss(p, values, cut, history); loss < least {
			best, least = p, loss
		}
	}
	r = newRidge(history, o)
	r.penalty = best
	return newOnline(history, o, r), nil
}

type ridge struct {
	lags, m    int
	day, week  bool
	step       time.Duration
	penalty    float64
	rows       *linear.Ridge
	weights    []float64
	solved     int // rows that the weights are from
	count      int
	values     []float64
	next       time.Time
	x, targets []float64
}

func newRidge(history forecast.Series, o forecast.Options) *ridge {
	span := time.Duration(len(history.Values)) * history.Step
	r := &ridge{lags: min(o.N, max(2, len(history.Values)/5)), m: o.M, step: history.Step, penalty: penalties[0],
		day: span >= 48*time.Hour && history.Step < 12*time.Hour, week: span >= 14*24*time.Hour}
	size := 1 + r.lags
	if r.day {
		size += 6
	}
	if r.week {
		size += 4
	}
	r.rows, r.x, r.targets = linear.New(size, o.M, 1), make([]float64, size), make([]float64, o.M)
	return r
}

// row fills x in for the origin after values[:end], at an instant.
func (r *ridge) row(values []float64, end int, at time.Time) {
	r.x[0] = 1
	for i := range r.lags {
		r.x[1+i] = values[end-1-i]
	}
	i := 1 + r.lags
	waves := func(share float64, most int) {
		for k := 1; k <= most; k++ {
			r.x[i], r.x[i+1] = math.Sincos(2 * math.Pi * float64(k) * share)
			i += 2
		}
	}
	at = at.UTC()
	day := float64(at.Sub(at.Truncate(24*time.Hour))) / float64(24*time.Hour)
	if r.day {
		waves(day, 3)
	}
	if r.week {
		waves((float64(at.Weekday())+day)/7, 2)
	}
}

func (r *ridge) take(load float64, at time.Time) {
	r.values = append(r.values, load)
	r.next = at.Add(r.step)
	if keep := r.lags + r.m; len(r.values) > 2*keep+1000 {
		r.values = r.values[:copy(r.values, r.values[len(r.values)-keep:])]
	}
	if end := len(r.values) - r.m; end >= r.lags {
		r.row(r.values, end, r.next.Add(-time.Duration(r.m)*r.step))
		copy(r.targets, r.values[end:])
		r.rows.Add(r.x, r.targets, 1)
		r.count++
	}
}

func (r *ridge) ahead(out []float64) bool {
	if r.count < 5 || len(r.values) < r.lags {
		return false
	}
	if r.weights == nil || r.count > r.solved+min(r.solved/100, 60) {
		w, err := r.rows.Solve(r.penalty, 1, r.weights)
		if err != nil {
			return false
		}
		r.weights, r.solved = w, r.count
	}
	if len(out) > r.m { // each further stretch goes on from the one before it
		return r.further(out)
	}
	r.row(r.values, len(r.values), r.next)
	linear.Predict(r.weights, r.x, r.targets)
	copy(out, r.targets)
	return true
}

func (r *ridge) further(out []float64) bool {
	values := append([]float64(nil), r.values...)
	at := r.next
	for len(out) > 0 {
		r.row(values, len(values), at)
		linear.Predict(r.weights, r.x, r.targets)
		for k := range r.targets {
			r.targets[k] = max(r.targets[k], 0)
		}
		out = out[copy(out, r.targets):]
		values = append(values, r.targets...)
		at = at.Add(time.Duration(r.m) * r.step)
	}
	return true
}

// loss is the mean absolute error over values from an index on, with weights from the rows so far.
func (r *ridge) loss(penalty float64, values []float64, from int, history forecast.Series) float64 {
	w, err := r.rows.Solve(penalty, 1, nil)
	if err != nil {
		return math.Inf(1)
	}
	loss := 0.0
	for end := max(from, r.lags); end+r.m <= len(values); end++ {
		r.row(values, end, history.At(end))
		linear.Predict(w, r.x, r.targets)
		for k, y := range r.targets {
			loss += math.Abs(max(y, 0) - values[end+k])
		}
	}
	return loss
}
