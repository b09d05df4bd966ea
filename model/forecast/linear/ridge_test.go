package linear

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/mat"
	"pgregory.net/rapid"
)

// Weights solve (Σ w xxᵀ + p·diag/Σw)·W = Σ w xyᵀ, as a general solver does from all rows at once.
func TestWeightsAreThoseOfAllRowsAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(1, 6).Draw(t, "features"), rapid.IntRange(1, 3).Draw(t, "targets")
		rows := rapid.IntRange(n+3, 30).Draw(t, "rows")
		forget := rapid.Float64Range(0.8, 1).Draw(t, "forget")
		penalty := rapid.Float64Range(0.01, 10).Draw(t, "penalty")
		number := rapid.Float64Range(-5, 5)
		r := New(n, m, forget)
		a, b, weight := mat.NewDense(n, n, nil), mat.NewDense(n, m, nil), 0.0
		for range rows {
			x := rapid.SliceOfN(number, n, n).Draw(t, "x")
			y := rapid.SliceOfN(number, m, m).Draw(t, "y")
			r.Add(x, y, 1)
			a.Scale(forget, a)
			b.Scale(forget, b)
			weight = weight*forget + 1
			for i := range n {
				for j := range n {
					a.Set(i, j, a.At(i, j)+x[i]*x[j])
				}
				for j := range m {
					b.Set(i, j, b.At(i, j)+x[i]*y[j])
				}
			}
		}
		w, err := r.Solve(penalty, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			d := a.At(i, i)
			a.Set(i, i, d+(penalty/max(weight, 1)+1e-9)*d)
			if d == 0 {
				a.Set(i, i, 1)
			}
		}
		var left mat.Dense // a·w against b: what a badly conditioned system leaves of w itself is not at stake
		left.Mul(a, mat.NewDense(n, m, w))
		for i := range n {
			for j := range m {
				if d := math.Abs(left.At(i, j) - b.At(i, j)); d > 1e-8*(1+mat.Norm(a, 1)*mat.Norm(mat.NewDense(n, m, w), 1)) {
					t.Fatalf("%v off at %d, %d", d, i, j)
				}
			}
		}
	})
}

func TestAFeatureThatIsAlways0Weighs0(t *testing.T) {
	r := New(2, 1, 1)
	for i := range 10 {
		r.Add([]float64{float64(i), 0}, []float64{3 * float64(i)}, 1)
	}
	w, err := r.Solve(0, 0, nil)
	if err != nil || math.Abs(w[0]-3) > 1e-6 || w[1] != 0 {
		t.Error(w, err)
	}
	var y [1]float64
	Predict(w, []float64{2, 5}, y[:])
	if math.Abs(y[0]-6) > 1e-5 {
		t.Error(y)
	}
}

func BenchmarkAddAndSolve(b *testing.B) {
	r := New(60, 5, 0.999)
	x, y := make([]float64, 60), make([]float64, 5)
	var w []float64
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		for j := range x {
			x[j] = math.Sin(float64(i*(j+1)) * 0.37)
		}
		y[0] = x[1]
		r.Add(x, y, 1)
		if i%30 == 29 {
			w, _ = r.Solve(5, 1, w)
		}
	}
}
