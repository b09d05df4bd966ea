package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// onBothPaths runs a test with the assembly, where there is any, and without.
func onBothPaths(t *testing.T, f func(t *testing.T)) {
	if fast {
		t.Run("assembly", f)
	}
	t.Run("plain", func(t *testing.T) {
		defer func(was bool) { fast = was }(fast)
		fast = false
		f(t)
	})
}

// numbers draws n of them, in both precisions, with guards behind the narrow ones that show when something writes there.
func numbers(t *rapid.T, label string, n int) ([]float32, []float64) {
	rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 1))
	a, b := make([]float32, n, n+8), make([]float64, n)
	for i := range a {
		a[i] = float32(rng.NormFloat64())
		b[i] = float64(a[i])
	}
	for i := range 8 {
		a[:n+8][n+i] = 77
	}
	return a, b
}

func compare(t *rapid.T, what string, have []float32, want []float64, tolerance float64) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(have[i])-want[i]) <= tolerance) {
			t.Fatalf("%s[%d] is %v, want %v ± %g", what, i, have[i], want[i], tolerance)
		}
	}
	for i, x := range have[len(have):cap(have)] {
		if x != 77 {
			t.Fatalf("%s: written to %d behind its end", what, i)
		}
	}
}

// view draws a matrix, transposed or not, with or without room between its rows.
func view(t *rapid.T, label string, rows, cols int, flips bool) (Matrix[float32], Matrix[float64]) {
	gap := rapid.IntRange(0, 3).Draw(t, label+" gap")
	if flips && rapid.Bool().Draw(t, label+" transposed") {
		a, b := numbers(t, label, cols*(rows+gap))
		return Matrix[float32]{a, rows, cols, 1, rows + gap}, Matrix[float64]{b, rows, cols, 1, rows + gap}
	}
	a, b := numbers(t, label, rows*(cols+gap))
	return Matrix[float32]{a, rows, cols, cols + gap, 1}, Matrix[float64]{b, rows, cols, cols + gap, 1}
}

// The oracle is the definition, in double precision.
func TestGemmIsTheSumOfProducts(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			m, n := rapid.IntRange(0, 30).Draw(t, "rows"), rapid.IntRange(0, 150).Draw(t, "cols")
			k := rapid.OneOf(rapid.IntRange(0, 40), rapid.IntRange(250, 530)).Draw(t, "depth")
			a, wideA := view(t, "a", m, k, true)
			b, wideB := view(t, "b", k, n, true)
			c, wideC := view(t, "c", m, n, false)
			add := rapid.Bool().Draw(t, "add")
			want := make([]float64, len(wideC.Data))
			copy(want, wideC.Data)
			for i := range m {
				for j := range n {
					sum := 0.0
					if add {
						sum = wideC.Data[i*wideC.RowStride+j]
					}
					for p := range k {
						sum += wideA.Data[i*wideA.RowStride+p*wideA.ColStride] * wideB.Data[p*wideB.RowStride+j*wideB.ColStride]
					}
					want[i*wideC.RowStride+j] = sum
				}
			}
			Gemm(c, a, b, add)
			compare(t, "c", c.Data, want, 1e-6*float64(k+1)) // the products are about 1
		})
	})
}

