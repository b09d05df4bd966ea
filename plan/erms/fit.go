package erms

import (
	"math"

	"foresail.dev"
)

// grid is at how many loads a curve is looked at, and wide how many times larger the largest load must have been than the least.
const (
	grid = 24
	wide = 1.3
)

// Pieces draws two lines through what p95 is at the loads that were seen.
func (l learnt) Pieces(id foresail.ServiceID) (Model, bool) {
	_, v := l.Stage(id, "", 0)
	if v.Observations < 4 || !(v.To >= wide*v.From) || !(v.From > 0) {
		return Model{}, false
	}
	x, y := make([]float64, grid), make([]float64, grid)
	for i := range x {
		x[i] = v.From + (v.To-v.From)*float64(i)/(grid-1)
		s, _ := l.Stage(id, "", x[i])
		y[i] = s.Quantile(0.95)
	}
	return bend(x, y)
}

// bend fits two lines, split where that leaves least of the squares.
func bend(x, y []float64) (m Model, ok bool) {
	best := math.Inf(1)
	for k := 3; k <= len(x)-3; k++ {
		b, left := straight(x[:k], y[:k])
		a, right := straight(x[k:], y[k:])
		if left+right < best && a.A > b.A && b.A >= 0 {
			best, m, ok = left+right, NewModel(b, a), true
		}
	}
	if !ok { // it is no steeper later on
		p, _ := straight(x, y)
		m, ok = Model{Before: p, After: p, Inflection: x[len(x)-1]}, p.A >= 0
	}
	return m, ok
}

// straight is the least-squares line, and the squares that it leaves.
func straight(x, y []float64) (p Piece, left float64) {
	n, mx, my := float64(len(x)), 0.0, 0.0
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	xx, xy := 0.0, 0.0
	for i := range x {
		xx, xy = xx+(x[i]-mx)*(x[i]-mx), xy+(x[i]-mx)*(y[i]-my)
	}
	if xx > 0 {
		p.A = xy / xx
	}
	p.B = my - p.A*mx
	for i := range x {
		d := y[i] - p.A*x[i] - p.B
		left += d * d
	}
	return p, left
}
