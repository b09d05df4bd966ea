package classic

import (
	"errors"
	"math"
	"time"

	"foresail.dev/model/forecast"
)

// ARIMA is an autoregressive integrated moving average (Box and Jenkins). How often it differences is told by the KPSS
// test; the orders p and q, up to 4 each, are those with the least AICc that Hyndman and Khandakar's stepwise search finds (Journal
// of Statistical Software 27(3), 2008); the coefficients have the greatest exact likelihood. It is fitted to the training's
// last 2,000 values at most, follows the series with the same coefficients from there, and is fitted anew each time a quarter more has come, every 1,000 values at least.
type ARIMA struct{}

// Name implements forecast.Method.
func (ARIMA) Name() string { return "arima" }

const (
	longestARIMA = 2000
	refitARIMA   = 1000
	mostOrder    = 4
)

// Train implements forecast.Method.
func (ARIMA) Train(history forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	o, err := forecast.Ready(history, o)
	if err != nil {
		return nil, err
	}
	values := history.Filled()
	f := &follower{arima: chooseARIMA(values[max(0, len(values)-longestARIMA):])}
	n := newOnline(history, o, f)
	f.every = min(max(len(values)/4, 50), refitARIMA)
	return n, nil
}

// arima is a fitted model.
type arima struct {
	d      int
	ar, ma []float64
	mean   float64 // of the differenced series; 0 where d > 0
	sigma2 float64
	loglik float64
	aicc   float64
}

// chooseARIMA finds the orders. Values too few or too still for any are a random walk.
func chooseARIMA(values []float64) arima {
	d := 0
	w := values
	for d < 2 && kpss(w) > 0.463 { // the test's 5 % point
		w = difference(w)
		d++
	}
	best := arima{d: max(d, 1), aicc: math.Inf(1)}
	tried := map[[2]int]bool{}
	try := func(p, q int) bool {
		if p < 0 || q < 0 || p > mostOrder || q > mostOrder || tried[[2]int{p, q}] {
			return false
		}
		tried[[2]int{p, q}] = true
		a, err := fitARMA(w, p, q, d == 0)
		if err != nil || !(a.aicc < best.aicc) {
			return false
		}
		a.d = d
		best = a
		return true
	}
	for _, o := range [][2]int{{2, 2}, {0, 0}, {1, 0}, {0, 1}} {
		try(o[0], o[1])
	}
	for better := true; better; {
		better = false
		p, q := len(best.ar), len(best.ma)
		for _, o := range [][2]int{{p - 1, q}, {p, q - 1}, {p + 1, q}, {p, q + 1}, {p - 1, q - 1}, {p + 1, q + 1}} {
			if try(o[0], o[1]) {
				better = true
				break
			}
		}
	}
	return best
}

// follower applies a fitted model to a series as it comes: innovations by the model's own recursion.
type follower struct {
	arima
	every  int       // it is fitted anew after so many values; 0: never
	since  int       // values since it was
	loads  []float64 // that it is fitted to
	recent []float64 // the last loads
	past   []float64 // differenced, less the mean
	shocks []float64
}

func (f *follower) take(load float64, _ time.Time) {
	f.loads = append(f.loads, load)
	if len(f.loads) > 2*longestARIMA {
		f.loads = f.loads[:copy(f.loads, f.loads[longestARIMA:])]
	}
	if f.since++; f.every > 0 && f.since >= f.every {
		f.refit()
		return
	}
	f.follow(load)
}

// refit chooses orders and coefficients from the last loads, and follows those from the first on.
func (f *follower) refit() {
	last := f.loads[max(0, len(f.loads)-longestARIMA):]
	f.arima = chooseARIMA(last)
	f.since, f.recent, f.past, f.shocks = 0, nil, nil, nil
	for _, v := range last {
		f.follow(v)
	}
}

func (f *follower) follow(load float64) {
	f.recent = append(f.recent, load)
	if len(f.recent) > f.d+1 {
		f.recent = f.recent[1:]
	}
	if len(f.recent) <= f.d {
		return
	}
	w := f.recent
	for range f.d {
		w = difference(w)
	}
	v := w[len(w)-1] - f.mean
	e := v - f.next(f.past, f.shocks)
	if math.Abs(e) > 1e12 || math.IsNaN(e) {
		e = 0
	}
	f.past, f.shocks = keep(append(f.past, v), len(f.ar)), keep(append(f.shocks, e), len(f.ma))
}

func keep(v []float64, n int) []float64 { return v[max(0, len(v)-max(n, 1)):] }

func (f *follower) next(past, shocks []float64) (v float64) {
	for i, a := range f.ar {
		if j := len(past) - 1 - i; j >= 0 {
			v += a * past[j]
		}
	}
	for i, b := range f.ma {
		if j := len(shocks) - 1 - i; j >= 0 {
			v += b * shocks[j]
		}
	}
	return v
}

func (f *follower) ahead(out []float64) bool {
	if len(f.past) == 0 {
		return false
	}
	past := append([]float64(nil), f.past...)
	shocks := append([]float64(nil), f.shocks...)
	recent := append([]float64(nil), f.recent...)
	for k := range out {
		v := f.next(past, shocks)
		past, shocks = append(past, v), append(shocks, 0)
		v += f.mean
		switch f.d {
		case 0:
		case 1:
			v += recent[len(recent)-1]
		default:
			v += 2*recent[len(recent)-1] - recent[len(recent)-2]
		}
		recent = append(recent, v)
		out[k] = v
	}
	return true
}

func difference(v []float64) []float64 {
	if len(v) < 2 {
		return nil
	}
	out := make([]float64, len(v)-1)
	for i := range out {
		out[i] = v[i+1] - v[i]
	}
	return out
}

// kpss is the statistic of Kwiatkowski, Phillips, Schmidt and Shin (1992) for a level: large where the series does not keep to
// one. Its long-run variance takes 4·(n/100)^¼ lags.
func kpss(v []float64) float64 {
	n := float64(len(v))
	if n < 10 {
		return 0
	}
	mean := 0.0
	for _, x := range v {
		mean += x / n
	}
	sum, squares := 0.0, 0.0
	for _, x := range v {
		sum += x - mean
		squares += sum * sum
	}
	lags := int(4 * math.Pow(n/100, 0.25))
	variance := 0.0
	for lag := 0; lag <= lags; lag++ {
		c := 0.0
		for i := lag; i < len(v); i++ {
			c += (v[i] - mean) * (v[i-lag] - mean)
		}
		if lag > 0 {
			c *= 2 * (1 - float64(lag)/float64(lags+1))
		}
		variance += c / n
	}
	if variance <= 0 {
		return 0
	}
	return squares / (n * n * variance)
}

var errFlat = errors.New("classic: the series is too short or does not vary")
