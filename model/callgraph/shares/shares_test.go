package shares_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/model/callgraph/shares"
)

func TestSharesThatNearlySumToOneAreScaledAndOthersRefused(t *testing.T) {
	for _, c := range []struct {
		row  []float64
		want []float64
		note string
		err  string
	}{
		{row: []float64{0.25, 0.75}, want: []float64{0.25, 0.75}},
		{row: []float64{0.333333333, 0.666666666}, want: []float64{1. / 3, 2. / 3}},
		{row: []float64{0.5, 0.495}, want: []float64{0.5 / 0.995, 0.495 / 0.995}, note: "shares sum to 0.995 and were scaled to 1"},
		{row: []float64{0.5, 0.4}, err: "they are no shares: they sum to 0.9, not to 1: is a call graph missing, or counted twice?"},
		{row: []float64{0.5, 0.6}, err: "they sum to 1.1"},
		{row: []float64{1.5, -0.5}, err: "share 1 is -0.5"},
		{row: []float64{math.NaN(), 1}, err: "share 0 is NaN"},
		{row: []float64{math.Inf(1)}, err: "share 0 is +Inf"},
		{row: []float64{math.MaxFloat64, math.MaxFloat64}, err: "sum to +Inf"},
		{row: nil, err: "there are none"},
	} {
		got, note, err := shares.Normalise(c.row)
		if c.err != "" {
			if !errors.Is(err, shares.ErrShares) || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%v: error %v, want %q", c.row, err, c.err)
			}
			continue
		}
		if err != nil || note != c.note || distance(got, c.want) > 1e-9 || math.Abs(sum(got)-1) > 1e-15 {
			t.Errorf("%v: %v, %q, %v; want %v, %q", c.row, got, note, err, c.want, c.note)
		}
	}
}

func TestAChangeIsMoreThanCountingExplains(t *testing.T) {
	for _, c := range []struct {
		before, now float64
		requests    float64
		want        bool
	}{
		{0.5, 0.5, 0, false}, {0.5, 0.501, 0, true}, // exact shares
		{0.5, 0.55, 100, false}, {0.5, 0.55, 100000, true},
		{0.5, 0.9, 100, true},
	} {
		if got := shares.Changed([]float64{c.before, 1 - c.before}, []float64{c.now, 1 - c.now}, c.requests, c.requests); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func quick() []shares.Method { return []shares.Method{shares.LastValue, shares.Ridge, shares.Regimes} }

func track(t testing.TB, m shares.Method, pool []shares.Series, classes int) shares.Tracker {
	t.Helper()
	model, err := m.Train(pool, shares.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tr, ok := model.Track(classes)
	if !ok {
		t.Fatalf("%s can't follow %d call graphs", m.Name(), classes)
	}
	return tr
}

// Whatever happens, what is expected are shares, scenarios say the same as the mean, and nothing hangs on the caller's memory.
func TestWhatIsExpectedAreShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := rapid.IntRange(1, 6).Draw(t, "classes")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		requests := rapid.SampledFrom([]float64{0, 1, 50, 1e6}).Draw(t, "requests")
		mixes := [][]float64{draw(r, classes), draw(r, classes), draw(r, classes)}
		jump := rapid.SampledFrom([]float64{0, 0.1, 1}).Draw(t, "jump")
		fresh := rapid.SampledFrom([]float64{0, 0.5}).Draw(t, "fresh")
		var all, again []shares.Tracker
		for _, m := range quick() {
			model, err := m.Train(nil, shares.Options{})
			if err != nil {
				t.Fatal(err)
			}
			a, _ := model.Track(classes)
			b, _ := model.Track(classes)
			all, again = append(all, a), append(again, b)
		}
		now := mixes[0]
		for k := range rapid.IntRange(0, 40).Draw(t, "windows") {
			for i, tr := range all {
				shown := slices.Clone(now)
				tr.Observe(shown, requests)
				clear(shown)
				again[i].Observe(now, requests)
				ahead := 1 + k%5
				got, same := make([]float64, classes), make([]float64, classes)
				tr.Predict(ahead, got)
				again[i].Predict(ahead, same)
				if !slices.Equal(got, same) {
					t.Fatalf("%s expects %v, and from the same %v", quick()[i].Name(), got, same)
				}
				if math.Abs(sum(got)-1) > 1e-9 || slices.Min(got) < 0 {
					t.Fatalf("%s expects %v", quick()[i].Name(), got)
				}
				mixer, ok := tr.(shares.Mixer)
				if !ok {
					continue
				}
				mean, weight := make([]float64, classes), 0.0
				for _, s := range mixer.Scenarios(ahead) {
					weight += s.Weight
					for j, v := range s.Shares {
						mean[j] += s.Weight * v
					}
					if s.Why == "" {
						t.Fatal("a scenario without a reason")
					}
				}
				if math.Abs(weight-1) > 1e-9 || distance(mean, got) > 1e-6 {
					t.Fatalf("scenarios of weight %v make %v, the mean is %v", weight, mean, got)
				}
			}
			if r.Float64() < jump {
				if now = mixes[r.IntN(len(mixes))]; r.Float64() < fresh {
					now = draw(r, classes)
				}
			}
		}
	})
}

