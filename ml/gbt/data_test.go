package gbt_test

import (
	"math"
	"math/rand/v2"

	"foresail.dev/ml/gbt"
)

// clicks draws rows of which the class hangs on a few features and on pairs of them, with noise: what a boosted model
// can learn but not fully.
func clicks(rows, features int, seed uint64) gbt.Data {
	rng := rand.New(rand.NewPCG(seed, 1))
	d := gbt.Data{X: make([]float64, rows*features), Features: features, Y: make([]float64, rows)}
	for i := range d.X {
		d.X[i] = rng.NormFloat64()
	}
	for r := range d.Y {
		x := d.X[r*features : (r+1)*features]
		score := 0.0
		for f := range min(features, 20) / 2 {
			a, b := x[2*f], x[2*f+1]
			score += 0.6*a + a*b*0.5 + math.Sin(2*b)*0.4
		}
		if rng.Float64() < 1/(1+math.Exp(-score)) {
			d.Y[r] = 1
		}
	}
	return d
}

// labels are classes of 0 and 1 as package ml takes them.
func labels(y []float64) []bool {
	out := make([]bool, len(y))
	for i, v := range y {
		out[i] = v == 1
	}
	return out
}
