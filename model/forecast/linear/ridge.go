// Package linear is ridge regression that learns row by row: the normal equations are summed up as rows come, and solved
// when weights are asked for. One matrix serves any number of targets, which is what direct forecasts of several
// steps need.
package linear

import (
	"errors"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// Ridge is the sum of rows so far: features to targets, older rows counting less where Forget is below 1.
type Ridge struct {
	features, targets int
	forget            float64
	weight            float64   // sum of the rows' weights
	a                 []float64 // features × features, the upper triangle: sum of x xᵀ
	b                 []float64 // features × targets: sum of x yᵀ
	scratch           []float64
}

// New is a regression without rows. forget in (0, 1] is what each row's weight is multiplied by when another comes.
func New(features, targets int, forget float64) *Ridge {
	return &Ridge{features: features, targets: targets, forget: forget,
		a: make([]float64, features*features), b: make([]float64, features*targets), scratch: make([]float64, features*features)}
}

// Weight is how many rows count, the forgotten ones by what is left of them.
func (r *Ridge) Weight() float64 { return r.weight }

// Add takes a row in with a weight of its own.
func (r *Ridge) Add(x, y []float64, weight float64) {
	n, m := r.features, r.targets
	if r.forget < 1 {
		r.weight *= r.forget
		blas64.Scal(r.forget, blas64.Vector{N: n * n, Data: r.a, Inc: 1})
		blas64.Scal(r.forget, blas64.Vector{N: n * m, Data: r.b, Inc: 1})
	}
	r.weight += weight
	for i, v := range x {
		if v *= weight; v != 0 {
			row := r.a[i*n : (i+1)*n]
			for j := i; j < n; j++ {
				row[j] += v * x[j]
			}
			row = r.b[i*m : (i+1)*m]
			for j, t := range y {
				row[j] += v * t
			}
		}
	}
}

// ErrSingular is a system that has no solution within the precision of floats: the penalty is too small for it.
var ErrSingular = errors.New("linear: the features depend on each other")

// Solve writes the weights, features × targets, to into, which is made where it is too short. Feature i is held towards 0 with the
// penalty penalty · its own mean square, so that features need no common unit; one that was always 0 gets weight 0. A feature below
// free is penalised next to nothing: an intercept.
func (r *Ridge) Solve(penalty float64, free int, into []float64) ([]float64, error) {
	n, m := r.features, r.targets
	if len(into) < n*m {
		into = make([]float64, n*m)
	}
	into = into[:n*m]
	copy(into, r.b)
	copy(r.scratch, r.a)
	for i := range n {
		d := r.a[i*n+i]
		p := penalty
		if i < free {
			p = 0
		}
		r.scratch[i*n+i] = d + (p/max(r.weight, 1)+1e-9)*d
		if d == 0 {
			r.scratch[i*n+i] = 1
		}
	}
	t, ok := lapack64.Potrf(blas64.Symmetric{Uplo: blas.Upper, N: n, Data: r.scratch, Stride: n})
	if !ok {
		return nil, ErrSingular
	}
	lapack64.Potrs(t, blas64.General{Rows: n, Cols: m, Data: into, Stride: m})
	return into, nil
}

// Predict adds up x times weights, as Solve returns them, into y.
func Predict(weights, x, y []float64) {
	m := len(y)
	clear(y)
	for i, v := range x {
		if v == 0 {
			continue
		}
		row := weights[i*m : (i+1)*m]
		for j, w := range row {
			y[j] += v * w
		}
	}
}
