package learner

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// tried is a quick candidate of each kind.
var tried = map[Kind]Candidate{
	Ridge:   first(Ridge),
	Process: first(Process),
	Scaled:  first(Scaled),
	Network: {Kind: Network, LogInputs: true, LogTarget: true, Layers: 1, Width: 16, Rate: 0.01, Rounds: 100, Penalty: 0.01},
	Trees:   {Kind: Trees, Rounds: 100, Depth: 3, Rate: 0.1, Share: 0.8, Penalty: 1},
}

// latencies are n rows of d inputs from 1 to 10, of which two matter: y grows with the first, and falls with the second.
func latencies(n, d int, noise float64, seed uint64) Data {
	r := rand.New(rand.NewPCG(seed, 1))
	out := Data{Inputs: d}
	for range n {
		row := make([]float64, d)
		for f := range row {
			row[f] = 1 + 9*r.Float64()
		}
		out.X = append(out.X, row...)
		y := 5 * row[0] * math.Exp(noise*r.NormFloat64())
		if d > 1 {
			y /= row[1]
		}
		out.Y = append(out.Y, y)
	}
	return out
}

func missed(m *Model, d *Data) (sum float64) {
	p := NewPredictor(m)
	for i, y := range d.Y {
		sum += math.Abs(math.Log(p.Value(d.Row(i))/y)) / float64(len(d.Y))
	}
	return sum
}

// On rows that none was trained on, each kind is off by less than a third of what the median is.
func TestEachKindLearns(t *testing.T) {
	train, test := latencies(80, 4, 0.05, 1), latencies(200, 4, 0.05, 2)
	middle, _, err := Search(Config{Kinds: []Kind{Ridge}, Evaluations: 1, Folds: 5}, Data{Y: train.Y})
	if err != nil {
		t.Fatal(err)
	}
	none := Data{Y: test.Y}
	for k, c := range tried {
		m, err := one(c, train)
		if err != nil {
			t.Errorf("%s: %v", k, err)
			continue
		}
		if got, most := missed(m, &test), missed(middle, &none)/3; got > most {
			t.Errorf("%s is off by %.3f, should be below %.3f", k, got, most)
		}
	}
}

// one trains a single candidate as Search would.
func one(c Candidate, d Data) (*Model, error) {
	s := search{d: &d, folds: folds(d.Rows(), 5, 1), best: math.Inf(1)}
	if err := s.try(c); err != nil {
		return nil, err
	}
	m, err := train(c, &d, 1)
	if err == nil {
		m.calibrate(s.z)
	}
	return m, err
}

// Two in three truths lie within a factor of e^±Spread, whatever learned it.
func TestSpreadsHold(t *testing.T) {
	train, test := latencies(120, 3, 0.3, 3), latencies(400, 3, 0.3, 4)
	for k, c := range tried {
		m, err := one(c, train)
		if err != nil {
			t.Fatal(k, err)
		}
		p, within := NewPredictor(m), 0.0
		for i, y := range test.Y {
			e := p.Predict(test.Row(i))
			if math.Abs(math.Log(y/e.Value)) < e.Spread {
				within += 1 / float64(len(test.Y))
			}
			if v := p.Value(test.Row(i)); math.Abs(v-e.Value) > 1e-9*v {
				t.Fatalf("%s: Value is %v and Predict %v", k, v, e.Value)
			}
		}
		if within < 0.5 || within > 0.85 {
			t.Errorf("%s: %.2f of truths are within the spread", k, within)
		}
	}
}

