package evaluate_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/evaluate"
)

func table(t *testing.T) *latency.Table {
	t.Helper()
	y := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	out, err := latency.NewTable([]string{"a:0.90"}, [][]float64{y})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Each row is on one side of each split, and the same seed draws the same splits.
func TestSplits(t *testing.T) {
	c := evaluate.Config{Repeats: 5, Train: 7, Seed: 3}
	a, err := c.Splits(10)
	if err != nil || len(a) != 5 {
		t.Fatal(err)
	}
	for _, s := range a {
		all := slices.Concat(s[0], s[1])
		slices.Sort(all)
		if len(s[0]) != 7 || !slices.Equal(all, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Error(s)
		}
	}
	b, _ := c.Splits(10)
	if !slices.Equal(a[4][0], b[4][0]) || slices.Equal(a[0][0], a[1][0]) {
		t.Error("splits are not drawn by the seed and the number of the split")
	}
	for _, bad := range []evaluate.Config{{Repeats: 1, Train: 5}, {Repeats: 3, Train: 10}, {Repeats: 3}} {
		if _, err := bad.Splits(10); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// By hand: trained on 1 to 4, of which the standard deviation is √1.25; 5 is said of 5 to 10.
func TestTheMeasures(t *testing.T) {
	c := evaluate.Config{Target: "a:0.90", Repeats: 2, Train: 4}
	now := time.Duration(0)
	c.Clock = func() time.Duration { now += time.Second; return now }
	m := evaluate.Method{Name: "five", Train: func(train *latency.Table, _ uint64) (evaluate.Predict, error) {
		if train.Rows() != 4 {
			t.Error(train.Rows())
		}
		return func(test *latency.Table) ([]float64, error) { return []float64{5, 5, 5, 5, 5, 5}, nil }, nil
	}}
	var s evaluate.Score
	if err := c.One(m, table(t), [2][]int{{0, 1, 2, 3}, {4, 5, 6, 7, 8, 9}}, 0, &s); err != nil {
		t.Fatal(err)
	}
	log := 0.0
	for y := 5; y <= 10; y++ {
		log += math.Log(float64(y)/5) / 6
	}
	for _, v := range [][2]float64{{s.Unit[0], 2.5}, {s.MAE[0], 2.5 / math.Sqrt(1.25)}, {s.Log[0], log}, {s.TrainTime.Seconds(), 0.5}, {s.InferTime.Seconds(), 1. / 12}} {
		if math.Abs(v[0]-v[1]) > 1e-8 {
			t.Errorf("%v, should be %v", v[0], v[1])
		}
	}
	c.Target = "b:0.90"
	if err := c.One(m, table(t), [2][]int{{0}, {1}}, 0, &s); err == nil || !strings.Contains(err.Error(), "b:0.90") {
		t.Error(err)
	}
}

// The interval is Student's of the logarithms, wider where the test rows are many; with errors in proportion it is a point.
func TestRatios(t *testing.T) {
	if r, low, high := evaluate.Ratio([]float64{1, 2, 3}, []float64{2, 4, 6}, 0.5); math.Abs(r-0.5) > 1e-12 || math.Abs(low-0.5) > 1e-12 || math.Abs(high-0.5) > 1e-12 {
		t.Error(r, low, high)
	}
	// log ratios 0 and 1: mean 0.5, deviation √0.5; t(0.975, 1) is 12.7062.
	_, low, high := evaluate.Ratio([]float64{1, math.E}, []float64{1, 1}, 0.5)
	if half := 12.7062 * math.Sqrt(0.5*(0.5+0.5)); math.Abs(math.Log(low)-(0.5-half)) > 1e-3 || math.Abs(math.Log(high)-(0.5+half)) > 1e-3 {
		t.Error(low, high)
	}
}
