package ml

import (
	"cmp"
	"math"
	"slices"
)

// Pinball is the mean pinball loss of forecasts of the q quantile, 0 < q < 1: q·(y−f) where the truth y lies above the
// forecast f, (1−q)·(f−y) where it lies below. The unit is that of y. It is NaN for no values.
func Pinball(q float64, truth, forecast []float64) float64 {
	sum := 0.0
	for i, y := range truth {
		d := y - forecast[i]
		sum += max(q*d, (q-1)*d)
	}
	return sum / float64(len(truth))
}

// LogLoss is the mean negative log likelihood, in nats, of labels under the probabilities that were given to true. A
// probability counts as at least 1e-15 away from 0 and 1. It is NaN for no values.
func LogLoss(labels []bool, p []float64) float64 {
	const least = 1e-15
	sum := 0.0
	for i, label := range labels {
		q := p[i]
		if !label {
			q = 1 - q
		}
		sum -= math.Log(min(max(q, least), 1-least))
	}
	return sum / float64(len(labels))
}

// AUC is the area under the ROC curve: the probability that a true label has a higher score than a false one, ties counted
// half. It is NaN unless there are labels of both kinds.
func AUC(labels []bool, score []float64) float64 {
	order := make([]int, len(labels))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(score[a], score[b]) })
	var below, wins, positives float64 // negatives that score lower; pairs won
	for i := 0; i < len(order); {
		var pos, neg float64
		j := i
		for ; j < len(order) && score[order[j]] == score[order[i]]; j++ {
			if labels[order[j]] {
				pos++
			} else {
				neg++
			}
		}
		if j == i {
			return math.NaN() // a score that is not a number has no rank
		}
		wins += pos * (below + neg/2)
		below += neg
		positives += pos
		i = j
	}
	return wins / (positives * below)
}
