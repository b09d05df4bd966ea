//go:build !amd64 || purego

package kernel

// There is no assembly here: haveAssembly says so, and these are never called.

func haveAssembly() bool { return false }

func gemmFast(c, a, b Matrix[float32], add bool)                                     { panic(none) }
func expFast(n int, dst, src *float32)                                               { panic(none) }
func sigmoidFast(n int, dst, src *float32)                                           { panic(none) }
func tanhFast(n int, dst, src *float32)                                              { panic(none) }
func axpyFast(n int, alpha float32, x, y *float32)                                   { panic(none) }
func dotFast(n int, x, y *float32) float32                                           { panic(none) }
func rowDotFast(rows, cols, stride int, x, y, out *float32)                          { panic(none) }
func rowAxpyFast(rows, cols, stride int, alpha, x, y *float32)                       { panic(none) }
func lstmForwardFast(rows, cols, stride int, gates, cPrev, c, tc, h *float32)        { panic(none) }
func scoreForwardFast(rows, cols, stride int, u, w, m, s, a, mu, sigma *float32)     { panic(none) }
func lstmBackwardFast(rows, cols, stride int, gates, cPrev, tc, dh, dc, dg *float32) { panic(none) }
func scoreBackwardFast(rows, cols, stride int, a, dmu, dsigma, wmu, wsigma, du, dw, gmu, gsigma *float32) {
	panic(none)
}
func adamFast(n int, w, grad, m, v *float32, beta1, rest1, beta2, rest2, rate, eps float32) {
	panic(none)
}

const none = "kernel: no assembly for this processor"
