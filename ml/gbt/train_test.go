package gbt_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/ml/gbt"
)

// Where every value has its own bin, trees are those of the exact greedy method: the same gains, the same predictions.
func TestTreesAreThoseOfTheExactGreedyMethod(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		rows, features := rapid.IntRange(2, 60).Draw(t, "rows"), rapid.IntRange(1, 10).Draw(t, "features")
		d := gbt.Data{X: make([]float64, rows*features), Features: features, Y: make([]float64, rows)}
		missing := rapid.SampledFrom([]float64{0, 0.3}).Draw(t, "missing")
		for i := range d.X {
			d.X[i] = float64(rng.IntN(12)) / 3
			if rng.Float64() < missing {
				d.X[i] = math.NaN()
			}
		}
		cfg := gbt.Default()
		cfg.Loss = rapid.SampledFrom([]gbt.Loss{gbt.Squared, gbt.Logistic}).Draw(t, "loss")
		for r := range d.Y {
			d.Y[r] = rng.NormFloat64()
			if cfg.Loss == gbt.Logistic {
				d.Y[r] = rng.Float64()
			}
		}
		if rapid.Bool().Draw(t, "weighted") {
			for range rows {
				d.Weight = append(d.Weight, 0.5+rng.Float64())
			}
		}
		cfg.Trees = rapid.IntRange(1, 3).Draw(t, "trees")
		cfg.Depth = rapid.IntRange(1, 4).Draw(t, "depth")
		cfg.L2 = rapid.SampledFrom([]float64{0, 1, 3.5}).Draw(t, "l2")
		cfg.Gamma = rapid.SampledFrom([]float64{0, 0.2}).Draw(t, "gamma")
		cfg.MinChildWeight = rapid.SampledFrom([]float64{0.31, 1.07, 2.23}).Draw(t, "min child weight")
		if cfg.Loss == gbt.Squared && d.Weight == nil {
			cfg.MinChildWeight = math.Round(cfg.MinChildWeight) // rounded sums are exact then, and the limit is hit
		}

		want := exact{cfg: cfg, data: d}
		want.boost()
		m, err := gbt.Train(cfg, d, nil)
		if err != nil {
			t.Fatal(err)
		}
		gain, wantGain, splits := 0.0, 0.0, 0
		for _, f := range m.Importances() {
			gain, splits = gain+f.Gain, splits+f.Splits
		}
		for _, g := range want.gains {
			wantGain += g
		}
		if splits != len(want.gains) || math.Abs(gain-wantGain) > 1e-9*(1+wantGain) {
			t.Fatalf("%d splits gain %v, want %d that gain %v", splits, gain, len(want.gains), wantGain)
		}
		for r, w := range want.score {
			if got := m.Score(d.X[r*features : (r+1)*features]); math.Abs(got-w) > 1e-9 {
				t.Fatalf("row %d scores %v, want %v", r, got, w)
			}
		}
	})
}

// One split, worked by hand: y is 0, 0, 10, 10 and λ is 1. The mean is 5; the halves weigh ∓10/3; a rate of 1 leaves them
// at 5/3 and 25/3. The gain is 2·10²/3, since the parent's sum is 0.
func TestOneSplitWorkedByHand(t *testing.T) {
	d := gbt.Data{X: []float64{1, 2, 3, 4}, Features: 1, Y: []float64{0, 0, 10, 10}}
	cfg := gbt.Default()
	cfg.Trees, cfg.Depth, cfg.LearningRate = 1, 1, 1
	m, err := gbt.Train(cfg, d, nil)
	if err != nil {
		t.Fatal(err)
	}
	for x, want := range map[float64]float64{-9: 5 / 3., 2.49: 5 / 3., 2.5: 25 / 3., 99: 25 / 3.} {
		if got := m.Predict([]float64{x}); math.Abs(got-want) > 1e-12 {
			t.Errorf("predicts %v for %v, want %v", got, x, want)
		}
	}
	if f := m.Importances()[0]; math.Abs(f.Gain-200/3.) > 1e-9 || f.Cover != 4 || f.Splits != 1 {
		t.Errorf("importance %+v, want a gain of 66.67 over 4 rows in one split", f)
	}
}

