package shares_test

import (
	"math/rand/v2"
	"testing"

	"foresail.dev"
	"foresail.dev/model/callgraph/shares"
)

// One window observed and the next predicted, of eight call graphs that jump among five mixes.
func BenchmarkWindow(b *testing.B) {
	for _, m := range quick() {
		b.Run(m.Name(), func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 0))
			var mixes [5][]float64
			for i := range mixes {
				mixes[i] = draw(r, 8)
			}
			model, _ := m.Train(nil, shares.Options{})
			tr, _ := model.Track(8)
			dst := make([]float64, 8)
			b.ReportAllocs()
			for b.Loop() {
				tr.Observe(mixes[r.IntN(5)], 600)
				tr.Predict(1, dst)
			}
		})
	}
}

// A minute of a manager: all methods observe sixteen call graphs, and the best predicts.
func BenchmarkPredictorMinute(b *testing.B) {
	p := predictor(b, shares.Config{})
	r := rand.New(rand.NewPCG(1, 0))
	var all [8][]float64
	for i := range all {
		for range 16 {
			all[i] = append(all[i], float64(10+r.IntN(200)))
		}
	}
	var minutes [8][]foresail.ShapeStats
	for i := range minutes {
		minutes[i] = minute(b, all[i]...)
	}
	b.ReportAllocs()
	for k := 0; b.Loop(); k++ {
		observe(b, p, minutes[r.IntN(8)])
		predict(b, p, 1)
	}
}
