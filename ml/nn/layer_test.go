package nn

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// The oracle goes over every pixel and filter by the definition.
func TestConv2DIsTheSumUnderTheFilter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string, from, to int) int { return rapid.IntRange(from, to).Draw(t, name) }
		s := ConvShape{H: draw("h", 1, 6), W: draw("w", 1, 6), C: draw("c", 1, 3), Filters: draw("f", 1, 3),
			KernelH: draw("kh", 1, 3), KernelW: draw("kw", 1, 3), StrideH: draw("sh", 1, 2), StrideW: draw("sw", 1, 2)}
		if rapid.Bool().Draw(t, "same") {
			s = s.Same()
			if h, w := s.Out(); h != (s.H+s.StrideH-1)/s.StrideH || w != (s.W+s.StrideW-1)/s.StrideW {
				t.Fatalf("same padding of %+v makes %d × %d", s, h, w)
			}
		} else {
			s.Top, s.Bottom, s.Left, s.Right = draw("top", 0, 2), draw("bottom", 0, 2), draw("left", 0, 2), draw("right", 0, 2)
		}
		oh, ow := s.Out()
		if oh < 1 || ow < 1 || s.H+s.Top+s.Bottom < s.KernelH || s.W+s.Left+s.Right < s.KernelW {
			t.Skip("the kernel is larger than the image")
		}
		r := NewRand(rapid.Uint64().Draw(t, "seed"), 0)
		c := NewConv2D[float64]("c", s, true, r)
		copy(c.b.W, normals(s.Filters, r))
		x := Batch[float64]{2, s.H * s.W * s.C, normals(2*s.H*s.W*s.C, r)}
		y := c.Forward(x, true)
		if y.Cols != oh*ow*s.Filters {
			t.Fatalf("%d columns, want %d × %d × %d", y.Cols, oh, ow, s.Filters)
		}
		for b := range 2 {
			for i := range oh * ow * s.Filters {
				f, col, row := i%s.Filters, i/s.Filters%ow, i/s.Filters/ow
				want := c.b.W[f]
				for kh := range s.KernelH {
					for kw := range s.KernelW {
						h, w := row*s.StrideH+kh-s.Top, col*s.StrideW+kw-s.Left
						if h < 0 || h >= s.H || w < 0 || w >= s.W {
							continue
						}
						for ch := range s.C {
							want += x.Row(b)[(h*s.W+w)*s.C+ch] * c.w.W[((kh*s.KernelW+kw)*s.C+ch)*s.Filters+f]
						}
					}
				}
				if math.Abs(y.Row(b)[i]-want) > 1e-12 {
					t.Fatalf("pixel %d, %d of filter %d is %v, want %v", row, col, f, y.Row(b)[i], want)
				}
			}
		}
	})
}

func TestLSTMFollowsItsEquations(t *testing.T) {
	r := NewRand(3, 0)
	l := NewLSTM[float64]("l", 2, 3, r)
	copy(l.b.W, normals(12, r))
	x := Batch[float64]{4, 2, normals(8, r)} // 4 steps of one example
	l.Begin(4, 1, nil, nil, nil)
	got := l.All(x)
	s := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	h, c := make([]float64, 3), make([]float64, 3)
	for step := range 4 {
		var g [12]float64
		for j := range g {
			g[j] = l.b.W[j]
			for i, v := range x.Row(step) {
				g[j] += v * l.wx.W[i*12+j]
			}
			for i, v := range h {
				g[j] += v * l.wh.W[i*12+j]
			}
		}
		for j := range h {
			c[j] = s(g[3+j])*c[j] + s(g[j])*math.Tanh(g[6+j])
			h[j] = s(g[9+j]) * math.Tanh(c[j])
			if math.Abs(got.Row(step)[j]-h[j]) > 1e-12 {
				t.Fatalf("step %d: %v, want %v", step, got.Row(step), h)
			}
		}
	}
}

// The scores of eq. 3 have the mean and deviation that eq. 6 says, and weights add up to one.
func TestStochasticAttentionDrawsItsScores(t *testing.T) {
	r := NewRand(9, 0)
	a := NewAttention[float64]("a", 2, 3, 4, true, r)
	copy(a.bsig.W, []float64{0.5, -0.25})
	h := Batch[float64]{2, 3, normals(6, r)}
	q := Batch[float64]{1, 3, normals(3, r)}
	ratio := func(train bool) float64 { // ln α0/α1 = s0 - s1
		a.Begin(1, 1, h, train)
		a.Step(0, q)
		w := a.Weights(0).Data
		if math.Abs(w[0]+w[1]-1) > 1e-12 {
			t.Fatalf("weights %v", w)
		}
		return math.Log(w[0] / w[1])
	}
	mean := ratio(false)
	if ratio(false) != mean {
		t.Fatal("attention draws outside of training")
	}
	s0, s1 := a.sigma[0]+a.bsig.W[0], a.sigma[1]+a.bsig.W[1]
	want := math.Hypot(s0, s1)
	const n = 20000
	var sum, squares float64
	for range n {
		d := ratio(true) - mean
		sum += d
		squares += d * d
	}
	if m, sd := sum/n, math.Sqrt(squares/n); math.Abs(m) > 4*want/math.Sqrt(n) || math.Abs(sd/want-1) > 0.03 {
		t.Errorf("scores differ from their mean by %v ± %v, want 0 ± %v", m, sd, want)
	}
}

func TestBatchNormRemembersWhatItSaw(t *testing.T) {
	r := NewRand(4, 0)
	b := NewBatchNorm[float64]("bn", 2)
	for range 200 {
		x := Batch[float64]{64, 2, normals(128, r)}
		for i := range 64 {
			x.Data[2*i] = 10 + 3*x.Data[2*i]
		}
		y := b.Forward(x, true)
		var sum, squares float64
		for i := range 64 {
			sum += y.Row(i)[0]
			squares += y.Row(i)[0] * y.Row(i)[0]
		}
		if math.Abs(sum/64) > 1e-9 || math.Abs(squares/64-1) > 1e-4 {
			t.Fatalf("in training: mean %v, variance %v", sum/64, squares/64)
		}
	}
	y := b.Forward(Batch[float64]{1, 2, []float64{13, 0}}, false)
	if math.Abs(y.Data[0]-1) > 0.1 || math.Abs(y.Data[1]) > 0.1 {
		t.Errorf("outside of training: %v, want 1 and 0", y.Data)
	}
}

func TestDropoutKeepsTheExpectation(t *testing.T) {
	d := &Dropout[float64]{P: 0.3, Rand: NewRand(1, 0)}
	x := Batch[float64]{1, 100000, make([]float64, 100000)}
	for i := range x.Data {
		x.Data[i] = 1
	}
	zeros, sum := 0, 0.0
	for _, v := range d.Forward(x, true).Data {
		sum += v
		if v == 0 {
			zeros++
		}
	}
	if share := float64(zeros) / 1e5; math.Abs(share-0.3) > 0.01 || math.Abs(sum/1e5-1) > 0.02 {
		t.Errorf("%v dropped, mean %v", share, sum/1e5)
	}
	if y := d.Forward(x, false); y.Data[0] != 1 || y.Data[99999] != 1 {
		t.Error("dropped outside of training")
	}
}

func TestSoftmaxOfLargeNumbers(t *testing.T) {
	var s Softmax[float32]
	y := s.Forward(Batch[float32]{1, 3, []float32{1000, 1000, -1000}}, false)
	if y.Data[0] != 0.5 || y.Data[1] != 0.5 || y.Data[2] > 1e-30 {
		t.Errorf("%v", y.Data)
	}
}
