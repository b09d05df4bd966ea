package kernel

import "math"

// Exp sets dst[i] = exp(src[i]). dst may be src.
func Exp[T Float](dst, src []T) {
	same(len(dst), len(src))
	if d, ok := narrow(dst); ok && len(d) > 0 {
		s, _ := narrow(src)
		expFast(len(d), &d[0], &s[0])
		return
	}
	for i, x := range src {
		dst[i] = T(math.Exp(float64(min(max(x, -87), 88))))
	}
}

// Sigmoid sets dst[i] = 1/(1+exp(-src[i])). dst may be src.
func Sigmoid[T Float](dst, src []T) {
	same(len(dst), len(src))
	if d, ok := narrow(dst); ok && len(d) > 0 {
		s, _ := narrow(src)
		sigmoidFast(len(d), &d[0], &s[0])
		return
	}
	for i, x := range src {
		dst[i] = sigmoid(x)
	}
}

// Tanh sets dst[i] = tanh(src[i]). dst may be src.
func Tanh[T Float](dst, src []T) {
	same(len(dst), len(src))
	if d, ok := narrow(dst); ok && len(d) > 0 {
		s, _ := narrow(src)
		tanhFast(len(d), &d[0], &s[0])
		return
	}
	for i, x := range src {
		dst[i] = tanh(x)
	}
}

func sigmoid[T Float](x T) T { return T(1 / (1 + math.Exp(-float64(x)))) }

func tanh[T Float](x T) T { return T(math.Tanh(float64(x))) }

// Axpy adds alpha·x to y.
func Axpy[T Float](alpha T, x, y []T) {
	same(len(x), len(y))
	if d, ok := narrow(y); ok && len(d) > 0 {
		s, _ := narrow(x)
		axpyFast(len(d), float32(alpha), &s[0], &d[0])
		return
	}
	for i, v := range x {
		y[i] += alpha * v
	}
}

// Dot is the sum of x[i]·y[i].
func Dot[T Float](x, y []T) T {
	same(len(x), len(y))
	if d, ok := narrow(y); ok && len(d) > 0 {
		s, _ := narrow(x)
		return T(dotFast(len(d), &s[0], &d[0]))
	}
	var sum T
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// Adam is one step of Adam (Kingma and Ba, ICLR 2015, algorithm 1) on the weights w with gradients g. The moments m and v
// are updated. rate and eps have the corrections of the first steps in them:
// w -= rate·m/(√v + eps), with rate = α·√(1-β2^t)/(1-β1^t) and eps = ε·√(1-β2^t).
func Adam[T Float](w, g, m, v []T, beta1, beta2, rate, eps T) {
	same(len(w), len(g), len(m), len(v))
	if d, ok := narrow(w); ok && len(d) > 0 {
		dg, _ := narrow(g)
		dm, _ := narrow(m)
		dv, _ := narrow(v)
		adamFast(len(d), &d[0], &dg[0], &dm[0], &dv[0], float32(beta1), float32(1-beta1), float32(beta2), float32(1-beta2), float32(rate), float32(eps))
		return
	}
	for i, x := range g {
		m[i] = beta1*m[i] + (1-beta1)*x
		v[i] = beta2*v[i] + (1-beta2)*x*x
		w[i] -= rate * m[i] / (T(math.Sqrt(float64(v[i]))) + eps)
	}
}
