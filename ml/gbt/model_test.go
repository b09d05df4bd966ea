package gbt_test

import (
	"bytes"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"foresail.dev/ml"
	"foresail.dev/ml/gbt"
)

func train(t testing.TB, cfg gbt.Config, d gbt.Data, valid *gbt.Data) *gbt.Model {
	t.Helper()
	m, err := gbt.Train(cfg, d, valid)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// small is a model of ten trees over five features, with missing values, and rows to try it with.
func small(t testing.TB, seed uint64) (*gbt.Model, gbt.Data) {
	d := clicks(400, 5, seed)
	rng := rand.New(rand.NewPCG(seed, 7))
	for i := range d.X {
		if rng.IntN(10) == 0 {
			d.X[i] = math.NaN()
		}
	}
	cfg := gbt.Default()
	cfg.Loss, cfg.Trees, cfg.Depth = gbt.Logistic, 10, 5
	return train(t, cfg, d, nil), d
}

func TestTheSameSeedGivesTheSameModel(t *testing.T) {
	d := clicks(2000, 20, 1)
	cfg := gbt.Default()
	cfg.Loss, cfg.RowSample, cfg.ColumnSample, cfg.Trees, cfg.Seed = gbt.Logistic, 0.6, 0.5, 20, 4
	file := func() []byte {
		b, _ := train(t, cfg, d, nil).MarshalBinary()
		return b
	}
	first, again := file(), file()
	cfg.Seed++
	if !bytes.Equal(first, again) {
		t.Error("two models of the same seed differ")
	}
	if bytes.Equal(first, file()) {
		t.Error("two seeds give the same model, though each tree sees a sample")
	}
}

// Grown best first with as many leaves as a full tree has, a tree is the one grown by depth; with fewer it has as many.
func TestLeavesBoundATree(t *testing.T) {
	d := clicks(3000, 10, 1)
	cfg := gbt.Default()
	cfg.Trees, cfg.Depth = 5, 4
	deep := train(t, cfg, d, nil)
	cfg.Leaves = 16
	best := train(t, cfg, d, nil)
	for r := range d.Y {
		x := d.X[r*10 : r*10+10]
		if a, b := deep.Predict(x), best.Predict(x); math.Abs(a-b) > 1e-12 {
			t.Fatalf("row %d: %v by depth, %v best first", r, a, b)
		}
	}
	cfg.Leaves, cfg.Depth = 7, 0
	splits := 0
	for _, f := range train(t, cfg, d, nil).Importances() {
		splits += f.Splits
	}
	if splits != 5*6 {
		t.Errorf("five trees of 7 leaves have %d splits, want 30", splits)
	}
}

// Labels are noise, so that every tree makes the loss on other data higher: none is kept. With something to learn, some
// are, and fewer than are allowed.
func TestTrainingStopsWhenValidationSaysSo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	noise := func() gbt.Data {
		d := gbt.Data{Features: 3}
		for range 500 {
			d.X = append(d.X, rng.Float64(), rng.Float64(), rng.Float64())
			d.Y = append(d.Y, rng.NormFloat64())
		}
		return d
	}
	cfg := gbt.Default()
	cfg.Patience = 5
	valid := noise()
	if m := train(t, cfg, noise(), &valid); m.Trees() > 3 {
		t.Errorf("%d trees for noise", m.Trees())
	}
	cfg.Loss, cfg.LearningRate, cfg.Trees = gbt.Logistic, 0.3, 300
	valid = clicks(2000, 10, 8)
	m := train(t, cfg, clicks(2000, 10, 7), &valid)
	if m.Trees() < 5 || m.Trees() > 200 {
		t.Errorf("%d trees, want more than some and fewer than 200", m.Trees())
	}
	cfg.Patience = 0
	all := train(t, cfg, clicks(2000, 10, 7), nil)
	if a, b := loss(m, valid), loss(all, valid); a >= b {
		t.Errorf("stopped early: a loss of %v; with all trees %v", a, b)
	}
}

func loss(m *gbt.Model, d gbt.Data) float64 {
	p := make([]float64, len(d.Y))
	m.PredictAll(p, d.X)
	return ml.LogLoss(labels(d.Y), p)
}

