package dist

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// reference is what 80 digits and the Derm artefact's closed form give for its two graphs, as one mixture.
type reference struct {
	DF struct {
		Chain       []int
		LambdaValue []float64 `json:"lambdaValue"`
	}
	CDF []struct {
		T, Artifact, Exact float64
	}
	P95 float64
}

func readReference(t testing.TB) (r reference) {
	t.Helper()
	b, err := os.ReadFile("../../../../shared/data/derm/end-to-end-reference.json")
	if err != nil {
		t.Skip("no data from outside: ", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.CDF) == 0 {
		t.Fatal("the reference is empty")
	}
	return r
}

func sumOf(rates ...float64) *Sum {
	terms := make([]Term, len(rates))
	for i, r := range rates {
		terms[i] = Term{&Stage{Rate: r}, 1}
	}
	return NewSum(terms...)
}

func TestReference(t *testing.T) {
	r := readReference(t)
	var rates [2][]float64
	for i, c := range r.DF.Chain {
		rates[c-1] = append(rates[c-1], r.DF.LambdaValue[i])
	}
	sums := [2]*Sum{sumOf(rates[0]...), sumOf(rates[1]...)}
	for _, want := range r.CDF {
		if got := (sums[0].CDF(want.T) + sums[1].CDF(want.T)) / 2; math.Abs(got-want.Exact) > 1e-13 {
			t.Errorf("F(%g) = %.16f, want %.16f", want.T, got, want.Exact)
		}
	}
	at := func(x float64) (above, density float64) {
		for _, s := range sums {
			above += s.Above(x) / 2
			density += s.Density() / 2
		}
		return above, density
	}
	p95 := Solve(0, math.Inf(1), 100, 0.95, at)
	if above, _ := at(p95); math.Abs(above-0.05) > 1e-12 {
		t.Errorf("above percentile 95, %g ms, is %g", p95, above)
	}
	if math.Abs(p95-r.P95) > 0.5 { // which the artefact finds by bisection, to 1e-4 in probability
		t.Errorf("percentile 95 is %g ms, want %g", p95, r.P95)
	}
}

// anyRates draws rates over nine orders of magnitude, some equal and some nearly so.
func anyRates(t *rapid.T) []float64 {
	rates := make([]float64, rapid.IntRange(1, 8).Draw(t, "stages"))
	for i := range rates {
		kind := "new"
		if i > 0 {
			kind = rapid.SampledFrom([]string{"new", "equal", "near"}).Draw(t, "kind")
		}
		switch kind {
		case "new":
			rates[i] = math.Exp(rapid.Float64Range(-9, 12).Draw(t, "ln rate"))
		case "equal":
			rates[i] = rates[i-1]
		case "near":
			rates[i] = rates[i-1] * (1 + math.Pow(10, rapid.Float64Range(-13, -1).Draw(t, "log10 apart")))
		}
	}
	return rates
}

// At 800 bits partial fractions are right for any rates.
func TestSumAgainstBigFloats(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rates := anyRates(t)
		s := sumOf(rates...)
		at := s.Mean() * math.Exp(rapid.Float64Range(-3, 2.5).Draw(t, "ln t"))
		exact := oracleCDF(rates, at)
		below, _ := exact.Float64()
		above, _ := num(0).Sub(num(1), exact).Float64()
		if got := s.CDF(at); math.Abs(got-below) > 1e-12 || below > 1e-290 && math.Abs(got/below-1) > 1e-9 {
			t.Errorf("rates %v: P(T <= %g) = %g, want %g", rates, at, got, below)
		}
		if got := s.Above(at); math.Abs(got-above) > 1e-12 || at > s.Mean() && above > 1e-290 && math.Abs(got/above-1) > 1e-9 {
			t.Errorf("rates %v: P(T > %g) = %g, want %g", rates, at, got, above)
		}
	})
}

// A sum of mixtures is a mixture of sums, one for each choice of parts.
func TestSumOfPartsAgainstExpansion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := make([]Stage, rapid.IntRange(1, 4).Draw(t, "stages"))
		terms := make([]Term, len(stages))
		for i := range stages {
			stages[i] = anyStage(t)
			terms[i] = Term{&stages[i], 1}
		}
		s := NewSum(terms...)
		mean, variance, _ := s.Cumulants()
		if variance == 0 {
			return
		}
		at := s.Shift() + (mean-s.Shift())*math.Exp(rapid.Float64Range(-1.5, 1.5).Draw(t, "ln t"))
		var expand func(i int, so []Term) float64
		expand = func(i int, so []Term) float64 {
			if i == len(stages) {
				return NewSum(so...).CDF(at)
			}
			st := &stages[i]
			if len(st.Parts) == 0 {
				return expand(i+1, append(so, Term{st, 1}))
			}
			p := 0.0
			for j, part := range st.Parts {
				shift := Fixed(st.Shift)
				p += part.Weight * expand(i+1, append(slices.Clip(so), Term{&shift, 1}, Term{&Stage{Rate: st.Parts[j].Rate}, part.Order}))
			}
			return p
		}
		if got, want := s.CDF(at), expand(0, nil); math.Abs(got-want) > 1e-9 {
			t.Errorf("P(T <= %g) = %.12g, want %.12g", at, got, want)
		}
	})
}