// What can't be inverted, or holds nothing to learn, ends in a model all the same.
func TestSingularDataSurvive(t *testing.T) {
	same := Data{Inputs: 3}
	for i := range 30 {
		same.X, same.Y = append(same.X, 1, 1, 0), append(same.Y, float64(i%2+1))
	}
	twins := latencies(30, 1, 0, 5)
	doubled := Data{Inputs: 2, Y: twins.Y}
	for _, v := range twins.X {
		doubled.X = append(doubled.X, v, v)
	}
	twice := latencies(20, 2, 0, 6)
	twice.X, twice.Y = append(twice.X, twice.X...), append(twice.Y, twice.Y...)
	constant := latencies(20, 2, 0, 7)
	for i := range constant.Y {
		constant.Y[i] = 3
	}
	zeros := latencies(20, 2, 0, 8)
	for i := range zeros.Y[:18] {
		zeros.Y[i] = 0
	}
	for name, d := range map[string]Data{"inputs that are all the same": same, "an input twice": doubled, "rows twice": twice, "a constant target": constant, "a target that is 0 as a rule": zeros, "one row": latencies(1, 2, 0, 9), "two rows": latencies(2, 5, 0, 9)} {
		for k := range kinds {
			m, _, err := Search(Config{Kinds: []Kind{k}, Evaluations: 2, Folds: 3}, d)
			if err != nil {
				t.Errorf("%s, %s: %v", name, k, err)
				continue
			}
			if e := NewPredictor(m).Predict(d.Row(0)); !(e.Value > 0) || math.IsInf(e.Value, 0) || !(e.Spread >= 0) {
				t.Errorf("%s, %s: %+v", name, k, e)
			}
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	good := latencies(10, 2, 0, 1)
	for name, d := range map[string]Data{
		"no rows":           {Inputs: 1},
		"another shape":     {Inputs: 3, X: good.X, Y: good.Y},
		"a negative target": {Inputs: 0, Y: []float64{1, -1}},
		"no number":         {Inputs: 1, X: []float64{1, math.NaN()}, Y: []float64{1, 1}},
		"nothing but 0":     {Inputs: 1, X: []float64{1, 2}, Y: []float64{0, 0}},
	} {
		if _, _, err := Search(Default(), d); err == nil {
			t.Errorf("%s is learned from", name)
		}
	}
	if _, _, err := Search(Config{Kinds: []Kind{kinds}}, good); err == nil {
		t.Error("a search without folds, evaluations or a kind that there is")
	}
}

// The budget of evaluations and the caller's Stop both end a search, and the same seed finds the same.
func TestSearchKeepsToItsBudget(t *testing.T) {
	d := latencies(40, 3, 0.1, 1)
	asked := 0
	c := Config{Kinds: []Kind{Ridge, Process}, Evaluations: 9, Folds: 4, Seed: 5}
	a, ra, err := Search(c, d)
	if err != nil || ra.Tried != 9 || ra.Stopped || len(ra.Held) != 40 {
		t.Fatal(err, ra)
	}
	b, rb, err := Search(c, d)
	if err != nil || a.Candidate() != b.Candidate() || !slices.Equal(ra.Held, rb.Held) {
		t.Error("the same search finds something else:", err, a.Candidate(), b.Candidate())
	}
	c.Stop = func() bool { asked++; return asked > 2 }
	if _, r, err := Search(c, d); err != nil || r.Tried != 3 || !r.Stopped {
		t.Error(err, r)
	}
}

// Out-of-fold predictions come from models that did not see the row: where targets are pure chance, they are no better than
// the middle.
func TestHeldPredictionsDidNotSeeTheRow(t *testing.T) {
	d := latencies(60, 3, 0, 2)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range d.Y {
		d.Y[i] = math.Exp(r.NormFloat64())
	}
	_, report, err := Search(Config{Kinds: []Kind{Trees, Scaled}, Evaluations: 2, Folds: 5}, d)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for i, h := range report.Held {
		sum += h * (d.Y[i] - 1) / 60
	}
	if sum > 1.5 {
		t.Errorf("held predictions follow chance: %v", sum)
	}
}

// The closed form is where the gradient of what it minimises is 0, with more rows than inputs and with fewer.
func TestRidgeIsTheMinimum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := latencies(rapid.IntRange(2, 20).Draw(t, "rows"), rapid.IntRange(1, 20).Draw(t, "inputs"), 0.5, rapid.Uint64().Draw(t, "seed"))
		s := fitScales(&d, true, true)
		z := s.table(&d)
		penalty := math.Exp(rapid.Float64Range(-5, 3).Draw(t, "log penalty"))
		l, err := fitRidge(&z, penalty)
		if err != nil {
			t.Fatal(err)
		}
		for f := range l.w {
			grad := penalty * l.w[f]
			for i, y := range z.Y {
				grad -= (y - l.mean(z.Row(i))) * z.Row(i)[f] / float64(z.Rows())
			}
			// Inputs have mean 0, so the intercept is the mean of the targets.
			if math.Abs(grad) > 1e-8 {
				t.Fatalf("gradient of weight %d is %v", f, grad)
			}
		}
	})
}

// A model that is read again predicts the same; one that is damaged is refused.
func TestSavedModelsPredictTheSame(t *testing.T) {
	d := latencies(30, 3, 0.1, 1)
	for k, c := range tried {
		m, err := one(c, d)
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			t.Fatal(k, err)
		}
		read := &Model{}
		if err := read.UnmarshalBinary(b); err != nil {
			t.Fatal(k, err)
		}
		x, y := NewPredictor(m).Predict(d.Row(3)), NewPredictor(read).Predict(d.Row(3))
		if math.Abs(x.Value-y.Value) > 1e-9*x.Value || math.Abs(x.Spread-y.Spread) > 1e-9 {
			t.Errorf("%s: %+v was %+v", k, y, x)
		}
		if err := read.UnmarshalBinary(b[:len(b)/2]); err == nil {
			t.Errorf("%s: half of a model is read", k)
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	d := latencies(8, 2, 0.1, 1)
	for _, k := range []Kind{Ridge, Process, Trees, Network} {
		c := tried[k]
		c.Rounds, c.Width = min(c.Rounds, 3), min(c.Width, 2)
		m, err := train(c, &d, 1)
		if err != nil {
			f.Fatal(err)
		}
		b, err := m.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Model{}
		if m.UnmarshalBinary(b) == nil {
			NewPredictor(m).Predict(make([]float64, m.Inputs()))
		}
	})
}

// BenchmarkSearch is what a learning assignment costs: 84 rows of 12 inputs, six candidates, five folds.
func BenchmarkSearch(b *testing.B) {
	d := latencies(84, 12, 0.1, 1)
	for b.Loop() {
		if _, _, err := Search(Config{Kinds: []Kind{Scaled}, Evaluations: 6, Folds: 5}, d); err != nil {
			b.Fatal(err)
		}
	}
}
