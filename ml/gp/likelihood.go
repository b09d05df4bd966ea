package gp

import (
	"math"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// likelihood evaluates the log marginal likelihood of standardised data. Its parameters are logarithms: of the length
// scales, one or one for each feature, of the variance, and of the noise.
type likelihood struct {
	kernel      Kernel
	n, features int
	perFeature  bool
	x, y        []float64 // standardised; x row by row
	maxJitter   float64

	scaled []float64 // x over the length scales
	k      []float64 // the kernel matrix, then its factor; lower triangle, row by row
	slope  []float64 // -dk/d(r²)·2 over pairs: what a squared difference, scaled, adds to dk/d log length
	plain  []float64 // the kernel matrix, kept
	alpha  []float64 // K⁻¹ (y-mean)
	ones   []float64 // K⁻¹ 1
	mean   float64
	jitter float64 // added to the diagonal, as a share of the variance
	sum    []float64
}

func newLikelihood(kernel Kernel, perFeature bool, x []float64, features int, y []float64, maxJitter float64) *likelihood {
	n := len(y)
	return &likelihood{
		kernel: kernel, n: n, features: features, perFeature: perFeature, x: x, y: y, maxJitter: maxJitter,
		scaled: make([]float64, len(x)), k: make([]float64, n*n), slope: make([]float64, n*n), plain: make([]float64, n*n),
		alpha: make([]float64, n), ones: make([]float64, n), sum: make([]float64, features),
	}
}

// lengths is how many of the parameters are length scales.
func (l *likelihood) lengths() int {
	if l.perFeature {
		return l.features
	}
	return 1
}

// params is how many parameters there are.
func (l *likelihood) params() int { return l.lengths() + 2 }

// value is the log marginal likelihood (eq. 2.30), at the best constant mean. What it found stays in l.
func (l *likelihood) value(theta []float64) (float64, error) {
	m := l.lengths()
	variance, noise := math.Exp(theta[m]), math.Exp(theta[m+1])
	for f := range l.features {
		inv := math.Exp(-theta[min(f, m-1)])
		for i := f; i < len(l.x); i += l.features {
			l.scaled[i] = l.x[i] * inv
		}
	}
	l.matrix(variance)
	if err := l.factor(variance, noise); err != nil {
		return 0, err
	}
	// K⁻¹ 1 gives the mean, and K⁻¹ y with it alpha.
	copy(l.alpha, l.y)
	l.solve(l.alpha)
	for i := range l.ones {
		l.ones[i] = 1
	}
	l.solve(l.ones)
	a, b := 0.0, 0.0
	for i := range l.ones {
		a, b = a+l.alpha[i], b+l.ones[i]
	}
	l.mean = a / b
	fit, logs := 0.0, 0.0
	for i := range l.alpha {
		l.alpha[i] -= l.mean * l.ones[i]
		fit += (l.y[i] - l.mean) * l.alpha[i]
		logs += math.Log(l.k[i*l.n+i])
	}
	return -fit/2 - logs - float64(l.n)/2*math.Log(2*math.Pi), nil
}

// matrix fills the lower triangle of plain, without noise, and of slope.
func (l *likelihood) matrix(variance float64) {
	d := l.features
	for i := range l.n {
		a := l.scaled[i*d : i*d+d]
		row, slope := l.plain[i*l.n:i*l.n+i+1], l.slope[i*l.n:i*l.n+i+1]
		for j := range row {
			row[j], slope[j] = l.kernel.at(squared(a, l.scaled[j*d:j*d+d]))
			row[j] *= variance
			slope[j] *= variance
		}
	}
}

// squared is the squared distance of two rows.
func squared(a, b []float64) float64 {
	b = b[:len(a)]
	sum := 0.0
	for f, v := range a {
		v -= b[f]
		sum += v * v
	}
	return sum
}

// at is the kernel at a squared distance, and its slope: -2 times its derivative by that.
func (k Kernel) at(r2 float64) (value, slope float64) {
	if r2 > 1e6 {
		return 0, 0 // exp(-1000) is less than any number, and infinity times it none
	}
	if k == Matern32 {
		s := math.Sqrt(3 * r2)
		e := math.Exp(-s)
		return (1 + s) * e, 3 * e
	}
	s := math.Sqrt(5 * r2)
	e := math.Exp(-s)
	return (1 + s + s*s/3) * e, 5. / 3 * (1 + s) * e
}

// factor makes k the Cholesky factor of plain and noise, with as little jitter as does.
func (l *likelihood) factor(variance, noise float64) error {
	tried := 0.0
	for jitter := 0.0; jitter <= l.maxJitter; jitter = max(jitter*10, 1e-12) {
		tried = jitter
		copy(l.k, l.plain)
		for i := range l.n {
			l.k[i*l.n+i] += noise + jitter*variance
		}
		sym := blas64.Symmetric{N: l.n, Stride: l.n, Data: l.k, Uplo: blas.Lower}
		if _, ok := lapack64.Potrf(sym); ok && l.sound(variance) {
			l.jitter = jitter
			return nil
		}
		if l.maxJitter == 0 {
			break
		}
	}
	return &SingularError{Rows: l.n, Jitter: tried}
}

// sound is whether every pivot is more than rounding alone makes it.
func (l *likelihood) sound(variance float64) bool {
	const eps = 0x1p-52
	least := variance * eps * float64(l.n)
	for i := range l.n {
		if p := l.k[i*l.n+i]; !(p*p > least) {
			return false
		}
	}
	return true
}

func (l *likelihood) triangular() blas64.Triangular {
	return blas64.Triangular{N: l.n, Stride: l.n, Data: l.k, Uplo: blas.Lower, Diag: blas.NonUnit}
}

// solve makes v K⁻¹ v.
func (l *likelihood) solve(v []float64) {
	vec := blas64.Vector{N: l.n, Inc: 1, Data: v}
	blas64.Trsv(blas.NoTrans, l.triangular(), vec)
	blas64.Trsv(blas.Trans, l.triangular(), vec)
}

// gradient writes the gradient of the value that was evaluated last (eq. 5.9). It takes the factor apart.
func (l *likelihood) gradient(theta, grad []float64) error {
	if _, ok := lapack64.Potri(l.triangular()); !ok {
		return &SingularError{Rows: l.n, Jitter: l.jitter}
	}
	m, d := l.lengths(), l.features
	clear(l.sum)
	total, trace, lengthOfAll := 0.0, 0.0, 0.0
	for i := range l.n {
		a := l.scaled[i*d : i*d+d]
		inv, plain, slope := l.k[i*l.n:i*l.n+i+1], l.plain[i*l.n:i*l.n+i+1], l.slope[i*l.n:i*l.n+i+1]
		w := l.alpha[i]*l.alpha[i] - inv[i]
		trace += w
		total += w * plain[i] / 2
		for j := range i {
			w := l.alpha[i]*l.alpha[j] - inv[j]
			total += w * plain[j]
			w *= slope[j]
			b := l.scaled[j*d : j*d+d]
			if m == 1 {
				lengthOfAll += w * squared(a, b)
				continue
			}
			sum := l.sum[:len(a)]
			for f, v := range a {
				v -= b[f]
				sum[f] += w * v * v
			}
		}
	}
	copy(grad, l.sum[:m])
	if m == 1 {
		grad[0] = lengthOfAll
	}
	variance := math.Exp(theta[m])
	grad[m] = total + l.jitter*variance*trace/2
	grad[m+1] = math.Exp(theta[m+1]) * trace / 2
	return nil
}