// A sum of alike exponentials is an Erlang distribution, and the same in one term, in many, or as a part.
func TestEqualRates(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 30, 142, 1000} {
		rates := slices.Repeat([]float64{3}, n)
		want := Stage{Parts: []Part{{1, n, 3}}}
		many, one, part := sumOf(rates...), NewSum(Term{&Stage{Rate: 3}, n}), NewSum(Term{&want, 1})
		mean, deviation := want.Mean(), math.Sqrt(want.Variance())
		for _, x := range []float64{-3, -1, -0.1, -0.001, 0, 0.001, 0.1, 1, 3, 8} {
			at := mean + x*deviation
			if at <= 0 {
				continue
			}
			for i, s := range []*Sum{many, one, part} {
				if got := s.CDF(at); math.Abs(got-want.CDF(at)) > 1e-11 || math.Abs(got/want.CDF(at)-1) > 1e-9 {
					t.Errorf("%d stages, way %d: P(T <= %g) = %g, want %g", n, i, at, got, want.CDF(at))
				}
				if got := s.Above(at); math.Abs(got-want.Above(at)) > 1e-11 || x > 0 && math.Abs(got/want.Above(at)-1) > 1e-9 {
					t.Errorf("%d stages, way %d: P(T > %g) = %g, want %g", n, i, at, got, want.Above(at))
				}
			}
		}
	}
}

// A thousand stages of all speeds: what is not near the slowest ones hardly matters, and nothing overflows.
func TestThousandStages(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	rates := make([]float64, 1000)
	for i := range rates {
		rates[i] = math.Exp(12 * r.Float64())
	}
	s := sumOf(rates...)
	for _, p := range []float64{1e-6, 0.001, 0.5, 0.99, 1 - 1e-9} {
		at := s.Quantile(p)
		if got := s.CDF(at); math.Abs(got-p) > 1e-12 || math.Abs(got/p-1) > 1e-6 {
			t.Errorf("P(T <= %g) = %g, want %g", at, got, p)
		}
	}
	// Two halves convolved by hand: P(T > t) = E[P(B > t - A)].
	a, b := sumOf(rates[:500]...), sumOf(rates[500:]...)
	at := s.Quantile(0.95)
	const n = 400
	total := a.Above(at)
	for i := range n { // Simpson's rule over A
		f := func(x float64) float64 {
			b.Above(at - x)
			v := b.Above(at - x)
			a.Above(x)
			return v * a.Density()
		}
		h := at / n
		x := float64(i) * h
		total += h / 6 * (f(x) + 4*f(x+h/2) + f(x+h))
	}
	if math.Abs(total/0.05-1) > 1e-6 {
		t.Errorf("by hand P(T > %g) = %g, want 0.05", at, total)
	}
}

func TestSingleStage(t *testing.T) {
	for _, st := range []Stage{
		Exponential(0.002, 300),
		{Shift: 0.001, Parts: []Part{{0.7, 1, 1000}, {0.3, 1, 20}}},
		{Parts: []Part{{0.5, 3, 1000}, {0.5, 40, 500}}},
	} {
		s := NewSum(Term{&st, 1})
		for _, p := range []float64{0.01, 0.3, 0.45, 0.9, 0.99, 0.9999} {
			at := st.Quantile(p)
			if got := s.CDF(at); math.Abs(got-p) > 1e-11 {
				t.Errorf("%+v: P(T <= %g) = %g, want %g", st, at, got, p)
			}
			if got := s.Quantile(p); math.Abs(got/at-1) > 1e-9 {
				t.Errorf("%+v: quantile %g is %g, want %g", st, p, got, at)
			}
		}
		if got := s.CDF(st.Shift); got != 0 {
			t.Errorf("%+v: %g of it is at the shift", st, got)
		}
	}
}