func TestElementwise(t *testing.T) {
	functions := []struct {
		name   string
		narrow func(dst, src []float32)
		exact  func(float64) float64
		tol    func(want float64) float64
	}{
		{"exp", Exp[float32], func(x float64) float64 { return math.Exp(min(max(x, -87), 88)) }, func(want float64) float64 { return 3e-7 * want }},
		{"sigmoid", Sigmoid[float32], func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, func(float64) float64 { return 3e-7 }},
		{"tanh", Tanh[float32], math.Tanh, func(float64) float64 { return 3e-7 }},
	}
	for _, f := range functions {
		t.Run(f.name, func(t *testing.T) {
			onBothPaths(t, func(t *testing.T) {
				rapid.Check(t, func(t *rapid.T) {
					src := rapid.SliceOfN(rapid.OneOf(rapid.Float32Range(-3, 3), rapid.Float32Range(-200, 200)), 0, 40).Draw(t, "x")
					dst := make([]float32, len(src))
					f.narrow(dst, src)
					for i, x := range src {
						want := f.exact(float64(x))
						if !(math.Abs(float64(dst[i])-want) <= f.tol(want)) {
							t.Fatalf("of %v: %v, want %v", x, dst[i], want)
						}
					}
				})
				x := []float32{float32(math.NaN()), 1, 2, 3, 4, 5, 6, 7, float32(math.NaN())}
				f.narrow(x, x)
				if x[0] == x[0] || x[8] == x[8] {
					t.Errorf("what is not a number became %v and %v", x[0], x[8])
				}
			})
		})
	}
}

func TestSumsOfProducts(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rows, cols := rapid.IntRange(0, 9).Draw(t, "rows"), rapid.IntRange(1, 70).Draw(t, "cols")
			x, wideX := numbers(t, "x", rows*cols)
			y, wideY := numbers(t, "y", rows*cols)
			alpha, wideAlpha := numbers(t, "alpha", rows)
			out, wideOut := numbers(t, "out", rows)
			RowDot(rows, cols, x, y, out)
			for r := range rows {
				wideOut[r] = Dot(wideX[r*cols:(r+1)*cols], wideY[r*cols:(r+1)*cols])
			}
			compare(t, "RowDot", out, wideOut, 1e-6*float64(cols))
			if got, want := float64(Dot(x, y)), Dot(wideX, wideY); math.Abs(got-want) > 1e-6*float64(rows*cols) {
				t.Fatalf("Dot %v, want %v", got, want)
			}
			RowAxpy(rows, cols, alpha, x, y)
			for r := range rows {
				Axpy(wideAlpha[r], wideX[r*cols:(r+1)*cols], wideY[r*cols:(r+1)*cols])
			}
			compare(t, "RowAxpy", y, wideY, 1e-5)
			Axpy(0.3, x, y)
			Axpy(0.3, wideX, wideY)
			compare(t, "Axpy", y, wideY, 1e-5)
		})
	})
}

// float64 has one path, whose formulas the gradient checks of package nn hold against finite differences.
func TestRecurrentKernelsAgreeWithDoublePrecision(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			rows, cols := rapid.IntRange(1, 9).Draw(t, "rows"), rapid.IntRange(1, 40).Draw(t, "cols")
			n := rows * cols
			draw := func(label string, n int) (a []float32, b []float64) { return numbers(t, label, n) }
			gates, wGates := draw("gates", 4*n)
			prev, wPrev := draw("prev", n)
			c, wC := draw("c", n)
			tc, wTc := draw("tc", n)
			h, wH := draw("h", n)
			LSTMForward(rows, cols, gates, prev, c, tc, h)
			LSTMForward(rows, cols, wGates, wPrev, wC, wTc, wH)
			compare(t, "gates", gates, wGates, 1e-6)
			compare(t, "c", c, wC, 1e-5)
			compare(t, "tc", tc, wTc, 1e-5)
			compare(t, "h", h, wH, 1e-5)
			dh, wDh := draw("dh", n)
			dc, wDc := draw("dc", n)
			dg, wDg := draw("dg", 4*n)
			LSTMBackward(rows, cols, gates, prev, tc, dh, dc, dg)
			LSTMBackward(rows, cols, wGates, wPrev, wTc, wDh, wDc, wDg)
			compare(t, "dc", dc, wDc, 1e-4)
			compare(t, "dg", dg, wDg, 1e-4)

			u, wU := draw("u", n)
			w, wW := draw("w", n)
			wm, wWm := draw("wmu", cols)
			ws, wWs := draw("wsigma", cols)
			a, wA := draw("a", n)
			mu, wMu := draw("mu", rows)
			sigma, wSigma := draw("sigma", rows)
			ScoreForward(rows, cols, u, w, wm, ws, a, mu, sigma)
			ScoreForward(rows, cols, wU, wW, wWm, wWs, wA, wMu, wSigma)
			compare(t, "a", a, wA, 1e-6)
			compare(t, "mu", mu, wMu, 1e-4)
			compare(t, "sigma", sigma, wSigma, 1e-4)
			gm, wGm := draw("gmu", cols)
			gs, wGs := draw("gsigma", cols)
			ScoreBackward(rows, cols, a, mu, sigma, wm, ws, u, w, gm, gs)
			ScoreBackward(rows, cols, wA, wMu, wSigma, wWm, wWs, wU, wW, wGm, wGs)
			for _, p := range []struct {
				name string
				have []float32
				want []float64
			}{{"du", u, wU}, {"dw", w, wW}, {"gmu", gm, wGm}, {"gsigma", gs, wGs}} {
				compare(t, p.name, p.have, p.want, 1e-3)
			}
		})
	})
}

