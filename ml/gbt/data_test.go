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

// auc is the chance that a row of class 1 is scored above one of class 0.
func auc(score, y []float64) float64 {
	order := make([]int, len(y))
	for i := range order {
		order[i] = i
	}
	sortBy(order, score)
	var ranks, ones float64
	for i := 0; i < len(order); {
		j := i
		for j < len(order) && score[order[j]] == score[order[i]] {
			j++
		}
		for _, k := range order[i:j] {
			ranks += y[k] * (float64(i+j+1) / 2)
			ones += y[k]
		}
		i = j
	}
	return (ranks - ones*(ones+1)/2) / (ones * (float64(len(y)) - ones))
}

func logLoss(p, y []float64) float64 {
	sum := 0.0
	for i := range y {
		sum -= y[i]*math.Log(p[i]) + (1-y[i])*math.Log(1-p[i])
	}
	return sum / float64(len(y))
}
