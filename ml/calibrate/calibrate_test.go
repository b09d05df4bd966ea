package calibrate_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/ml/calibrate"
)

// draw makes scores, and classes that are 1 with the probability that p says.
func draw(n int, seed uint64, p func(score float64) float64) (score, y []float64) {
	rng := rand.New(rand.NewPCG(seed, 0))
	for range n {
		s, c := 3*rng.NormFloat64(), 0.0
		if rng.Float64() < p(s) {
			c = 1
		}
		score, y = append(score, s), append(y, c)
	}
	return score, y
}

func logistic(f float64) float64 { return 1 / (1 + math.Exp(-f)) }

// Scores are log odds three times too steep: both methods find the truth, and what they say then happens as often.
func TestProbabilitiesComeTrue(t *testing.T) {
	truth := func(s float64) float64 { return logistic(s/3 - 0.5) }
	score, y := draw(20_000, 1, truth)
	sigmoid, err := calibrate.FitSigmoid(score, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(sigmoid.Slope-1./3) > 0.02 || math.Abs(sigmoid.Offset+0.5) > 0.05 {
		t.Errorf("sigmoid %+v, want 1/3 and -0.5", sigmoid)
	}
	steps, err := calibrate.FitSteps(score, y, nil)
	if err != nil {
		t.Fatal(err)
	}
	score, y = draw(20_000, 2, truth)
	all := func(p func(float64) float64) (q []float64) {
		for _, s := range score {
			q = append(q, p(s))
		}
		return q
	}
	raw := calibrate.Error(all(logistic), y, 10)
	if raw < 0.1 {
		t.Fatalf("raw scores have an error of %.3f: nothing to calibrate", raw)
	}
	best := calibrate.Brier(all(truth), y)
	for name, p := range map[string]func(float64) float64{"sigmoid": sigmoid.Probability, "steps": steps.Probability} {
		if e := calibrate.Error(all(p), y, 10); e > 0.015 {
			t.Errorf("%s: calibration error %.3f, raw %.3f", name, e, raw)
		}
		if b := calibrate.Brier(all(p), y); b > best+0.002 {
			t.Errorf("%s: Brier %.4f, of the truth %.4f", name, b, best)
		}
	}
}

// The truth is no sigmoid: only steps follow it.
func TestStepsFollowAnyOrder(t *testing.T) {
	truth := func(s float64) float64 {
		if s < 0 {
			return 0.1
		}
		return 0.6
	}
	score, y := draw(20_000, 3, truth)
	steps, _ := calibrate.FitSteps(score, y, nil)
	for _, s := range []float64{-4, -1, 1, 4} {
		if got := steps.Probability(s); math.Abs(got-truth(s)) > 0.04 {
			t.Errorf("%.3f at %v, want %v", got, s, truth(s))
		}
	}
}

// Steps are the best non-falling fit. The oracle is the min-max formula: max over a ≤ i of min over b ≥ i of the mean of
// rows a..b.
func TestStepsAreTheNearest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "rows")
		score, y, weight := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range n {
			score[i], y[i] = float64(i), float64(rapid.IntRange(0, 1).Draw(t, "class"))
			weight[i] = float64(rapid.IntRange(1, 4).Draw(t, "weight"))
		}
		shuffled := rapid.Permutation(score).Draw(t, "order")
		ys, ws := make([]float64, n), make([]float64, n)
		for i, s := range shuffled {
			ys[i], ws[i] = y[int(s)], weight[int(s)]
		}
		steps, err := calibrate.FitSteps(shuffled, ys, ws)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			want := math.Inf(-1)
			for a := range i + 1 {
				least := math.Inf(1)
				for b := i; b < n; b++ {
					sum, total := 0.0, 0.0
					for k := a; k <= b; k++ {
						sum, total = sum+weight[k]*y[k], total+weight[k]
					}
					least = min(least, sum/total)
				}
				want = max(want, least)
			}
			if got := steps.Probability(float64(i)); math.Abs(got-want) > 1e-12 {
				t.Fatalf("row %d: %v, want %v", i, got, want)
			}
		}
	})
}