// A row of weight 3 is as good as three rows; a row of weight 0 is as good as none.
func TestWeightsCountRows(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	for _, loss := range []gbt.Loss{gbt.Squared, gbt.Logistic, gbt.Quantile} {
		var weighted, copied gbt.Data
		weighted.Features, copied.Features = 2, 2
		for range 200 {
			x, y, w := []float64{math.Floor(8 * rng.Float64()), math.Floor(8 * rng.Float64())}, rng.Float64(), rng.IntN(4)
			weighted.X, weighted.Y, weighted.Weight = append(weighted.X, x...), append(weighted.Y, y), append(weighted.Weight, float64(w))
			for range w {
				copied.X, copied.Y = append(copied.X, x...), append(copied.Y, y)
			}
		}
		cfg := gbt.Default()
		cfg.Loss, cfg.Quantile, cfg.Trees, cfg.Depth = loss, 0.7, 10, 3
		a, b := train(t, cfg, weighted, nil), train(t, cfg, copied, nil)
		for r := range copied.Y {
			x := copied.X[2*r : 2*r+2]
			if math.Abs(a.Predict(x)-b.Predict(x)) > 1e-9 {
				t.Fatalf("%s: %v by weight, %v by copies", loss, a.Predict(x), b.Predict(x))
			}
		}
	}
}

// Where one row's gradient dwarfs all others, small ones still count.
func TestAnOutlierHidesNothing(t *testing.T) {
	d := gbt.Data{Features: 2}
	for i := range 400 {
		d.X = append(d.X, float64(i), float64(i%2))
		d.Y = append(d.Y, float64(i%2))
	}
	d.Y[200] = 1e7
	cfg := gbt.Default()
	cfg.Trees, cfg.LearningRate, cfg.L2, cfg.Depth = 60, 0.5, 0, 5
	m := train(t, cfg, d, nil)
	if a, b := m.Predict([]float64{50, 0}), m.Predict([]float64{50, 1}); math.Abs(a) > 0.2 || math.Abs(b-1) > 0.2 {
		t.Errorf("predicts %v and %v, want 0 and 1", a, b)
	}
}

// The contributions are the Shapley values: the oracle averages over all subsets of the features.
func TestContributionsAreShapleyValues(t *testing.T) {
	m, d := small(t, 3)
	tree := parse(t, m)
	for r := range 20 {
		x := d.X[r*5 : r*5+5]
		got, sum := m.Contributions(x), 0.0
		for f := range 5 {
			want := 0.0
			for set := range 1 << 5 {
				if set>>f&1 == 0 {
					n := bits.OnesCount(uint(set))
					weight := factorial(n) * factorial(4-n) / factorial(5)
					want += weight * (tree.expect(x, set|1<<f) - tree.expect(x, set))
				}
			}
			if math.Abs(got[f]-want) > 1e-9 {
				t.Fatalf("row %d: feature %d contributes %v, want %v", r, f, got[f], want)
			}
		}
		for _, v := range got {
			sum += v
		}
		if score := m.Score(x); math.Abs(sum-score) > 1e-9 {
			t.Fatalf("row %d: contributions sum to %v, the score is %v", r, sum, score)
		}
	}
}

func factorial(n int) float64 {
	f := 1.0
	for i := 2; i <= n; i++ {
		f *= float64(i)
	}
	return f
}

func TestAModelIsReadAsItWasWritten(t *testing.T) {
	m, d := small(t, 1)
	file, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var read gbt.Model
	if err := read.UnmarshalBinary(file); err != nil {
		t.Fatal(err)
	}
	for r := range d.Y {
		x := d.X[r*5 : r*5+5]
		if m.Predict(x) != read.Predict(x) {
			t.Fatalf("row %d: %v as trained, %v as read", r, m.Predict(x), read.Predict(x))
		}
	}
	if !slices.Equal(m.Importances(), read.Importances()) || !slices.Equal(m.Contributions(d.X[:5]), read.Contributions(d.X[:5])) {
		t.Error("importances or contributions differ")
	}
	for n := range file {
		if read.UnmarshalBinary(file[:n]) == nil {
			t.Fatalf("the first %d bytes of %d were read without error", n, len(file))
		}
	}
	if read.UnmarshalBinary(append(file, 0)) == nil {
		t.Error("a byte too many was read without error")
	}
	if read.Trees() != m.Trees() {
		t.Error("a failed read changed the model")
	}
}

// What is damaged is refused, or else a model of which every row can be predicted, explained and written again.
func FuzzUnmarshalBinary(f *testing.F) {
	m, _ := small(f, 1)
	file, _ := m.MarshalBinary()
	f.Add(file)
	cfg := gbt.Default()
	cfg.Trees, cfg.Depth = 1, 1
	stump, _ := train(f, cfg, gbt.Data{X: []float64{1, 2, 3, 4}, Features: 1, Y: []float64{0, 0, 10, 10}}, nil).MarshalBinary()
	f.Add(stump)
	f.Add(stump[:28])
	f.Add([]byte(strings.Repeat("fgbt", 20)))
	f.Fuzz(func(t *testing.T, data []byte) {
		var m gbt.Model
		if m.UnmarshalBinary(data) != nil || m.Features() > 1000 {
			return
		}
		row := make([]float64, m.Features())
		m.Predict(row)
		m.Contributions(row)
		row[0] = math.NaN()
		m.Predict(row)
		again, err := m.MarshalBinary()
		if err != nil || len(again) != len(data) {
			t.Fatalf("read %d bytes, wrote %d: %v", len(data), len(again), err)
		}
	})
}

