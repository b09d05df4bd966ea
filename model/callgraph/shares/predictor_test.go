package shares_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/model/callgraph/shares"
	"foresail.dev/model/callgraph/shares/neural"
)

func form(t testing.TB, service int) *foresail.Form {
	t.Helper()
	f, err := foresail.NewForm(0, []foresail.Visit{{Service: 0, Operation: "get", Parent: -1, Times: 1}, {Service: foresail.ServiceID(service), Operation: "read", Times: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func minute(t testing.TB, counts ...float64) (stats []foresail.ShapeStats) {
	for i, n := range counts {
		stats = append(stats, foresail.ShapeStats{Form: form(t, i+1), Requests: n})
	}
	return stats
}

// turns are counts of two mixes that take turns.
func turns(t testing.TB, k int) []foresail.ShapeStats {
	if k%2 == 0 {
		return minute(t, 80, 15, 5)
	}
	return minute(t, 20, 30, 50)
}

func predictor(t testing.TB, c shares.Config) *shares.Predictor {
	t.Helper()
	p, err := shares.NewPredictor(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func observe(t testing.TB, p *shares.Predictor, stats []foresail.ShapeStats) {
	t.Helper()
	if err := p.Observe(stats); err != nil {
		t.Fatal(err)
	}
}

func predict(t testing.TB, p *shares.Predictor, ahead int) shares.Prediction {
	t.Helper()
	out, err := p.Predict(ahead)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func ExamplePredictor() {
	search, _ := foresail.NewForm(0, []foresail.Visit{{Service: 0, Operation: "/", Parent: -1, Times: 1}, {Service: 1, Operation: "search", Times: 1}})
	order, _ := foresail.NewForm(0, []foresail.Visit{{Service: 0, Operation: "/", Parent: -1, Times: 1}, {Service: 2, Operation: "order", Times: 1}})
	p, _ := shares.NewPredictor(shares.Config{})
	for minute := range 120 { // two minutes of searching, then two of ordering
		n := 900.0
		if minute/2%2 == 1 {
			n = 300
		}
		_ = p.Observe([]foresail.ShapeStats{{Form: search, Requests: n}, {Form: order, Requests: 1200 - n}})
	}
	next, _ := p.Predict(1)
	for i, f := range next.Forms {
		fmt.Printf("%s: %.2f\n", f.Key(), next.Shares[i])
	}
	fmt.Println(next.Method)
	// Output:
	// 0:0."/"(1."search"): 0.75
	// 0:0."/"(2."order"): 0.25
	// regimes
}

func TestWithLittleDataItIsTheLastValueAndLaterTheBest(t *testing.T) {
	p := predictor(t, shares.Config{})
	if _, err := p.Predict(1); !errors.Is(err, shares.ErrUnobserved) {
		t.Errorf("before anything was observed: %v", err)
	}
	for k := range 60 {
		observe(t, p, turns(t, k))
		got := predict(t, p, 1)
		switch {
		case k < 20 && (got.Method != "last-value" || !strings.Contains(got.Reason, fmt.Sprintf("only %d windows", k))):
			t.Errorf("after %d windows: %s, %s", k+1, got.Method, got.Reason)
		case k >= 40 && (got.Method == "last-value" || distance(got.Shares, []float64{0.8, 0.15, 0.05}) > 0.03 == (k%2 == 1)):
			t.Errorf("after %d windows: %s, %.3f, %s", k+1, got.Method, got.Shares, got.Reason)
		}
	}
	for k := range 200 { // and it stays as it is for long: nothing is clearly better than the last value
		observe(t, p, minute(t, 80, 15, 5))
		if k < 130 {
			continue
		}
		if got := predict(t, p, 1); got.Method != "last-value" || distance(got.Shares, []float64{0.8, 0.15, 0.05}) > 1e-9 || !strings.Contains(got.Reason, "no method was clearly better") {
			t.Errorf("%s, %.3f, %s", got.Method, got.Shares, got.Reason)
		}
	}
}

// What comes lies within the intervals about nine times in ten, also when mixes jump.
func TestIntervalsHoldWhatComes(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 9))
		p := predictor(t, shares.Config{})
		mixes := [][]float64{draw(r, 3), draw(r, 3), draw(r, 3)}
		now, inside, all := 0, 0, 0
		for k := range 300 {
			if r.Float64() < 0.3 {
				now = r.IntN(3)
			}
			counts := make([]float64, 3)
			for range 300 {
				u, i := r.Float64(), 0
				for ; i < 2 && u >= mixes[now][i]; i++ {
					u -= mixes[now][i]
				}
				counts[i]++
			}
			if k > 30 {
				f := predict(t, p, 1)
				for i, n := range counts {
					all++
					if v := n / 300; v >= f.Low[i] && v <= f.High[i] {
						inside++
					}
				}
			}
			observe(t, p, minute(t, counts...))
		}
		if share := float64(inside) / float64(all); share < 0.85 || share > 0.97 {
			t.Errorf("seed %d: %v of what came lay within", seed, share)
		}
	}
}

func TestNewFormsAreFollowedAndMoreAreExpected(t *testing.T) {
	p := predictor(t, shares.Config{})
	for k := range 40 {
		observe(t, p, turns(t, k))
	}
	before := predict(t, p, 1)
	if before.Novel > 0.001 {
		t.Errorf("nothing was new, and %v is expected to be", before.Novel)
	}
	observe(t, p, minute(t, 40, 10, 10, 40))
	after := predict(t, p, 1)
	if len(after.Forms) != 4 || len(after.Shares) != 4 || math.Abs(sum(after.Shares)-1) > 1e-9 {
		t.Fatalf("%d forms, shares %v", len(after.Forms), after.Shares)
	}
	// 0.4 of one of 40 windows was new, held together with ten in which a thousandth was.
	if after.Novel < 0.005 || after.Novel > 0.02 {
		t.Errorf("%v is expected to be new", after.Novel)
	}
	if len(before.Forms) != 3 {
		t.Error("the prediction before has changed")
	}
}

func TestFormsThatAreGoneForLongAreForgotten(t *testing.T) {
	p := predictor(t, shares.Config{Windows: 20})
	observe(t, p, minute(t, 1, 1, 1, 97))
	for range 60 {
		observe(t, p, minute(t, 50, 50))
	}
	if got := predict(t, p, 1); len(got.Forms) != 2 {
		t.Errorf("%d forms", len(got.Forms))
	}
}

func TestWindowsWithoutRequestsTellNothingAndBadCountsAreRefused(t *testing.T) {
	p := predictor(t, shares.Config{})
	observe(t, p, minute(t, 60, 40))
	before, _ := p.Save()
	observe(t, p, nil)
	observe(t, p, minute(t, 0, 0))
	for _, n := range []float64{-1, math.NaN(), math.Inf(1)} {
		if err := p.Observe(minute(t, 1, n)); err == nil || !strings.Contains(err.Error(), form(t, 2).Key()) {
			t.Errorf("%v requests: %v", n, err)
		}
	}
	if _, err := p.Predict(0); err == nil {
		t.Error("predicts no window ahead")
	}
	if after, _ := p.Save(); !bytes.Equal(before, after) {
		t.Error("the state changed")
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, c := range []shares.Config{{Sampled: 2}, {Sampled: math.NaN()}, {Windows: -1}, {Pool: []shares.Series{{Rows: [][]float64{{0.1}}}}}} {
		if _, err := shares.NewPredictor(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// A predictor that is restored predicts as the one that was saved, then and later, whatever happened.
func TestRestoredPredictsAsSaved(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		c := shares.Config{Windows: 24, Sampled: 0.5}
		p, q := predictor(t, c), predictor(t, c)
		draws := func() []foresail.ShapeStats {
			counts := make([]float64, 1+r.IntN(4))
			for i := range counts {
				counts[i] = float64(r.IntN(3)) * 50
			}
			return minute(t, counts...)
		}
		for range rapid.IntRange(0, 70).Draw(rt, "windows") {
			observe(t, p, draws())
		}
		data, err := p.Save()
		if err == nil {
			err = q.Restore(data)
		}
		if err != nil {
			rt.Fatal(err)
		}
		for k := range 10 {
			a, aerr := p.Predict(1 + k%5)
			b, berr := q.Predict(1 + k%5)
			if (aerr == nil) != (berr == nil) || !same(a, b) {
				rt.Fatalf("%+v, %v; restored %+v, %v", a, aerr, b, berr)
			}
			stats := draws()
			observe(t, p, stats)
			observe(t, q, stats)
		}
	})
}

func same(a, b shares.Prediction) bool {
	return slices.Equal(a.Shares, b.Shares) && slices.Equal(a.Low, b.Low) && slices.Equal(a.High, b.High) && a.Novel == b.Novel && a.Method == b.Method &&
		a.Reason == b.Reason && len(a.Scenarios) == len(b.Scenarios) && slices.EqualFunc(a.Forms, b.Forms, func(x, y *foresail.Form) bool { return x.Key() == y.Key() })
}

// What takes long to train is trained when Learn is called, judged only on what came after, and kept.
func TestSlowMethodsAreTrainedByLearnAlone(t *testing.T) {
	c := shares.Config{Methods: []shares.Method{neural.LSTM}}
	p := predictor(t, c)
	k := 0
	next := func() { observe(t, p, turns(t, k)); k++ }
	for range 80 {
		next()
	}
	if got := predict(t, p, 1); got.Method != "last-value" {
		t.Errorf("%s, before anything was trained", got.Method)
	}
	if err := p.Learn(); err != nil {
		t.Fatal(err)
	}
	if got := predict(t, p, 1); got.Method != "last-value" {
		t.Errorf("%s, judged on what it was trained on", got.Method)
	}
	for range 30 {
		next()
	}
	got := predict(t, p, 1)
	if got.Method != "lstm" {
		t.Fatalf("%s: %s", got.Method, got.Reason)
	}
	data, err := p.Save()
	if err != nil {
		t.Fatal(err)
	}
	q := predictor(t, c)
	if err := q.Restore(data); err != nil {
		t.Fatal(err)
	}
	if again := predict(t, q, 1); !same(got, again) {
		t.Errorf("%+v; restored %+v", got, again)
	}
	observe(t, p, minute(t, 20, 20, 20, 40)) // a network is made for one number of forms
	if got := predict(t, p, 1); got.Method != "last-value" {
		t.Errorf("%s, of three call graphs, follows four", got.Method)
	}
}

func FuzzRestore(f *testing.F) {
	p, _ := shares.NewPredictor(shares.Config{Windows: 8})
	for k := range 5 {
		_ = p.Observe(turns(f, k))
	}
	good, _ := p.Save()
	f.Add(good)
	f.Add([]byte(`{"version":1,"forms":[{"visits":[]}]}`))
	f.Add([]byte(`{"version":1,"seen":1,"history":[[]]}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		q, _ := shares.NewPredictor(shares.Config{Windows: 8})
		if err := q.Restore(data); err != nil {
			if _, err := q.Predict(1); !errors.Is(err, shares.ErrUnobserved) {
				t.Errorf("what failed to restore left a state: %v", err)
			}
			return
		}
		if got, err := q.Predict(2); err == nil && math.Abs(sum(got.Shares)-1) > 1e-6 {
			t.Errorf("expects %v", got.Shares)
		}
		if _, err := q.Save(); err != nil {
			t.Error(err)
		}
	})
}