// The class hangs on whether a value is missing, or on which side the missing ones belong.
func TestMissingValuesGoWhereTheyGain(t *testing.T) {
	nan := math.NaN()
	cfg := gbt.Default()
	cfg.Trees, cfg.Depth, cfg.LearningRate, cfg.L2 = 1, 1, 1, 0
	for _, c := range []struct {
		name    string
		x, y    []float64
		missing float64
		other   map[float64]float64
	}{
		{"with the low ones", []float64{nan, nan, 1, 2, 3, 4}, []float64{0, 0, 0, 0, 9, 9}, 0, map[float64]float64{1: 0, 4: 9}},
		{"with the high ones", []float64{nan, nan, 1, 2, 3, 4}, []float64{9, 9, 0, 0, 9, 9}, 9, map[float64]float64{1: 0, 4: 9}},
		{"against all others", []float64{nan, nan, 1, 2, 3, 4}, []float64{9, 9, 0, 0, 0, 0}, 9, map[float64]float64{1: 0, 4: 0, 1e300: 0}},
		{"none in training: with the larger part", []float64{1, 1.1, 1.2, 2, 3, 4}, []float64{0, 0, 9, 9, 9, 9}, 9, map[float64]float64{1: 0, 4: 9}},
		{"none in training: with the larger part, the left", []float64{1, 1.1, 1.2, 2, 3, 4}, []float64{0, 0, 0, 0, 9, 9}, 0, map[float64]float64{1: 0, 4: 9}},
	} {
		m, err := gbt.Train(cfg, gbt.Data{X: c.x, Features: 1, Y: c.y}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.other[nan] = c.missing
		for x, want := range c.other {
			if got := m.Predict([]float64{x}); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: predicts %v for %v, want %v", c.name, got, x, want)
			}
		}
	}
}

// A constrained model never falls where it may not, whatever the noise; and it still follows the data.
func TestConstraintsHoldEverywhere(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 0))
	const rows = 600
	d := gbt.Data{X: make([]float64, rows*3), Features: 3, Y: make([]float64, rows)}
	for r := range d.Y {
		x := d.X[r*3 : r*3+3]
		for f := range x {
			x[f] = rng.Float64()
			if rng.IntN(20) == 0 {
				x[f] = math.NaN()
			}
		}
		d.Y[r] = 3*x[0] - 2*x[1] + math.Sin(9*x[2]) + 2*rng.NormFloat64()
		if math.IsNaN(d.Y[r]) {
			d.Y[r] = rng.NormFloat64()
		}
	}
	for _, loss := range []gbt.Loss{gbt.Squared, gbt.Logistic, gbt.Quantile} {
		cfg := gbt.Default()
		cfg.Loss, cfg.Quantile, cfg.Monotone, cfg.RowSample, cfg.Seed = loss, 0.8, []int8{1, -1, 0}, 0.8, 3
		y := slices.Clone(d.Y)
		if loss == gbt.Logistic {
			for r := range y {
				y[r] = 0
				if d.Y[r] > 1 {
					y[r] = 1
				}
			}
		}
		m, err := gbt.Train(cfg, gbt.Data{X: d.X, Features: 3, Y: y}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for range 2000 {
			x := []float64{rng.Float64(), rng.Float64(), rng.Float64()}
			f, sign := 0, 1.0
			if rng.IntN(2) == 0 {
				f, sign = 1, -1
			}
			low := m.Score(x)
			x[f] += rng.Float64()
			if high := m.Score(x); sign*high < sign*low-1e-12 {
				t.Fatalf("%s: feature %d up, score from %v to %v", loss, f, low, high)
			}
		}
		if low, high := m.Score([]float64{0.05, 0.95, 0.5}), m.Score([]float64{0.95, 0.05, 0.5}); high < low+0.5 {
			t.Errorf("%s: from %v to %v over the whole range: nothing learnt", loss, low, high)
		}
	}
}

// Of data that were not seen, the share τ lies below the τ-quantile: noise has a scale of its own for each row.
func TestQuantilesCoverWhatTheySay(t *testing.T) {
	draw := func(rows int, seed uint64) gbt.Data {
		rng := rand.New(rand.NewPCG(seed, 0))
		d := gbt.Data{X: make([]float64, rows*2), Features: 2, Y: make([]float64, rows)}
		for r := range d.Y {
			a, b := rng.Float64(), rng.Float64()
			d.X[2*r], d.X[2*r+1] = a, b
			d.Y[r] = 10*a + (0.5+3*b)*rng.NormFloat64()
		}
		return d
	}
	train, test := draw(8000, 1), draw(8000, 2)
	trainer, err := gbt.NewTrainer(train.X, 2, gbt.MaxBins)
	if err != nil {
		t.Fatal(err)
	}
	for tau, z := range map[float64]float64{0.05: -1.645, 0.5: 0, 0.95: 1.645} {
		cfg := gbt.Default()
		cfg.Loss, cfg.Quantile, cfg.Depth, cfg.MinChildWeight = gbt.Quantile, tau, 4, 40
		m, err := trainer.Train(cfg, train.Y, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		below, off := 0, 0.0
		for r, y := range test.Y {
			q := m.Predict(test.X[2*r : 2*r+2])
			if y <= q {
				below++
			}
			off += math.Abs(q - 10*test.X[2*r] - (0.5+3*test.X[2*r+1])*z)
		}
		if got := float64(below) / float64(len(test.Y)); math.Abs(got-tau) > 0.02 {
			t.Errorf("%.3f of unseen rows lie below the %v-quantile", got, tau)
		}
		if off /= float64(len(test.Y)); off > 0.6 {
			t.Errorf("the %v-quantile is off by %.2f on average", tau, off)
		}
	}
}