func TestAdamAgreesWithDoublePrecision(t *testing.T) {
	onBothPaths(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			n := rapid.IntRange(0, 40).Draw(t, "n")
			w, wideW := numbers(t, "w", n)
			m, wideM := numbers(t, "m", n)
			g, wideG := numbers(t, "g", n)
			v, wideV := numbers(t, "v", n)
			for i := range v {
				v[i] = v[i]*v[i] + 0.01
				wideV[i] = float64(v[i])
			}
			Adam(w, g, m, v, 0.9, 0.999, 0.01, 1e-8)
			Adam(wideW, wideG, wideM, wideV, 0.9, 0.999, 0.01, 1e-8)
			compare(t, "w", w, wideW, 1e-5)
			compare(t, "m", m, wideM, 1e-5)
			compare(t, "v", v, wideV, 1e-5)
		})
	})
}

func TestTranspose(t *testing.T) {
	src := Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	dst := make([]float64, 6)
	Transpose(dst, src)
	if got := fmt.Sprint(dst); got != "[1 4 2 5 3 6]" {
		t.Error(got)
	}
	Transpose(dst[:4], src.Columns(1, 3))
	if got := fmt.Sprint(dst[:4]); got != "[2 5 3 6]" {
		t.Error(got)
	}
}

func TestWhatDoesNotFitPanics(t *testing.T) {
	x := make([]float32, 12)
	for name, f := range map[string]func(){
		"shapes":       func() { Gemm(Of(x, 2, 2), Of(x, 2, 3), Of(x, 2, 2), false) },
		"short data":   func() { Gemm(Of(x, 3, 3), Matrix[float32]{x, 3, 5, 5, 1}, Of(x[:5], 5, 1), false) },
		"outside":      func() { Gemm(Matrix[float32]{x[:3], 2, 2, 2, 1}, Of(x, 2, 2), Of(x, 2, 2), false) },
		"lengths":      func() { Axpy(1, x, x[1:]) },
		"no columns":   func() { Of(x, 2, 2).Columns(1, 3) },
		"columns of C": func() { Gemm(Of(x, 2, 2).T(), Of(x, 2, 2), Of(x, 2, 2), false) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestNothingIsAllocated(t *testing.T) {
	x, y, z := make([]float32, 64*64), make([]float32, 64*64), make([]float32, 64*64)
	if n := testing.AllocsPerRun(10, func() {
		Gemm(Of(x, 64, 64), Of(y, 64, 64), Of(z, 64, 64), false)
		Gemm(Of(x, 64, 64), Of(y, 64, 64), Of(z, 64, 64).T(), true)
		Tanh(x, y)
		RowDot(64, 64, x, y, z[:64])
		Adam(x, y, z, z, 0.9, 0.999, 0.01, 1e-8)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