func TestBadInputIsNamed(t *testing.T) {
	good := func() (gbt.Config, gbt.Data) {
		return gbt.Default(), gbt.Data{X: []float64{1, 2, 3, 4}, Features: 2, Y: []float64{0, 1}}
	}
	for _, c := range []struct {
		want  string
		spoil func(*gbt.Config, *gbt.Data)
	}{
		{"learning rate is 0", func(c *gbt.Config, _ *gbt.Data) { c.LearningRate = 0 }},
		{"trees is -1", func(c *gbt.Config, _ *gbt.Data) { c.Trees = -1 }},
		{"quantile is 1", func(c *gbt.Config, _ *gbt.Data) { c.Loss, c.Quantile = gbt.Quantile, 1 }},
		{"neither depth nor leaves", func(c *gbt.Config, _ *gbt.Data) { c.Depth = 0 }},
		{"l2 is NaN", func(c *gbt.Config, _ *gbt.Data) { c.L2 = math.NaN() }},
		{"monotone has 1 entries for 2 features", func(c *gbt.Config, _ *gbt.Data) { c.Monotone = []int8{1} }},
		{"monotone of feature 1 is 2", func(c *gbt.Config, _ *gbt.Data) { c.Monotone = []int8{0, 2} }},
		{"unknown loss 9", func(c *gbt.Config, _ *gbt.Data) { c.Loss = 9 }},
		{"patience needs validation data", func(c *gbt.Config, _ *gbt.Data) { c.Patience = 3 }},
		{"Y of row 1 is NaN", func(_ *gbt.Config, d *gbt.Data) { d.Y[1] = math.NaN() }},
		{"Y of row 1 is 3: the logistic", func(c *gbt.Config, d *gbt.Data) { c.Loss, d.Y[1] = gbt.Logistic, 3 }},
		{"feature 1 of row 0 is +Inf", func(_ *gbt.Config, d *gbt.Data) { d.X[1] = math.Inf(1) }},
		{"3 rows of 2 features need 6", func(_ *gbt.Config, d *gbt.Data) { d.Y = append(d.Y, 1) }},
		{"data has no rows", func(_ *gbt.Config, d *gbt.Data) { d.X, d.Y = nil, nil }},
		{"weight of row 0 is -1", func(_ *gbt.Config, d *gbt.Data) { d.Weight = []float64{-1, 1} }},
		{"all weights are 0", func(_ *gbt.Config, d *gbt.Data) { d.Weight = []float64{0, 0} }},
		{"1 weights for 2 rows", func(_ *gbt.Config, d *gbt.Data) { d.Weight = []float64{1} }},
	} {
		cfg, d := good()
		c.spoil(&cfg, &d)
		if _, err := gbt.Train(cfg, d, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("want an error with %q, got %v", c.want, err)
		}
	}
	cfg, d := good()
	cfg.Trees, cfg.L2 = 0, -1
	if _, err := gbt.Train(cfg, d, nil); err == nil || !strings.Contains(err.Error(), "trees is 0") || !strings.Contains(err.Error(), "l2 is -1") {
		t.Errorf("want both faults, got %v", err)
	}
}

// Constant targets, one row, all of a feature missing, and values at the ends of the range.
func TestOddDataIsLearntWithoutFuss(t *testing.T) {
	nan := math.NaN()
	for _, loss := range []gbt.Loss{gbt.Squared, gbt.Logistic, gbt.Quantile} {
		cfg := gbt.Default()
		cfg.Loss = loss
		for name, c := range map[string]struct {
			d    gbt.Data
			want float64
		}{
			"one row":  {gbt.Data{X: []float64{1}, Features: 1, Y: []float64{1}}, 1},
			"constant": {gbt.Data{X: []float64{1, 2, 3, 4}, Features: 1, Y: []float64{1, 1, 1, 1}}, 1},
			"missing":  {gbt.Data{X: []float64{nan, nan}, Features: 1, Y: []float64{1, 1}}, 1},
			"extreme":  {gbt.Data{X: []float64{math.MaxFloat64, -math.MaxFloat64, math.SmallestNonzeroFloat64, 0}, Features: 1, Y: []float64{1, 1, 1, 1}}, 1},
		} {
			m := train(t, cfg, c.d, nil)
			if got := m.Predict([]float64{1}); math.Abs(got-c.want) > 1e-5 {
				t.Errorf("%s, %s: predicts %v", loss, name, got)
			}
		}
	}
}

func TestPredictionAllocatesNothing(t *testing.T) {
	m, d := small(t, 2)
	dst := make([]float64, len(d.Y))
	if n := testing.AllocsPerRun(10, func() { m.PredictAll(dst, d.X) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