func TestScoresWorkedByHand(t *testing.T) {
	p, y := []float64{0.1, 0.3, 0.8, 1}, []float64{0, 1, 1, 1}
	if got, want := calibrate.Brier(p, y), (0.01+0.49+0.04+0)/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("Brier %v, want %v", got, want)
	}
	// Two bins: (0.1+0.3) against 1, and (0.8+1) against 2.
	if got, want := calibrate.Error(p, y, 2), (0.6+0.2)/4; math.Abs(got-want) > 1e-15 {
		t.Errorf("calibration error %v, want %v", got, want)
	}
}

// Scores that part the classes, one class alone, one score for all, and scores far from 0 keep everything finite.
func TestOddScoresAreCalibrated(t *testing.T) {
	for name, c := range map[string]struct{ score, y []float64 }{
		"parted":    {[]float64{1, 2, 3, 4}, []float64{0, 0, 1, 1}},
		"one class": {[]float64{1, 2, 3, 4}, []float64{0, 0, 0, 0}},
		"one score": {[]float64{2, 2, 2, 2}, []float64{0, 0, 0, 1}},
		"one row":   {[]float64{1}, []float64{1}},
		"large":     {[]float64{1e90, 2e90, 3e90, 4e90}, []float64{0, 1, 0, 1}},
		"far":       {[]float64{1e6 + 1, 1e6 + 2, 1e6 + 3}, []float64{0, 1, 1}},
	} {
		sigmoid, err := calibrate.FitSigmoid(c.score, c.y, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		steps, err := calibrate.FitSteps(c.score, c.y, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, s := range c.score {
			if p := sigmoid.Probability(s); !(p > 0 && p < 1) {
				t.Errorf("%s: sigmoid says %v", name, p)
			}
			if p := steps.Probability(s); !(p >= 0 && p <= 1) {
				t.Errorf("%s: steps say %v", name, p)
			}
		}
	}
}

func TestBadInputIsNamed(t *testing.T) {
	for want, c := range map[string]struct{ score, y, weight []float64 }{
		"no rows":                {},
		"2 scores for 1 rows":    {[]float64{1, 2}, []float64{1}, nil},
		"score of row 0 is NaN":  {[]float64{math.NaN()}, []float64{1}, nil},
		"class of row 0 is 0.5":  {[]float64{1}, []float64{0.5}, nil},
		"weight of row 0 is 0":   {[]float64{1}, []float64{1}, []float64{0}},
		"1 rows with 2 weights":  {[]float64{1}, []float64{1}, []float64{1, 1}},
		"score of row 1 is +Inf": {[]float64{1, math.Inf(1)}, []float64{1, 1}, nil},
	} {
		_, err := calibrate.FitSigmoid(c.score, c.y, c.weight)
		_, again := calibrate.FitSteps(c.score, c.y, c.weight)
		if err == nil || again == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want errors with %q, got %v and %v", want, err, again)
		}
	}
}

func FuzzUnmarshalBinary(f *testing.F) {
	score, y := draw(30, 1, logistic)
	steps, _ := calibrate.FitSteps(score, y, nil)
	file, _ := steps.MarshalBinary()
	f.Add(file)
	f.Fuzz(func(t *testing.T, data []byte) {
		var s calibrate.Steps
		if s.UnmarshalBinary(data) != nil {
			return
		}
		last := 0.0
		for _, at := range []float64{math.Inf(-1), -1, 0, 0.3, 2, math.Inf(1)} {
			p := s.Probability(at)
			if !(p >= last && p <= 1) {
				t.Fatalf("%v at %v, %v before", p, at, last)
			}
			last = p
		}
		if again, _ := s.MarshalBinary(); !slices.Equal(again, data) {
			t.Fatal("written otherwise than read")
		}
	})
}

func TestProbabilityAllocatesNothing(t *testing.T) {
	score, y := draw(3000, 1, logistic)
	steps, _ := calibrate.FitSteps(score, y, nil)
	if n := testing.AllocsPerRun(100, func() { steps.Probability(0.5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
