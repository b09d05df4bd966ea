package ml

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestScoresOfKnownCases(t *testing.T) {
	cases := []struct {
		name      string
		got, want float64
	}{
		{"pinball above and below", Pinball(0.9, []float64{10, 10}, []float64{8, 12}), (0.9*2 + 0.1*2) / 2},
		{"log loss of a coin", LogLoss([]bool{true, false}, []float64{0.5, 0.5}), math.Ln2},
		{"log loss of what could not be", LogLoss([]bool{true}, []float64{0}), -math.Log(1e-15)},
		{"AUC, all right", AUC([]bool{false, true}, []float64{1, 2}), 1},
		{"AUC, all tied", AUC([]bool{false, true, true}, []float64{1, 1, 1}), 0.5},
		{"AUC, one kind of label", AUC([]bool{true, true}, []float64{1, 2}), math.NaN()},
		{"AUC, no number", AUC([]bool{true, false}, []float64{math.NaN(), 2}), math.NaN()},
	}
	for _, c := range cases {
		if math.Abs(c.got-c.want) > 1e-12 || math.IsNaN(c.got) != math.IsNaN(c.want) {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
}

// AUC is defined by pairs; counting them all is the slow way to it.
func TestAUCCountsPairs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 40).Draw(t, "n")
		labels, score := make([]bool, n), make([]float64, n)
		for i := range n {
			labels[i] = rapid.Bool().Draw(t, "label")
			score[i] = float64(rapid.IntRange(0, 9).Draw(t, "score"))
		}
		var won, pairs float64
		for i := range n {
			for j := range n {
				if labels[i] && !labels[j] {
					pairs++
					switch {
					case score[i] > score[j]:
						won++
					case score[i] == score[j]:
						won += 0.5
					}
				}
			}
		}
		if got := AUC(labels, score); math.Abs(got-won/pairs) > 1e-12 || math.IsNaN(got) != (pairs == 0) {
			t.Fatalf("%v, want %v", got, won/pairs)
		}
	})
}

// The quantile of a sample is where its pinball loss is least: within the sample no other value has less.
func TestPinballIsLeastAtTheQuantile(t *testing.T) {
	sample := []float64{5, 1, 4, 2, 3, 9, 8, 7, 6, 10}
	loss := func(f float64) float64 {
		forecast := make([]float64, len(sample))
		for i := range forecast {
			forecast[i] = f
		}
		return Pinball(0.75, sample, forecast)
	}
	for _, x := range sample {
		if loss(x) < loss(8) {
			t.Errorf("loss at %v is %v, at the quantile %v", x, loss(x), loss(8))
		}
	}
}
