package classic

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/optimize"

	"foresail.dev/model/forecast"
)

// HoltWinters is exponential smoothing with a damped trend and an additive season (Gardner and McKenzie 1985; Hyndman and
// Athanasopoulos, Forecasting: Principles and Practice, §8.3). Its rates have the least squared one-step error in the training; its
// season is the one of those that the training shows, or none, with which that error is least.
type HoltWinters struct{}

// Name implements forecast.Method.
func (HoltWinters) Name() string { return "holt-winters" }

// longestFit bounds what rates are fitted to: the last values of the training.
const longestFit = 25_000

// Train implements forecast.Method.
func (HoltWinters) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	o, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	values := history.Filled()
	best := fitSmoothing(values, 0)
	for _, p := range forecast.Periods(history, 2) {
		if s := fitSmoothing(values[max(0, len(values)-max(longestFit, 3*p)):], p); s.mse < best.mse {
			best = s
		}
	}
	return newOnline(history, o, &best), nil
}

// smoothing is the method's state. Without a season the period is 0.
type smoothing struct {
	alpha, beta, gamma, phi float64
	period                  int
	mse                     float64 // of one step ahead, where the rates were fitted

	t            int
	level, trend float64
	season       []float64 // by place in the period
	first        []float64 // the first season, until it is whole
}

// fitSmoothing finds rates for values.
func fitSmoothing(values []float64, period int) smoothing {
	values = values[max(0, len(values)-max(longestFit, 3*period)):]
	rates := func(x []float64) smoothing {
		s := smoothing{alpha: logistic(x[0]), period: period}
		s.beta = s.alpha * logistic(x[1])
		s.phi = 0.8 + 0.18*logistic(x[2])
		if period > 0 {
			s.gamma = (1 - s.alpha) * logistic(x[3])
		}
		return s
	}
	cost := func(x []float64) float64 {
		s := rates(x)
		return s.replay(values)
	}
	start := []float64{0, -3, 1}
	if period > 0 {
		start = append(start, -2)
	}
	x := slices.Clone(start)
	if r, err := optimize.Minimize(optimize.Problem{Func: cost}, start, &optimize.Settings{FuncEvaluations: 150}, &optimize.NelderMead{}); r != nil && (err == nil || r.F < cost(start)) {
		x = r.X
	}
	s := rates(x)
	s.mse = cost(x)
	return s
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// replay is the mean squared one-step error over values, from a fresh start.
func (s smoothing) replay(values []float64) float64 {
	sum, n := 0.0, 0
	for _, v := range values {
		if s.ready() {
			d := v - s.expect(1)
			sum += d * d
			n++
		}
		s.take(v, time.Time{})
	}
	return sum / float64(max(n, 1))
}

func (s *smoothing) ready() bool { return s.t > max(s.period-1, 0) }

func (s *smoothing) take(v float64, _ time.Time) {
	switch {
	case s.period == 0 && s.t == 0:
		s.level = v
	case s.period > 0 && s.t < s.period:
		s.first = append(s.first, v)
		if len(s.first) == s.period {
			for _, f := range s.first {
				s.level += f / float64(s.period)
			}
			s.season = make([]float64, s.period)
			for i, f := range s.first {
				s.season[i] = f - s.level
			}
			s.first = nil
		}
	default:
		seasonal := 0.0
		if s.period > 0 {
			seasonal = s.season[s.t%s.period]
		}
		before := s.level + s.phi*s.trend
		level := s.alpha*(v-seasonal) + (1-s.alpha)*before
		s.trend = s.beta/math.Max(s.alpha, 1e-12)*(level-s.level) + (1-s.beta/math.Max(s.alpha, 1e-12))*s.phi*s.trend
		s.level = level
		if s.period > 0 {
			s.season[s.t%s.period] += s.gamma * (v - before - seasonal)
		}
	}
	s.t++
}

// expect is the load k steps ahead.
func (s *smoothing) expect(k int) float64 {
	damped := 0.0
	for i, p := 0, s.phi; i < k; i, p = i+1, p*s.phi {
		damped += p
	}
	v := s.level + damped*s.trend
	if s.period > 0 {
		v += s.season[(s.t+k-1)%s.period]
	}
	return v
}

func (s *smoothing) ahead(out []float64) bool {
	if !s.ready() {
		return false
	}
	damped, p := 0.0, s.phi
	for k := range out {
		damped += p
		p *= s.phi
		out[k] = s.level + damped*s.trend
		if s.period > 0 {
			out[k] += s.season[(s.t+k)%s.period]
		}
	}
	return true
}
