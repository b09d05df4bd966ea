package kernel

import (
	"fmt"
	"testing"
)

// The shapes are those of Sinan's convolutions (4480×288×32), of a recurrent step, of its gradient, and of a large product.
func BenchmarkGemm(b *testing.B) {
	for _, s := range []struct {
		name    string
		m, k, n int
		ta, tb  bool
	}{
		{name: "conv", m: 4480, k: 288, n: 32},
		{name: "step", m: 32, k: 32, n: 128},
		{name: "one", m: 1, k: 32, n: 128},
		{name: "weights", m: 32, k: 1920, n: 128, ta: true},
		{name: "inputs", m: 1920, k: 128, n: 32, tb: true},
		{name: "large", m: 512, k: 512, n: 512},
	} {
		b.Run(fmt.Sprintf("%s-%dx%dx%d", s.name, s.m, s.k, s.n), func(b *testing.B) {
			x, y, z := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
			for i := range x {
				x[i] = float32(i%7) - 3
			}
			for i := range y {
				y[i] = float32(i%5) - 2
			}
			A, B := Of(x, s.m, s.k), Of(y, s.k, s.n)
			if s.ta {
				A = Of(x, s.k, s.m).T()
			}
			if s.tb {
				B = Of(y, s.n, s.k).T()
			}
			b.ReportAllocs()
			for b.Loop() {
				Gemm(Of(z, s.m, s.n), A, B, false)
			}
			b.ReportMetric(2*float64(s.m)*float64(s.k)*float64(s.n)*float64(b.N)/1e9/b.Elapsed().Seconds(), "GFLOP/s")
		})
	}
}

func BenchmarkTanh(b *testing.B) {
	x, y := make([]float32, 1024), make([]float32, 1024)
	for i := range x {
		x[i] = float32(i%100)/25 - 2
	}
	b.ReportAllocs()
	for b.Loop() {
		Tanh(y, x)
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e9/float64(b.N)/1024, "ns/number")
}

func BenchmarkLSTMForward(b *testing.B) {
	const rows, cols = 32, 32
	gates, c, h := make([]float32, 4*rows*cols), make([]float32, rows*cols), make([]float32, rows*cols)
	b.ReportAllocs()
	for b.Loop() {
		LSTMForward(rows, cols, gates, c, c, h, h)
	}
}
