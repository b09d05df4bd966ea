package twin

import "math"

// equations are a·x ≈ b, by least squares with x ≥ 0. Only a's products are kept, so rows cost nothing.
type equations struct {
	n   int
	ata []float64 // n×n
	atb []float64
}

func newEquations(n int) *equations {
	return &equations{n: n, ata: make([]float64, n*n), atb: make([]float64, n)}
}

// add adds one row; cols and values are those of it that are not zero.
func (e *equations) add(cols []int, values []float64, b, weight float64) {
	for i, c := range cols {
		for k, d := range cols {
			e.ata[c*e.n+d] += weight * values[i] * values[k]
		}
		e.atb[c] += weight * values[i] * b
	}
}

// near holds one unknown near a value.
func (e *equations) near(col int, value, weight float64) {
	e.ata[col*e.n+col] += weight
	e.atb[col] += weight * value
}

// solve goes through the unknowns one by one, each set to its best value of at least 0, until nothing moves (coordinate
// descent; the problem is convex).
func (e *equations) solve() []float64 {
	x := make([]float64, e.n)
	for range 20_000 {
		moved := 0.0
		for i := range x {
			d := e.ata[i*e.n+i]
			if d <= 0 {
				continue
			}
			r := e.atb[i]
			for k, v := range x {
				r -= e.ata[i*e.n+k] * v
			}
			next := math.Max(x[i]+r/d, 0)
			moved = math.Max(moved, math.Abs(next-x[i])/(math.Abs(next)+1e-300))
			x[i] = next
		}
		if moved < 1e-9 {
			break
		}
	}
	return x
}
