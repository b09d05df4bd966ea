package classic

import (
	"math"

	"gonum.org/v1/gonum/optimize"
)

// fitARMA finds the coefficients with the greatest exact likelihood.
func fitARMA(w []float64, p, q int, withMean bool) (arima, error) {
	n := len(w)
	parameters := p + q + 1
	mean, spread := 0.0, 0.0
	for _, v := range w {
		mean += v / float64(n)
	}
	for _, v := range w {
		spread += (v - mean) * (v - mean) / float64(n)
	}
	if withMean {
		parameters++
	}
	if n < parameters+10 || spread <= 1e-18 {
		return arima{}, errFlat
	}
	spread = math.Sqrt(spread)
	k := newKalman(p, q)
	centred := make([]float64, n)
	read := func(x []float64) arima {
		a := arima{ar: stationary(x[:p]), ma: stationary(x[p : p+q])}
		for i := range a.ma {
			a.ma[i] = -a.ma[i]
		}
		if withMean {
			a.mean = mean + spread*x[p+q]
		}
		return a
	}
	cost := func(x []float64) float64 {
		a := read(x)
		for i, v := range w {
			centred[i] = v - a.mean
		}
		_, loglik := k.likelihood(centred, a.ar, a.ma)
		return -loglik / float64(n)
	}
	size := p + q
	if withMean {
		size++
	}
	x := make([]float64, size)
	if size > 0 {
		for i := range x[:p+q] {
			x[i] = 0.1
		}
		r, err := optimize.Minimize(optimize.Problem{Func: cost}, x, &optimize.Settings{FuncEvaluations: 400,
			Converger: &optimize.FunctionConverge{Absolute: 1e-9, Iterations: 60}}, &optimize.NelderMead{})
		if r == nil || err != nil && !(r.F < cost(x)) {
			return arima{}, errFlat
		}
		x = r.X
	}
	a := read(x)
	for i, v := range w {
		centred[i] = v - a.mean
	}
	a.sigma2, a.loglik = k.likelihood(centred, a.ar, a.ma)
	if math.IsNaN(a.loglik) || math.IsInf(a.loglik, 0) {
		return arima{}, errFlat
	}
	m := float64(parameters)
	a.aicc = -2*a.loglik + 2*m + 2*m*(m+1)/(float64(n)-m-1)
	return a, nil
}

// stationary turns any numbers into coefficients of a stationary autoregression: through partial autocorrelations within −1
// and 1 (Monahan, Biometrika 71, 1984).
func stationary(x []float64) []float64 {
	a := make([]float64, len(x))
	before := make([]float64, len(x))
	for k := range x {
		r := math.Tanh(x[k])
		copy(before, a[:k])
		for i := range k {
			a[i] = before[i] - r*before[k-1-i]
		}
		a[k] = r
	}
	return a
}

// kalman is the filter of an ARMA process in Harvey's form (Harvey, Forecasting, Structural Time Series Models and the
// Kalman Filter, §3.3), whose variance is relative to the innovations'.
type kalman struct {
	r             int
	phi, theta    []float64
	state         []float64
	p, next, step []float64
	a, b          []float64
}

func newKalman(p, q int) *kalman {
	r := max(p, q+1)
	k := &kalman{r: r, phi: make([]float64, r), theta: make([]float64, r), state: make([]float64, r)}
	for _, m := range []*[]float64{&k.p, &k.next, &k.step, &k.a, &k.b} {
		*m = make([]float64, r*r)
	}
	return k
}

// likelihood returns the innovations' variance and the logarithm of the likelihood of values, whose mean is 0.
func (k *kalman) likelihood(values, ar, ma []float64) (sigma2, loglik float64) {
	r := k.r
	clear(k.phi)
	clear(k.theta)
	copy(k.phi, ar)
	k.theta[0] = 1
	copy(k.theta[1:], ma)
	k.start()
	clear(k.state)
	squares, logs := 0.0, 0.0
	steady := false
	f := 0.0
	for _, v := range values {
		if !steady {
			f = k.p[0]
		}
		e := v - k.state[0]
		squares += e * e / f
		logs += math.Log(f)
		// the state after the observation, and one step on
		for i := range r {
			k.state[i] += k.p[i*r] * e / f
		}
		first := k.state[0]
		for i := range r {
			k.state[i] = k.phi[i] * first
			if i+1 < r {
				k.state[i] += k.state[i+1]
			}
		}
		// state[i+1] was read before it was written: the loop goes upwards
		if steady {
			continue
		}
		steady = k.advance(f)
	}
	n := float64(len(values))
	sigma2 = squares / n
	return sigma2, -0.5 * (n*(1+math.Log(2*math.Pi*sigma2)) + logs)
}

// advance moves the variance one step on; true once it no longer moves.
func (k *kalman) advance(f float64) bool {
	r := k.r
	for i := range r { // after the observation
		for j := range r {
			k.next[i*r+j] = k.p[i*r+j] - k.p[i*r]*k.p[j]/f
		}
	}
	moved := 0.0
	k.transition(k.next, k.step)
	for i := range r {
		for j := range r {
			v := k.step[i*r+j] + k.theta[i]*k.theta[j]
			moved = max(moved, math.Abs(v-k.p[i*r+j]))
			k.p[i*r+j] = v
		}
	}
	return moved < 1e-12
}

// transition writes T·m·Tᵀ, where T has phi in its first column and ones above the diagonal.
func (k *kalman) transition(m, out []float64) {
	r := k.r
	at := func(i, j int) float64 {
		if i >= r || j >= r {
			return 0
		}
		return m[i*r+j]
	}
	for i := range r {
		for j := range r {
			out[i*r+j] = k.phi[i]*k.phi[j]*at(0, 0) + k.phi[i]*at(0, j+1) + k.phi[j]*at(i+1, 0) + at(i+1, j+1)
		}
	}
}

// start is the variance of the stationary process: the sum of Tⁿ R Rᵀ Tᵀⁿ, summed by doubling.
func (k *kalman) start() {
	r := k.r
	for i := range r {
		for j := range r {
			k.p[i*r+j] = k.theta[i] * k.theta[j]
			k.a[i*r+j] = 0
			if j == 0 {
				k.a[i*r+j] = k.phi[i]
			}
			if j == i+1 {
				k.a[i*r+j]++
			}
		}
	}
	for range 40 {
		multiply(k.a, k.p, k.b, r, false)
		multiply(k.b, k.a, k.step, r, true)
		moved := 0.0
		for i, v := range k.step {
			k.p[i] += v
			moved = max(moved, math.Abs(v))
		}
		if moved < 1e-12*k.p[0] {
			return
		}
		multiply(k.a, k.a, k.b, r, false)
		copy(k.a, k.b)
	}
}

// multiply writes x·y, or x·yᵀ, for r × r matrices.
func multiply(x, y, out []float64, r int, transposed bool) {
	for i := range r {
		for j := range r {
			sum := 0.0
			for l := range r {
				if transposed {
					sum += x[i*r+l] * y[j*r+l]
				} else {
					sum += x[i*r+l] * y[l*r+j]
				}
			}
			out[i*r+j] = sum
		}
	}
}