// Forms have no order: when they change places, what Regimes expects changes places with them.
func TestRegimesKnowNoOrderOfForms(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		mixes := [][]float64{draw(r, 4), draw(r, 4), draw(r, 4)}
		model, _ := shares.Regimes.Train(nil, shares.Options{})
		a, _ := model.Track(4)
		b, _ := model.Track(4)
		places := r.Perm(4)
		moved := func(row []float64) []float64 {
			out := make([]float64, 4)
			for i, p := range places {
				out[p] = row[i]
			}
			return out
		}
		now := mixes[0]
		for range 30 {
			if r.Float64() < 0.3 {
				now = mixes[r.IntN(3)]
			}
			a.Observe(now, 0)
			b.Observe(moved(now), 0)
			x, y := make([]float64, 4), make([]float64, 4)
			a.Predict(1, x)
			b.Predict(1, y)
			if distance(moved(x), y) > 1e-3 {
				t.Fatalf("expects %v, and with forms in other places %v", moved(x), y)
			}
		}
	})
}

// handover is a series in which form from gives its requests to form to, over one window in between.
func handover(name string, row []float64, from, to, before, after int) shares.Series {
	s := shares.Series{Name: name}
	for range before {
		s.Rows = append(s.Rows, slices.Clone(row))
	}
	between := slices.Clone(row)
	between[to] += row[from]
	between[from] *= 0.25
	n := sum(between)
	for i := range between {
		between[i] /= n
	}
	s.Rows = append(s.Rows, between)
	done := slices.Clone(row)
	done[to] += done[from]
	done[from] = 0
	for range after {
		s.Rows = append(s.Rows, slices.Clone(done))
	}
	return s
}

// What is learnt of one form that gives its requests to another holds for other forms, and another number of them.
func TestRegimesLearnThatAHandoverIsCompleted(t *testing.T) {
	var pool []shares.Series
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 12 {
		pool = append(pool, handover("", draw(r, 4), 0, 1+i%3, 20+i, 20))
	}
	s := handover("other", []float64{0.1, 0.2, 0.3, 0.25, 0.15}, 3, 2, 30, 10)
	tr := track(t, shares.Regimes, pool, 5)
	got := make([]float64, 5)
	for k, row := range s.Rows {
		if k > 0 {
			want := s.Rows[k]
			if k == 30 {
				want = s.Rows[29] // that it begins can't be foreseen
			}
			if tr.Predict(1, got); distance(got, want) > 0.01 {
				t.Errorf("window %d: expects %.3f, want %.3f", k, got, want)
			}
		}
		tr.Observe(row, 0)
		if k == 30 {
			all := tr.(shares.Mixer).Scenarios(1)
			if i := slices.IndexFunc(all, func(s shares.Scenario) bool { return s.Why == "form 3 gives all to form 2" }); i < 0 || all[i].Weight < 0.9 {
				t.Errorf("scenarios %+v", all)
			}
		}
	}
}

