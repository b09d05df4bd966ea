package gbt_test

import (
	"slices"
	"testing"

	"foresail.dev/ml/gbt"
)

func sortBy(order []int, score []float64) {
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case score[a] < score[b]:
			return -1
		case score[a] > score[b]:
			return 1
		}
		return a - b
	})
}

// BenchmarkTrain trains 100 trees of depth 6 on 50,000 rows of 100 features.
func BenchmarkTrain(b *testing.B) {
	d := clicks(50_000, 100, 1)
	test := clicks(20_000, 100, 2)
	cfg := gbt.Default()
	cfg.Loss = gbt.Logistic
	p := make([]float64, len(test.Y))
	for b.Loop() {
		m, err := gbt.Train(cfg, d, nil)
		if err != nil {
			b.Fatal(err)
		}
		m.PredictAll(p, test.X)
	}
	b.ReportMetric(auc(p, test.Y), "auc")
	b.ReportMetric(logLoss(p, test.Y), "logloss")
}

func BenchmarkQuantise(b *testing.B) {
	d := clicks(50_000, 100, 1)
	for b.Loop() {
		if _, err := gbt.NewTrainer(d.X, d.Features, gbt.MaxBins); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPredict predicts one row at a time with 100 trees of depth 6.
func BenchmarkPredict(b *testing.B) {
	d := clicks(20_000, 100, 1)
	cfg := gbt.Default()
	cfg.Loss = gbt.Logistic
	m, err := gbt.Train(cfg, d, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Predict(d.X[i*100 : (i+1)*100])
		i = (i + 1) % len(d.Y)
	}
}
