package neural

import (
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev/ml/nn"
	"foresail.dev/model/forecast"
)

// Model is a trained network for one series. It implements forecast.Forecaster, and encoding.BinaryMarshaler and
// BinaryUnmarshaler for the payload of a model file.
type Model struct {
	scaling
	kind      kind
	n, m      int
	levels    []float64
	seed      uint64
	past      forecast.Series // the last n steps that were seen
	residuals []float64       // of a network that predicts no deviation, for each step ahead
	lacking   string          // why there is nothing but the last value; empty: there is
	params    []*nn.Param[float32]

	net   *network[float32]
	post  *posterior
	noise noise
	x     []float32
}

// draws is how many networks a Bayesian one is asked for, in use.
const draws = 32

// keep takes a copy of trained weights, without the buffers of training.
func (w *Model) keep(params []*nn.Param[float32]) {
	w.net, w.post, w.noise, w.params = build(w.kind, w.n, w.m, nn.NewRand(w.seed, 2))
	for i, p := range params {
		copy(w.params[i].W, p.W)
	}
	for _, p := range w.params {
		p.G = nil // it is not trained any more
	}
	for _, p := range w.net.params {
		p.G = nil
	}
}

// take is keep for what another model knows.
func (w *Model) take(from *Model) {
	w.residuals = from.residuals
	w.keep(from.params)
}

func (w *Model) copyTo(params []*nn.Param[float32]) {
	if w.trained() {
		for i, p := range params {
			copy(p.W, w.params[i].W)
		}
	}
}

func (w *Model) trained() bool { return w.params != nil }

// Step is how far apart the loads were that it was trained on.
func (w *Model) Step() time.Duration { return w.past.Step }

// tail is a copy of the last n steps.
func tail(s forecast.Series, n int) forecast.Series {
	s = s.Slice(max(0, len(s.Values)-n), len(s.Values))
	s.Values = append([]float64(nil), s.Values...)
	return s
}

// Forecast implements forecast.Forecaster. Models of Bayesian networks draw, always the same for the same history.
func (w *Model) Forecast(history forecast.Series, m int) (forecast.Forecast, error) {
	if history.Observed() == 0 {
		return forecast.Forecast{}, forecast.ErrEmpty
	}
	if w.lacking != "" {
		return forecast.Fallback(history, m, w.levels, w.lacking)
	}
	window, ok := w.window(history)
	if !ok {
		return forecast.Fallback(history, m, w.levels, forecast.TooShort(history.Observed(), w.n))
	}
	w.past = window
	p := prepare(window, w.n, 0)
	level, one := w.unit(p.load)
	x := grow(&w.x, features*w.n)
	for i, v := range p.load {
		x[features*i] = float32((v - level) / one)
		copy(x[features*i+1:], p.calendar[i][:])
	}
	f := forecast.New(history, m, w.levels)
	mean, sigma := w.predict(m)
	for k := range m {
		mu, sd := mean[k]*one+level, sigma[k]*one
		f.SetNormal(k, mu, sd)
		if w.kind.attends { // eq. 8
			f.Point = append(f.Point, max(mu+sd, 0))
		}
	}
	return f, nil
}

// window is the last n steps before the history's end, those before its start as they were seen before. It is false where
// they reach further back than anything that was seen, or less than half of them was observed.
func (w *Model) window(history forecast.Series) (forecast.Series, bool) {
	s := forecast.Series{Step: history.Step, Values: make([]float64, w.n)}
	s.Start = history.At(len(history.Values) - w.n)
	observed := 0
	for i := range s.Values {
		s.Values[i] = math.NaN()
		if j := len(history.Values) - w.n + i; j >= 0 {
			s.Values[i] = history.Values[j]
		} else if w.past.Step == s.Step {
			since := s.At(i).Sub(w.past.Start)
			if j := int(since / s.Step); since >= 0 && since%s.Step == 0 && j < len(w.past.Values) {
				s.Values[i] = w.past.Values[j]
			}
		}
		if !math.IsNaN(s.Values[i]) {
			observed++
		}
	}
	return s, 2*observed >= w.n
}

// predict is the mean and the deviation of each step, in the network's units.
func (w *Model) predict(m int) (mean, sigma []float64) {
	mean, sigma = make([]float64, m), make([]float64, m)
	switch {
	case w.kind.bayes:
		w.sample(m, draws, mean, sigma, func(x nn.Batch[float32], r *nn.Rand) ([]float32, []float32) {
			w.post.draw(r)
			mu, _ := w.net.forward(x, 1, m, false)
			return mu, nil
		})
	case w.kind.dropout > 0:
		w.sample(m, draws, mean, sigma, func(x nn.Batch[float32], r *nn.Rand) ([]float32, []float32) {
			w.net.r = r
			return w.net.forward(x, 1, m, false)
		})
	default:
		mu, sd := w.net.forward(w.input(), 1, m, false)
		for k := range m {
			mean[k] = float64(mu[k])
			if w.kind.gaussian {
				sigma[k] = float64(sd[k])
			} else {
				sigma[k] = w.residuals[min(k, len(w.residuals)-1)]
			}
		}
	}
	return mean, sigma
}

func (w *Model) input() nn.Batch[float32] {
	return nn.Batch[float32]{Rows: w.n, Cols: features, Data: w.x[:features*w.n]}
}

// sample asks several drawn networks. The variance is that of their means, which is how unsure the weights are, and the
// mean of their own (Kendall and Gal, 2017, eq. 9).
func (w *Model) sample(m, times int, mean, sigma []float64, ask func(nn.Batch[float32], *nn.Rand) ([]float32, []float32)) {
	// Drawn afresh from the window, so that a forecast hangs on what it sees and on nothing that was asked before.
	stream := rand.NewPCG(w.seed, uint64(w.past.End().UnixNano())).Uint64()
	r := nn.NewRand(w.seed, stream)
	n := float64(times)
	for range times {
		mu, sd := ask(w.input(), r)
		for k := range m {
			v := float64(mu[k])
			mean[k] += v / n
			sigma[k] += v * v / n
			if sd != nil {
				sigma[k] += float64(sd[k]) * float64(sd[k]) / n
			}
		}
	}
	for k := range m {
		own := 0.0
		if w.kind.bayes {
			own = w.noise.sigma() * w.noise.sigma()
		}
		sigma[k] = math.Sqrt(max(sigma[k]-mean[k]*mean[k]+own, leastSigma*leastSigma))
	}
}
