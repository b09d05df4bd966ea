package classic

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"gonum.org/v1/gonum/mat"
)

func close(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if !(math.Abs(got-want) <= within) {
		t.Errorf("%s is %.5f, want %.5f within %v", what, got, want, within)
	}
}

// lh is luteinizing hormone in blood samples at 10-minute intervals (Diggle 1990, table A.1), R's example for arima.
var lh = []float64{2.4, 2.4, 2.4, 2.2, 2.1, 1.5, 2.3, 2.3, 2.5, 2.0, 1.9, 1.7, 2.2, 1.8, 3.2, 3.2, 2.7, 2.2, 2.2, 1.9, 1.9, 1.8, 2.7, 3.0, 2.3, 2.0, 2.0,
	2.9, 2.9, 2.7, 2.7, 2.3, 2.6, 2.4, 1.8, 1.7, 1.5, 1.4, 2.1, 3.3, 3.5, 3.5, 3.1, 2.6, 2.1, 3.4, 3.0, 2.9}

// The values are those that R's manual prints for arima(lh, order = c(1,0,0)), c(3,0,0) and c(1,0,1); coefficients within
// 0.005, since optimisers stop where the likelihood is flat, and the likelihood itself within 0.01.
func TestARIMAFindsRsEstimates(t *testing.T) {
	for _, c := range []struct {
		p, q                 int
		ar, ma               []float64
		mean, sigma2, loglik float64
	}{
		{1, 0, []float64{0.5739}, nil, 2.4133, 0.1975, -29.38},
		{3, 0, []float64{0.6448, -0.0634, -0.2198}, nil, 2.3931, 0.1787, -27.09},
		{1, 1, []float64{0.4522}, []float64{0.1982}, 2.4101, 0.1923, -28.76},
	} {
		a, err := fitARMA(lh, c.p, c.q, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.ar {
			close(t, "ar", a.ar[i], c.ar[i], 0.005)
		}
		for i := range c.ma {
			close(t, "ma", a.ma[i], c.ma[i], 0.005)
		}
		close(t, "mean", a.mean, c.mean, 0.005)
		close(t, "sigma²", a.sigma2, c.sigma2, 0.0005)
		close(t, "log likelihood", a.loglik, c.loglik, 0.01)
	}
}

// oil is Saudi Arabia's oil production in million tonnes, 1996–2013; Forecasting: Principles and Practice (2nd edition) §7.1
// smooths it with alpha 0.83 and forecasts 542.68.
var oil = []float64{445.36, 453.20, 454.41, 422.38, 456.04, 440.39, 425.19, 486.21, 500.43, 521.28, 508.95, 488.89, 509.87, 456.72, 473.82, 525.95, 549.83, 542.34}

func TestSmoothingForecastsWhatTheBookDoes(t *testing.T) {
	s := smoothing{alpha: 0.8339}
	for _, v := range oil {
		s.take(v, zero)
	}
	close(t, "forecast", s.expect(1), 542.68, 0.02)
}

var zero time.Time

// Orders of a process that is known are found, differences included, and its coefficients within their standard errors.
func TestARIMAFindsTheProcess(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	var ar, walk []float64
	x, level := 0.0, 500.0
	for range 2000 {
		x = 0.7*x + r.NormFloat64()
		ar = append(ar, 100+x)
		level += 0.5*x + r.NormFloat64()
		walk = append(walk, level)
	}
	a := chooseARIMA(ar)
	if a.d != 0 || len(a.ar) == 0 {
		t.Errorf("an autoregression is taken for d %d, ar %v, ma %v", a.d, a.ar, a.ma)
	}
	one, err := fitARMA(ar, 1, 0, true)
	if err != nil {
		t.Fatal(err)
	}
	close(t, "ar", one.ar[0], 0.7, 0.04)
	close(t, "mean", one.mean, 100, 0.3)
	if a := chooseARIMA(walk); a.d != 1 {
		t.Errorf("a random walk is differenced %d times", a.d)
	}
	if a := chooseARIMA(make([]float64, 50)); a.d != 1 || len(a.ar)+len(a.ma) > 0 {
		t.Errorf("a constant is %+v, want a random walk", a)
	}
}

// The exact likelihood is that of the joint normal density, worked out without a filter.
func TestTheLikelihoodIsTheJointDensity(t *testing.T) {
	ar, ma := []float64{0.5, -0.2}, []float64{0.4}
	w := []float64{0.3, -0.8, 1.1, 0.2, -0.4, 0.9, -1.3}
	n := len(w)
	// autocovariances from the process's long moving average
	psi := make([]float64, 400)
	for i := range psi {
		if i == 0 {
			psi[i] = 1
		}
		if i > 0 && i <= len(ma) {
			psi[i] = ma[i-1]
		}
		for j, a := range ar {
			if i-1-j >= 0 {
				psi[i] += a * psi[i-1-j]
			}
		}
	}
	cov := mat.NewSymDense(n, nil)
	for i := range n {
		for j := i; j < n; j++ {
			sum := 0.0
			for l := 0; l+j-i < len(psi); l++ {
				sum += psi[l] * psi[l+j-i]
			}
			cov.SetSym(i, j, sum)
		}
	}
	sigma2, loglik := newKalman(2, 1).likelihood(w, ar, ma)
	var c mat.Cholesky
	if !c.Factorize(cov) {
		t.Fatal("not positive definite")
	}
	v := mat.NewVecDense(n, w)
	var solved mat.VecDense
	if err := c.SolveVecTo(&solved, v); err != nil {
		t.Fatal(err)
	}
	want := mat.Dot(v, &solved) / float64(n)
	close(t, "sigma²", sigma2, want, 1e-9)
	close(t, "log likelihood", loglik, -0.5*(float64(n)*(1+math.Log(2*math.Pi*want))+c.LogDet()), 1e-9)
}

func BenchmarkARIMA(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	var w []float64
	x := 0.0
	for range 2000 {
		x = 0.6*x + r.NormFloat64()
		w = append(w, 100+x)
	}
	b.ReportAllocs()
	for b.Loop() {
		chooseARIMA(w)
	}
}
