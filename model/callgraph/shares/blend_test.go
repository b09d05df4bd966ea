package shares

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// The blend is held against all blends on a grid.
func TestNoBlendOnAGridIsBetter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const k, steps = 3, 20
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		n := rapid.IntRange(1, 30).Draw(t, "windows")
		rank := rapid.IntRange(1, k).Draw(t, "rank") // experts that say the same make the problem flat
		var g [k * k]float64
		for range n {
			var e [k]float64
			for i := range e {
				e[i] = r.NormFloat64() * math.Exp(float64(i%rank))
				if i >= rank {
					e[i] = e[i-rank]
				}
			}
			for i := range k {
				for j := range k {
					g[i*k+j] += e[i] * e[j]
				}
			}
		}
		cost := func(w []float64) (c float64) {
			for i := range k {
				for j := range k {
					c += w[i] * w[j] * g[i*k+j] / float64(n)
				}
			}
			for i, v := range w {
				if i == 0 {
					v--
				}
				c += v * v * g[0] / float64(n*n)
			}
			return c
		}
		w := make([]float64, k)
		blendWeights(g[:], k, float64(n), 1, 0, w)
		total := 0.0
		for _, v := range w {
			if total += v; v < 0 {
				t.Fatalf("weights %v", w)
			}
		}
		if math.Abs(total-1) > 1e-9 {
			t.Fatalf("weights %v", w)
		}
		least := math.Inf(1)
		for i := range steps + 1 {
			for j := range steps + 1 - i {
				least = min(least, cost([]float64{float64(i) / steps, float64(j) / steps, float64(steps-i-j) / steps}))
			}
		}
		if c := cost(w); c > least*(1+1e-6)+1e-9*g[0]/float64(n) {
			t.Fatalf("weights %v cost %v, on the grid are some of %v", w, c, least)
		}
	})
}

func TestWithNothingLearntTheBlendIsTheFirst(t *testing.T) {
	w := make([]float64, 3)
	blendWeights(make([]float64, 9), 3, 0, 1, 0.02, w)
	if w[0] != 1 || w[1] != 0 || w[2] != 0 {
		t.Errorf("weights %v", w)
	}
}

// Probabilities ahead are held against playing what was counted very often.
func TestStatesAheadAgreeWithPlayingThem(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	a := newAutomaton(3)
	mixes := [][]float64{{0.8, 0.1, 0.1}, {0.1, 0.8, 0.1}, {0.1, 0.1, 0.8}}
	now := 0
	for range 120 {
		a.observe(mixes[now], 0)
		if r.Float64() < 0.4 {
			now = (now + 1 + r.IntN(2)) % 3
		}
	}
	const ahead, plays = 3, 200000
	counts := make([]float64, len(a.states))
	p := make([]float64, len(a.states))
	for range plays {
		s, before, age := a.now, a.before, a.age
		for range ahead {
			if r.Float64() >= a.leaving(s, age) {
				age++
				continue
			}
			a.following(s, before, p)
			u := r.Float64()
			to := 0
			for to < len(p)-1 && u >= p[to] {
				u -= p[to]
				to++
			}
			s, before, age = to, -1, 1 // of later states only the last is remembered
		}
		counts[s]++
	}
	total := 0.0
	for i, got := range a.ahead(ahead) {
		total += got
		if math.Abs(got-counts[i]/plays) > 0.006 {
			t.Errorf("state %d: %v ahead, played %v", i, got, counts[i]/plays)
		}
	}
	if math.Abs(total-1) > 1e-9 {
		t.Errorf("probabilities sum to %v", total)
	}
}

// There are never more states than are kept, however many mixes there were; those that were there last are known again.
func TestStatesAreBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	a := newAutomaton(3)
	var last []float64
	for range 20 * mostStates {
		last = []float64{r.Float64(), r.Float64(), 1}
		s := last[0] + last[1] + last[2]
		for i := range last {
			last[i] /= s
		}
		a.observe(last, 0)
		if len(a.states) > mostStates {
			t.Fatalf("%d states", len(a.states))
		}
	}
	now := a.now
	a.observe(last, 0)
	if a.now != now || a.age < 2 {
		t.Errorf("state %d, %d windows old, after state %d came twice", a.now, a.age, now)
	}
}
