package classic

import (
	"math"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/linear"
)

// Ridge is ridge regression on the last N loads and the calendar, one set of weights for each step ahead, that goes on
// learning while it forecasts. Its penalty is the one of a few that did best in the last fifth of the training.
type Ridge struct{}

// Name implements forecast.Method.
func (Ridge) Name() string { return "ridge" }

// Train implements forecast.Method.
func (Ridge) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	if err := history.Check(); err != nil {
		return nil, err
	}
	o = o.Defaults()
	r := newRidge(history, o)
	r.learn(history, len(history.Values)*4/5)
	r.choose(history)
	r.learn(history, len(history.Values))
	return r, nil
}

var penalties = []float64{0.1, 1, 10, 100, 1000}

type ridge struct {
	o        forecast.Options
	n        int // lags
	next     time.Time
	values   []float64 // the last n + m, gaps filled
	rows     *linear.Ridge
	penalty  float64
	weights  []float64
	fresh    bool
	x, y     []float64
	seen     int
	squares  []float64 // by step ahead: decayed mean of the squared error
	counts   []int
	calendar []float64
	start    time.Time
	long     time.Duration
}

func newRidge(history forecast.Series, o forecast.Options) *ridge {
	n := min(o.N, max(2, len(history.Values)/5))
	r := &ridge{o: o, n: n, next: history.Start, penalty: 1, long: time.Duration(len(history.Values)) * history.Step}
	r.rows = linear.New(1+n+len(r.dates(history.Start, history.Step)), o.M, 1)
	r.x, r.y = make([]float64, 1+n+len(r.dates(history.Start, history.Step))), make([]float64, o.M)
	r.squares, r.counts = make([]float64, o.M), make([]int, o.M)
	return r
}

// dates are sines and cosines of the time of day, and of the week, where the training is long enough to tell.
func (r *ridge) dates(at time.Time, step time.Duration) []float64 {
	r.calendar = r.calendar[:0]
	day := float64(at.UTC().Sub(at.UTC().Truncate(24*time.Hour))) / float64(24*time.Hour)
	if r.long >= 48*time.Hour && step < 12*time.Hour {
		for _, k := range []float64{1, 2, 3} {
			r.calendar = append(r.calendar, math.Sin(2*math.Pi*k*day), math.Cos(2*math.Pi*k*day))
		}
	}
	if r.long >= 14*24*time.Hour {
		week := (float64(at.UTC().Weekday()) + day) / 7
		for _, k := range []float64{1, 2} {
			r.calendar = append(r.calendar, math.Sin(2*math.Pi*k*week), math.Cos(2*math.Pi*k*week))
		}
	}
	return r.calendar
}

// row fills x in for the origin after values[:end].
func (r *ridge) row(values []float64, end int, at time.Time, step time.Duration) {
	r.x[0] = 1
	for i := range r.n {
		r.x[1+i] = values[end-1-i]
	}
	copy(r.x[1+r.n:], r.dates(at, step))
}

func (r *ridge) learn(history forecast.Series, upto int) {
	i := max(0, int(r.next.Sub(history.Start)/history.Step))
	for ; i < upto; i++ {
		v := history.Values[i]
		r.next = history.At(i + 1)
		if math.IsNaN(v) {
			if len(r.values) == 0 {
				continue
			}
			v = r.values[len(r.values)-1]
		} else {
			r.seen++
		}
		r.values = append(r.values, v)
		if len(r.values) > 2*(r.n+r.o.M)+1000 {
			r.values = append(r.values[:0], r.values[len(r.values)-r.n-r.o.M:]...)
		}
		if end := len(r.values) - r.o.M; end >= r.n {
			r.row(r.values, end, history.At(i+1-r.o.M), history.Step)
			r.rows.Add(r.x, r.values[end:], 1)
			r.fresh = false
		}
	}
}

// choose takes the penalty whose weights forecast what follows the rows so far best.
func (r *ridge) choose(history forecast.Series) {
	values := history.Filled()
	best := math.Inf(1)
	for _, p := range penalties {
		w, err := r.rows.Solve(p, 1, nil)
		if err != nil {
			continue
		}
		loss := 0.0
		for end := max(len(values)*4/5, r.n); end+r.o.M <= len(values); end++ {
			r.row(values, end, history.At(end), history.Step)
			linear.Predict(w, r.x, r.y)
			for k, y := range r.y {
				loss += math.Abs(max(y, 0) - values[end+k])
			}
		}
		if loss < best {
			best, r.penalty = loss, p
		}
	}
}

// Forecast implements forecast.Forecaster.
func (r *ridge) Forecast(history forecast.Series, m int) (forecast.Forecast, error) {
	r.learn(history, len(history.Values))
	if w, err := r.rows.Solve(r.penalty, 1, r.weights); err == nil {
		r.weights = w
	}
	if r.weights == nil || len(r.values) < r.n || m > r.o.M {
		return forecast.Fallback(history, m, r.o.Levels, forecast.TooShort(r.seen, forecast.FewestToLearn))
	}
	r.row(r.values, len(r.values), history.End(), history.Step)
	linear.Predict(r.weights, r.x, r.y)
	f := forecast.New(history, m, r.o.Levels)
	for k := range m {
		f.SetNormal(k, r.y[k], 1)
	}
	return f, nil
}
