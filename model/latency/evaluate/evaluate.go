// Package evaluate measures methods that predict a metric on repeated random splits of a table, and compares them split by
// split.
package evaluate

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"foresail.dev/model/latency"
)

// Method trains on a table and returns what predicts a row of it, given the row's number in another table of the same columns.
type Method struct {
	Name  string
	Train func(train *latency.Table, seed uint64) (Predict, error)
}

// Predict predicts the target in each row of a table. It must not look at the target's column.
type Predict func(t *latency.Table) ([]float64, error)

// Config says how methods are measured.
type Config struct {
	Target  string // label
	Repeats int    // splits; ≥ 2
	Train   int    // rows to train on; the others are predicted
	Seed    uint64
	Clock   func() time.Duration // tells the time that has passed; nil: times are 0
}

// Score is what one method was worth.
type Score struct {
	MAE, Log, Unit []float64 // mean absolute error by split: in standard deviations of the target in the training rows, of logarithms, in the target's unit
	TrainTime      time.Duration
	InferTime      time.Duration // of one row
}

// Splits are the rows to train on and to predict, by split.
func (c *Config) Splits(rows int) (out [][2][]int, err error) {
	if c.Repeats < 2 || c.Train < 2 || c.Train >= rows {
		return nil, fmt.Errorf("%d splits of %d rows with %d to train on: at least 2, and rows on both sides, are needed", c.Repeats, rows, c.Train)
	}
	for k := range c.Repeats {
		order := rand.New(rand.NewPCG(c.Seed, uint64(k))).Perm(rows)
		out = append(out, [2][]int{order[:c.Train], order[c.Train:]})
	}
	return out, nil
}

// One measures a method on split k, and adds what it finds to a score.
func (c *Config) One(m Method, t *latency.Table, split [2][]int, k int, s *Score) error {
	clock := c.Clock
	if clock == nil {
		clock = func() time.Duration { return 0 }
	}
	train, test := t.Pick(split[0]), t.Pick(split[1])
	y, ok := test.Column(c.Target)
	if !ok {
		return fmt.Errorf("the table has no column %s", c.Target)
	}
	seen, _ := train.Column(c.Target)
	began := clock()
	predict, err := m.Train(train, c.Seed+uint64(k))
	if err != nil {
		return fmt.Errorf("%s, split %d: %w", m.Name, k+1, err)
	}
	trained := clock()
	got, err := predict(test)
	if err != nil {
		return fmt.Errorf("%s, split %d: %w", m.Name, k+1, err)
	}
	s.TrainTime += (trained - began) / time.Duration(c.Repeats)
	s.InferTime += (clock() - trained) / time.Duration(c.Repeats*len(y))
	unit, log, dev := 0.0, 0.0, math.Sqrt(stat.PopVariance(seen, nil))
	for i, v := range got {
		unit += math.Abs(v-y[i]) / float64(len(y))
		log += math.Abs(math.Log(v/y[i])) / float64(len(y))
	}
	if dev == 0 {
		return errors.New("the target is the same in all rows to train on")
	}
	s.MAE, s.Log, s.Unit = append(s.MAE, unit/dev), append(s.Log, log), append(s.Unit, unit)
	return nil
}

// Ratio is the geometric mean over splits of a's error over b's, with its 95 % confidence interval. Splits of one table share
// rows: the variance is corrected for that, with the share of test and training rows (Nadeau and Bengio, "Inference for the
// generalization error", 2003).
func Ratio(a, b []float64, testOverTrain float64) (ratio, low, high float64) {
	logs := make([]float64, len(a))
	for i := range a {
		logs[i] = math.Log(a[i] / b[i])
	}
	mean, dev := stat.MeanStdDev(logs, nil)
	n := float64(len(logs))
	t := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975)
	half := t * dev * math.Sqrt(1/n+testOverTrain)
	return math.Exp(mean), math.Exp(mean - half), math.Exp(mean + half)
}