// Mixes that take turns, each for three windows, are foreseen: that they change, when, and to what.
func TestRegimesLearnWhatFollowsWhatAfterHowLong(t *testing.T) {
	mixes := [][]float64{{0.7, 0.2, 0.1}, {0.1, 0.6, 0.3}, {0.3, 0.1, 0.6}, {0.2, 0.2, 0.6}}
	order := []int{0, 1, 0, 2, 3} // what follows mix 0 hangs on what was before it
	tr := track(t, shares.Regimes, nil, 3)
	got := make([]float64, 3)
	for k := range 300 {
		want := mixes[order[k/3%len(order)]]
		if k > 240 {
			if tr.Predict(1, got); distance(got, want) > 0.03 {
				t.Errorf("window %d: expects %.3f, want %.3f", k, got, want)
			}
		}
		tr.Observe(want, 0)
	}
}

func TestRidgeLearnsAnAlternation(t *testing.T) {
	mixes := [][]float64{{0.7, 0.2, 0.1}, {0.1, 0.6, 0.3}}
	var pool []shares.Series
	s := shares.Series{Name: "turns"}
	for k := range 100 {
		s.Rows = append(s.Rows, mixes[k%2])
	}
	for range 6 {
		pool = append(pool, s)
	}
	tr := track(t, shares.Ridge, pool, 3)
	got := make([]float64, 3)
	for k := range 6 {
		tr.Observe(mixes[k%2], 0)
	}
	for ahead := 1; ahead <= 4; ahead++ {
		if tr.Predict(ahead, got); distance(got, mixes[(5+ahead)%2]) > 0.02 {
			t.Errorf("%d ahead: expects %.3f", ahead, got)
		}
	}
}

func TestRidgeThatLearntNothingIsTheLastValue(t *testing.T) {
	tr := track(t, shares.Ridge, nil, 3)
	got, row := make([]float64, 3), []float64{0.5, 0.5, 0}
	tr.Observe(row, 0)
	if tr.Predict(3, got); distance(got, row) > 1e-12 {
		t.Errorf("expects %v", got)
	}
}

func TestSeriesThatAreNoneAreRefusedByName(t *testing.T) {
	for want, s := range map[string]shares.Series{
		`series "a", window 1: they are no shares: they sum to 0.5`:    {Name: "a", Rows: [][]float64{{0.5, 0.5}, {0.25, 0.25}}},
		`series "b", window 1: 1 shares, not 2`:                        {Name: "b", Rows: [][]float64{{0.5, 0.5}, {1}}},
		`series "c" has 1 windows and requests of 2`:                   {Name: "c", Rows: [][]float64{{1}}, Requests: []float64{1, 2}},
		`series "d", window 0: counted on -1 requests`:                 {Name: "d", Rows: [][]float64{{1}}, Requests: []float64{-1}},
		`series "e", window 0: they are no shares: shares sum to 0.99`: {Name: "e", Rows: [][]float64{{0.49, 0.5}}},
	} {
		for _, m := range []shares.Method{shares.Ridge, shares.Regimes} {
			if _, err := m.Train([]shares.Series{s}, shares.Options{}); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", m.Name(), err, want)
			}
		}
	}
}

func draw(r *rand.Rand, n int) []float64 {
	row := make([]float64, n)
	for i := range row {
		row[i] = r.ExpFloat64() + 0.02
	}
	all := sum(row)
	for i := range row {
		row[i] /= all
	}
	return row
}

func sum(row []float64) (s float64) {
	for _, v := range row {
		s += v
	}
	return s
}

func distance(a, b []float64) (d float64) {
	for i, v := range a {
		d = max(d, math.Abs(v-b[i]))
	}
	return d
}