func TestFixedStages(t *testing.T) {
	a, b := Fixed(2), Exponential(1, math.Inf(1))
	s := NewSum(Term{&a, 3}, Term{&b, 1})
	if s.Above(7) != 0 || s.Above(6.999) != 1 || s.CDF(6.999) != 0 || s.CDF(7) != 1 || s.Mean() != 7 || s.Quantile(0.3) != 7 {
		t.Errorf("three times 2 s and 1 s: above 7 s %g, above 6.999 s %g, mean %g, median %g", s.Above(7), s.Above(6.999), s.Mean(), s.Quantile(0.5))
	}
	c := Exponential(0.5, 4)
	s = NewSum(Term{&a, 1}, Term{&c, 1})
	if got, want := s.Above(3), math.Exp(-4*0.5); math.Abs(got-want) > 1e-13 {
		t.Errorf("2 s and an exponential: above 3 s %g, want %g", got, want)
	}
}

// anyStage draws a stage of any kind.
func anyStage(t *rapid.T) Stage {
	rate := func() float64 { return math.Exp(rapid.Float64Range(-1, 6).Draw(t, "ln rate")) }
	shift := rapid.SampledFrom([]float64{0, 0.01, 0.2}).Draw(t, "shift")
	switch rapid.SampledFrom([]string{"exponential", "parts", "fixed"}).Draw(t, "stage") {
	case "fixed":
		return Fixed(shift)
	case "parts":
		w := rapid.Float64Range(0, 1).Draw(t, "weight")
		return Stage{Shift: shift, Parts: []Part{{w, rapid.IntRange(1, 60).Draw(t, "order"), rate()}, {1 - w, 1, rate()}}}
	}
	return Exponential(shift, rate())
}

// What Evaluate says of a sum: its derivatives are those of Above, and what the terms take adds to the whole.
func TestSensitivity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stages := make([]Stage, rapid.IntRange(1, 6).Draw(t, "stages"))
		terms := make([]Term, len(stages))
		for i := range stages {
			stages[i] = anyStage(t)
			terms[i] = Term{&stages[i], rapid.IntRange(1, 3).Draw(t, "times")}
		}
		s := NewSum(terms...)
		mean, variance, _ := s.Cumulants()
		if variance == 0 {
			return
		}
		at := s.Quantile(rapid.Float64Range(0.02, 0.98).Draw(t, "p"))
		var d, up, down Sensitivity
		s.Evaluate(at, &d)
		if d.Above != s.Above(at) {
			t.Errorf("above %g, want %g", d.Above, s.Above(at))
		}
		const e = 1e-5
		width := math.Sqrt(variance)
		s.Evaluate(at+e*width, &up)
		s.Evaluate(at-e*width, &down)
		if want := (down.Above - up.Above) / (2 * e * width); math.Abs(d.Density-want) > 1e-3*want+1e-4/width {
			t.Errorf("density %g, want %g", d.Density, want)
		}
		total := 0.0
		for i := range stages {
			total += d.Share[i]
			was := stages[i]
			move := func(by float64) float64 {
				stages[i].Rate *= by
				stages[i].Parts = slices.Clone(was.Parts)
				for j := range stages[i].Parts {
					stages[i].Parts[j].Rate *= by
				}
				defer func() { stages[i] = was }()
				return s.Above(at)
			}
			if want := (move(1+e) - move(1-e)) / (2 * e); math.Abs(d.LogRate[i]-want) > 1e-3*math.Abs(want)+1e-6 {
				t.Errorf("term %d: to ln rate %g, want %g", i, d.LogRate[i], want)
			}
		}
		// E[T; T > t] = t P(T > t) + ∫ P(T > x) dx from t on; the rest of the mean is below.
		rest := 0.0
		const n = 400
		for i := range n {
			h := at / n
			x := float64(i) * h
			rest += h / 6 * (s.CDF(x) + 4*s.CDF(x+h/2) + s.CDF(x+h)) // ∫ P(T <= x) to t
		}
		want := mean - at*s.CDF(at) + rest
		if math.Abs(total-want) > 2e-3*width+1e-3*want {
			t.Errorf("terms add to %g, want %g", total, want)
		}
	})
}

func BenchmarkSum142(b *testing.B) {
	r := rand.New(rand.NewPCG(4, 4))
	rates := make([]float64, 142)
	for i := range rates {
		rates[i] = 100 + 1000*r.Float64()
	}
	s := sumOf(rates...)
	at := s.Quantile(0.99)
	b.Run("above", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			s.Above(at)
		}
	})
	b.Run("evaluate", func(b *testing.B) {
		var d Sensitivity
		b.ReportAllocs()
		for b.Loop() {
			s.Evaluate(at, &d)
		}
	})
}
