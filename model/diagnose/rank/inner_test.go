package rank

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
	"pgregory.net/rapid"
)

var value = rapid.SampledFrom([]float64{-2, 0, 1, 1, 2, 3.5, 7, 1e-3, 40})

// Selection finds what sorting does.
func TestMedian(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SliceOfN(value, 1, 40).Draw(t, "v")
		sorted := slices.Sorted(slices.Values(v))
		n := len(v)
		want := sorted[n/2]
		if n%2 == 0 {
			want = (sorted[n/2-1] + sorted[n/2]) / 2
		}
		for k := range v {
			if got := kth(slices.Clone(v), k); got != sorted[k] {
				t.Fatalf("%d of %v is %g, want %g", k, v, got, sorted[k])
			}
		}
		if got := median(v); math.Abs(got-want) > 1e-12 {
			t.Fatalf("the median is %g, want %g", got, want)
		}
		if got := between(sorted, 0.5); math.Abs(got-want) > 1e-12 {
			t.Fatalf("the middle quantile is %g, want %g", got, want)
		}
	})
}

// As numpy.quantile([1, 2, 4, 8], q) has them.
func TestBetween(t *testing.T) {
	for q, want := range map[float64]float64{0: 1, 0.25: 1.75, 0.5: 3, 0.75: 5, 1: 8} {
		if got := between([]float64{1, 2, 4, 8}, q); got != want {
			t.Errorf("%g: %g, want %g", q, got, want)
		}
	}
}

// A level is what a plain count of windows gives.
func TestLevels(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.SampledFrom([]float64{0, 1, 2, 5, math.NaN()})
		n, k := rapid.IntRange(1, 15).Draw(t, "normal"), rapid.IntRange(1, 4).Draw(t, "issue")
		series := func(name string) Series {
			return Series{rapid.SliceOfN(v, n, n).Draw(t, name), rapid.SliceOfN(v, k, k).Draw(t, name)}
		}
		a, w := series("values"), series("weights")
		naive := func(v, w []float64) float64 {
			sum, all := 0.0, 0.0
			for i := range v {
				if math.IsNaN(v[i]) {
					continue
				}
				weight := 1.0
				if !math.IsNaN(w[i]) {
					weight = w[i]
				}
				sum, all = sum+weight*v[i], all+weight
			}
			return sum / all
		}
		var windows, off []float64
		for i := 0; i+min(k, n) <= n; i++ {
			if x := naive(a.Normal[i:i+min(k, n)], w.Normal[i:i+min(k, n)]); !math.IsNaN(x) {
				windows = append(windows, x)
			}
		}
		l := meanLevel(a, w)
		if now := naive(a.Issue, w.Issue); !same(l.now, now) {
			t.Fatalf("now %g, want %g", l.now, now)
		}
		if len(windows) == 0 {
			if l.known() || l.rise() != 0 {
				t.Fatalf("%+v of nothing", l)
			}
			return
		}
		slices.Sort(windows)
		mid := between(windows, 0.5)
		for _, x := range windows {
			off = append(off, math.Abs(x-mid))
		}
		slices.Sort(off)
		if !same(l.normal, mid) || !same(l.sigma, 1.4826*between(off, 0.5)) {
			t.Fatalf("%+v, want %g and %g", l, mid, 1.4826*between(off, 0.5))
		}
	})
}

func same(a, b float64) bool {
	return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) <= 1e-9*(1+math.Abs(b))
}

func TestCorrelation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(3, 20).Draw(t, "n")
		a, b := rapid.SliceOfN(value, n, n).Draw(t, "a"), rapid.SliceOfN(value, n, n).Draw(t, "b")
		got, want := correlation(a, b), stat.Correlation(a, b, nil)
		if !finite(want) || stat.Variance(a, nil) < 1e-12 || stat.Variance(b, nil) < 1e-12 {
			return
		}
		if math.Abs(got-want) > 1e-9 {
			t.Fatalf("%g, want %g", got, want)
		}
		// rows that either lacks change nothing
		if again := correlation(append(a, math.NaN(), 3), append(b, 5, math.NaN())); math.Abs(again-want) > 1e-9 {
			t.Fatalf("with rows missing %g, want %g", again, want)
		}
	})
	if got := correlation([]float64{1, 1, 1}, []float64{1, 2, 3}); got != 0 {
		t.Errorf("with what never changes: %g", got)
	}
}

