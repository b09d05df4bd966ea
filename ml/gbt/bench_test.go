package gbt_test

import (
	"testing"

	"foresail.dev/ml"
	"foresail.dev/ml/gbt"
)

// BenchmarkTrain trains 100 trees of depth 6 on 50,000 rows of 100 features, and predicts 20,000 others.
func BenchmarkTrain(b *testing.B) {
	d := clicks(50_000, 100, 1)
	test := clicks(20_000, 100, 2)
	cfg := gbt.Default()
	cfg.Loss = gbt.Logistic
	p := make([]float64, len(test.Y))
	done := cpu(b)
	for b.Loop() {
		m, err := gbt.Train(cfg, d, nil)
		if err != nil {
			b.Fatal(err)
		}
		m.PredictAll(p, test.X)
	}
	done()
	b.ReportMetric(ml.AUC(labels(test.Y), p), "auc")
	b.ReportMetric(ml.LogLoss(labels(test.Y), p), "logloss")
}

func BenchmarkQuantise(b *testing.B) {
	d := clicks(50_000, 100, 1)
	defer cpu(b)()
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
	done := cpu(b)
	for b.Loop() {
		m.Predict(d.X[i*100 : (i+1)*100])
		i = (i + 1) % len(d.Y)
	}
	done()
}

// BenchmarkPredictAll predicts 1,000 rows of 512 features, such as a network's last layer has.
func BenchmarkPredictAll(b *testing.B) {
	d := clicks(5000, 512, 1)
	cfg := gbt.Default()
	cfg.Loss = gbt.Logistic
	m, err := gbt.Train(cfg, d, nil)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]float64, 1000)
	b.ReportAllocs()
	defer cpu(b)()
	for b.Loop() {
		m.PredictAll(dst, d.X[:512*1000])
	}
}

func BenchmarkContributions(b *testing.B) {
	m, d := small(b, 1)
	b.ReportAllocs()
	for b.Loop() {
		m.Contributions(d.X[:5])
	}
}
