package gp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// draw makes n rows of d features and a smooth target with noise.
func draw(n, d int, seed uint64) (x, y []float64) {
	rng := rand.New(rand.NewPCG(seed, 9))
	x, y = make([]float64, n*d), make([]float64, n)
	for i := range x {
		x[i] = rng.NormFloat64()
	}
	for i := range y {
		for f := range d {
			y[i] += math.Sin(x[i*d+f]*2) / float64(f+1)
		}
		y[i] += 0.1 * rng.NormFloat64()
	}
	return x, y
}

// BenchmarkLikelihood evaluates the likelihood and its gradient on 500 rows of 20 features.
func BenchmarkLikelihood(b *testing.B) {
	x, y := draw(500, 20, 1)
	l := newLikelihood(Matern52, true, x, 20, y, 1e-6)
	theta, grad := make([]float64, l.params()), make([]float64, l.params())
	for i := range theta {
		theta[i] = 1
	}
	theta[21] = -3
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		if _, err := l.value(theta); err != nil {
			b.Fatal(err)
		}
		if err := l.gradient(theta, grad); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFit fits 300 rows of 7 features.
func BenchmarkFit(b *testing.B) {
	x, y := draw(300, 7, 1)
	defer cpu(b)()
	for b.Loop() {
		if _, err := Fit(Default(), x, 7, y); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPredict142 predicts with 142 models of 300 rows, 1,034 features in all: each the mean alone, and with variance.
func BenchmarkPredict142(b *testing.B) {
	x, y := draw(300, 8, 1)
	var predict []*Predictor
	row := make([]float64, 8)
	for i := range 142 {
		features := 7
		if i < 1034-7*142 {
			features = 8
		}
		m, err := New(Default(), x[:300*features], features, y, Params{Lengths: []float64{1, 2, 3, 4, 5, 6, 7, 8}[:features], Variance: 1, Noise: 0.01})
		if err != nil {
			b.Fatal(err)
		}
		predict = append(predict, NewPredictor(m))
	}
	for name, f := range map[string]func(p *Predictor, row []float64){
		"mean":     func(p *Predictor, row []float64) { p.Mean(row) },
		"variance": func(p *Predictor, row []float64) { p.Predict(row) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			defer cpu(b)()
			for b.Loop() {
				for _, p := range predict {
					f(p, row[:p.m.Features()])
				}
			}
		})
	}
}

// The gradient is that of the value: central differences, for both kernels, with one length scale and with several.
func TestGradientIsThatOfTheLikelihood(t *testing.T) {
	x, y := draw(40, 3, 2)
	rng := rand.New(rand.NewPCG(3, 3))
	for _, kernel := range []Kernel{Matern52, Matern32} {
		for _, perFeature := range []bool{true, false} {
			l := newLikelihood(kernel, perFeature, x, 3, y, 1e-6)
			theta, grad := make([]float64, l.params()), make([]float64, l.params())
			for range 5 {
				for i := range theta {
					theta[i] = 2*rng.Float64() - 1
				}
				theta[len(theta)-1] -= 3
				if _, err := l.value(theta); err != nil {
					t.Fatal(err)
				}
				if err := l.gradient(theta, grad); err != nil {
					t.Fatal(err)
				}
				for i := range theta {
					const h = 1e-5
					was := theta[i]
					theta[i] = was + h
					up, _ := l.value(theta)
					theta[i] = was - h
					down, _ := l.value(theta)
					theta[i] = was
					if want := (up - down) / (2 * h); math.Abs(grad[i]-want) > 1e-6*(1+math.Abs(want)) {
						t.Errorf("%s, per feature %v: gradient of parameter %d is %v, by differences %v", kernel, perFeature, i, grad[i], want)
					}
				}
			}
		}
	}
}