// The walk's visits are what solving for its balance gives: v = restart·w/Σw + (1−restart)·Pᵀv, with P written down densely.
func TestTheWalkIsInBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 8).Draw(t, "services")
		in := &Input{Front: 0}
		for i := range n {
			v := func(k int) []float64 { return rapid.SliceOfN(value, k, k).Draw(t, "v") }
			in.Services = append(in.Services, Service{Name: string(rune('a' + i)), Latency: Series{v(12), v(3)}})
			if i > 0 {
				in.Calls = append(in.Calls, Call{From: rapid.IntRange(0, i-1).Draw(t, "parent"), To: i})
			}
		}
		w := correlations(in, 0)
		p := mat.NewDense(n, n, nil)
		for i := range n {
			most := 0.0
			for _, c := range in.Calls {
				if c.From == i {
					p.Set(i, c.To, w[c.To])
					most = max(most, w[c.To])
				}
				if c.To == i {
					p.Set(i, c.From, backward*w[c.From])
				}
			}
			p.Set(i, i, max(0, w[i]-most))
			sum := mat.Sum(p.RowView(i))
			for j := range n {
				p.Set(i, j, p.At(i, j)/sum)
			}
		}
		total := 0.0
		for _, x := range w {
			total += x
		}
		a, b := mat.NewDense(n, n, nil), mat.NewVecDense(n, nil)
		for i := range n {
			b.SetVec(i, restart*w[i]/total)
			for j := range n {
				v := -(1 - restart) * p.At(j, i)
				if i == j {
					v++
				}
				a.Set(i, j, v)
			}
		}
		var v mat.VecDense
		if err := v.SolveVec(a, b); err != nil {
			t.Fatal(err)
		}
		for _, s := range walk(in) {
			if math.Abs(s.Score-v.AtVec(s.Service)) > 1e-9 {
				t.Fatalf("%s is visited %g, want %g", s.Name, s.Score, v.AtVec(s.Service))
			}
		}
	})
}

// RobustScorer by hand: median 2, quartiles 1.5 and 3, so 5 is (5−2)/1.5 = 2; a range of 0 reads as 1.
func TestBaro(t *testing.T) {
	in := &Input{Services: []Service{
		{Name: "a", Latency: Series{[]float64{1, 1.5, 2, 3, 4}, []float64{2, 5}}},
		{Name: "b", CPU: Series{[]float64{7, 7, 7, 7, 7}, []float64{7, 5.5}}},
		{Name: "c", Errors: Series{[]float64{0, 0, 0, 0, 0}, []float64{0.03, 0}}},
	}}
	want := []Suspect{{Service: 2, Name: "c", Score: 3}, {Service: 0, Name: "a", Score: 2}, {Service: 1, Name: "b", Score: 1.5}}
	for i, s := range baro(in) {
		if s.Name != want[i].Name || !same(s.Score, want[i].Score) {
			t.Errorf("place %d: %+v, want %+v", i+1, s, want[i])
		}
	}
}

func TestLatencyAndQueue(t *testing.T) {
	in := &Input{Services: []Service{
		{Name: "a", Latency: Series{[]float64{1, 3}, []float64{4, 8}}, Requests: Series{[]float64{1, 1}, []float64{1, 1}}},                                      // 3 times; 4 more
		{Name: "b", Latency: Series{[]float64{1, 1}, []float64{1, math.NaN()}}, Tail: Series{[]float64{1, 1}, []float64{5, 5}}},                                 // 5 times; unknown
		{Name: "c", Latency: Series{[]float64{1, 1}, []float64{1, 1}}, Requests: Series{[]float64{10, 10}, []float64{20, 20}}},                                  // as ever; 10 more
		{Name: "d", Requests: Series{[]float64{10, 10}, []float64{20, 20}}, Tail: Series{[]float64{math.NaN(), math.NaN()}, []float64{math.NaN(), math.NaN()}}}, // unknown
	}}
	for name, want := range map[string]string{"latency": "bacd", "queue": "cabd"} {
		got := ""
		for _, s := range map[string]func(*Input) []Suspect{"latency": latency, "queue": queue}[name](in) {
			got += s.Name
		}
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

func TestTop(t *testing.T) {
	in := &Input{Services: []Service{{Name: "client"}, {Name: "front"}, {Name: "a"}, {Name: "b"}, {Name: "alone"}}, Front: 3,
		Calls: []Call{{From: 0, To: 3}, {From: 1, To: 2}, {From: 2, To: 3}, {From: 2, To: 2}}}
	if got := in.Top(); got != 1 {
		t.Errorf("%d", got)
	}
	if got := (&Input{Services: in.Services}).Top(); got != -1 {
		t.Errorf("without calls: %d", got)
	}
	ring := &Input{Services: in.Services[:2], Calls: []Call{{From: 0, To: 1}, {From: 1, To: 0}}}
	if got := ring.Top(); got != -1 {
		t.Errorf("of a ring: %d", got)
	}
}
