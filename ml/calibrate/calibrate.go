// Package calibrate turns the scores of a classifier into probabilities that come true: of all the times it says 10 %, it
// happens one time in ten. Fit on data that the classifier was not trained on.
//
// Sigmoid is Platt's method, with two parameters: for a few hundred rows, or where scores are log odds that are merely too
// steep. Steps is isotonic regression, which supposes nothing but order: for a thousand rows and more.
package calibrate

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// check checks scores and the classes of their rows, 0 or 1; weight may be nil.
func check(score, y, weight []float64) error {
	if len(score) == 0 {
		return errors.New("calibrate: no rows")
	}
	if len(score) != len(y) || weight != nil && len(weight) != len(y) {
		return fmt.Errorf("calibrate: %d scores for %d rows with %d weights", len(score), len(y), len(weight))
	}
	for i, s := range score {
		if !(math.Abs(s) <= 1e100) {
			return fmt.Errorf("calibrate: score of row %d is %v, must be a number of at most 1e100", i, s)
		}
		if y[i] != 0 && y[i] != 1 {
			return fmt.Errorf("calibrate: class of row %d is %v, must be 0 or 1", i, y[i])
		}
		if weight != nil && !(weight[i] > 0 && weight[i] <= 1e30) {
			return fmt.Errorf("calibrate: weight of row %d is %v, must be above 0 and at most 1e30", i, weight[i])
		}
	}
	return nil
}

// order is the rows by ascending score.
func order(score []float64) []int {
	rows := make([]int, len(score))
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int {
		switch {
		case score[a] < score[b]:
			return -1
		case score[a] > score[b]:
			return 1
		}
		return 0
	})
	return rows
}

func weightOf(weight []float64, i int) float64 {
	if weight == nil {
		return 1
	}
	return weight[i]
}
