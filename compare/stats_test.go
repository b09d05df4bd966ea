package compare

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// Student's t at 97.5 %: with 1 and 2 degrees of freedom in closed form, others from the tables of any textbook.
func TestIntervals(t *testing.T) {
	for n, want := range map[int]float64{
		2: math.Tan(math.Pi * 0.475),       // Cauchy
		3: 0.95 / math.Sqrt(2*0.975*0.025), // t = (2p-1)/√(2p(1-p))
		5: 2.776445, 6: 2.570582, 11: 2.228139, 31: 2.042272,
	} {
		values := make([]float64, n) // mean 10, standard deviation s
		for i := range values {
			values[i] = 10 + float64(i) - float64(n-1)/2
		}
		s := math.Sqrt(float64(n*(n+1)) / 12)
		e := estimated(values)
		if got := *e.half * math.Sqrt(float64(n)) / s; math.Abs(got-want) > 1e-5 || math.Abs(e.mean-10) > 1e-12 {
			t.Errorf("n %d: t is %v, want %v; mean %v", n, got, want, e.mean)
		}
	}
	if e := estimated([]float64{3}); e.mean != 3 || e.half != nil {
		t.Errorf("one value: %+v", e)
	}
}

// What all runs with a seed have in common falls out of paired differences.
func TestPairedDifferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.Float64Range(-100, 100)
		n := rapid.IntRange(2, 10).Draw(t, "n")
		shift := rapid.Float64Range(-5, 5).Draw(t, "shift")
		a, b, c := make([]float64, n), make([]float64, n), make([]float64, n)
		for i := range a {
			common := value.Draw(t, "common")
			a[i] = rapid.Float64Range(-1, 1).Draw(t, "a")
			b[i], c[i] = a[i]+common, common+shift
		}
		alone, with := estimated(a), paired(b, c)
		if math.Abs(with.mean-(alone.mean-shift)) > 1e-9 || math.Abs(*with.half-*alone.half) > 1e-9 {
			t.Fatalf("paired %v ± %v, alone %v ± %v, shift %v", with.mean, *with.half, alone.mean, *alone.half, shift)
		}
		if with.below() != (with.mean+*with.half < 0) {
			t.Fatal("below")
		}
	})
}
