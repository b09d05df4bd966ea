// Package kernel is the arithmetic that neural networks spend their time in: one matrix product, and loops over numbers.
//
// Every function is generic over float32 and float64. On amd64 with AVX2 and FMA (found out when the program starts)
// float32 runs in assembly, which the module in gen writes; everything else, and every build with the tag purego, runs
// plain Go, which is also what the assembly is tested against. The two agree within
//
//   - Gemm, Dot and the row functions: 1e-6 of the sum of the absolute products, times the square root of their number,
//     since they add in another order;
//   - Exp: 3e-7 relative within [-87, 88], outside of which it holds its argument to these bounds;
//   - Sigmoid, Tanh: 3e-7 absolute.
//
// One path on one machine gives the same bits each time. Nothing here allocates, and nothing keeps what it was given.
// Lengths that don't fit are a programmer's mistake and panic.
package kernel

//go:generate go run -C gen . -out ../kernels_amd64.s -stubs ../kernels_amd64.go -pkg kernel

// Float is what networks compute in: float32 for work, float64 to check gradients.
type Float interface{ float32 | float64 }

// fast reports whether float32 runs in assembly. Tests clear it.
var fast = haveAssembly()

// narrow returns x as float32 where that runs in assembly.
func narrow[T Float](x []T) ([]float32, bool) {
	if !fast {
		return nil, false
	}
	y, ok := any(x).([]float32)
	return y, ok
}

// same panics unless lengths are n.
func same(n int, lengths ...int) {
	for _, l := range lengths {
		if l != n {
			panic("kernel: lengths differ")
		}
	}
}
