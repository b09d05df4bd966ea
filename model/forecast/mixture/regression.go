package mixture

import (
	"math"
	"time"

	"foresail.dev/model/forecast/linear"
)

// regression is one ridge over the rows of a group, solved again as rows come.
type regression struct {
	ridge   *linear.Ridge
	penalty float64
	weights []float64 // nil: not yet
	rows    int
	next    int // rows at which it is solved again
}

func newRegression(l layout, forget, penalty float64) *regression {
	return &regression{ridge: linear.New(l.size, l.m, forget), penalty: penalty, next: forecastFrom}
}

// forecastFrom is how many rows make a regression's first weights.
const forecastFrom = 20

func (r *regression) add(x, y []float64) {
	r.ridge.Add(x, y, 1)
	if r.rows++; r.rows >= r.next {
		if w, err := r.ridge.Solve(r.penalty, 1, r.weights); err == nil {
			r.weights = w
		}
		r.next = r.rows + min(max(1, r.rows/50), 30)
	}
}

// group is a view of the series with regressions on it. Their targets are changes from the last value, in units of the
// usual change.
type group struct {
	l          layout
	into, back func(float64) float64 // load to view, and back
	v          *view
	all        []*regression
	waiting    []pending // a ring: rows whose loads are yet to come, by origin
	targets    []float64
}

// pending is a row that waits for the m loads that follow it.
type pending struct {
	x          []float64
	last, unit float64
}

func newGroup(l layout, into, back func(float64) float64, all ...*regression) *group {
	g := &group{l: l, into: into, back: back, v: newView(), all: all, waiting: make([]pending, l.m), targets: make([]float64, l.m)}
	for i := range g.waiting {
		g.waiting[i].x = make([]float64, l.size)
	}
	return g
}

// push takes in load number t. learn is false while too many of the last m are guesses.
func (g *group) push(t int, load float64, at time.Time, learn bool) {
	g.v.push(g.into(load), g.l.reach)
	m := g.l.m
	slot := &g.waiting[t%m]
	if t >= m+5 && learn { // the row of m steps ago has all that followed it
		y := g.v.y[len(g.v.y)-m:]
		for k := range m {
			g.targets[k] = (y[k] - slot.last) / slot.unit
		}
		for _, r := range g.all {
			r.add(slot.x, g.targets)
		}
	}
	g.l.row(g.v, at, slot.x)
	slot.last, slot.unit = g.v.last(), g.v.unit()
}

// predict writes each regression's forecasts from load number t, none above highest.
func (g *group) predict(t int, highest float64, out [][]float64) {
	slot := &g.waiting[t%g.l.m]
	for i, r := range g.all {
		if r.weights == nil {
			for k := range out[i] {
				out[i][k] = max(g.back(slot.last), 0)
			}
			continue
		}
		linear.Predict(r.weights, slot.x, out[i])
		for k, d := range out[i] {
			y := g.back(slot.last + d*slot.unit)
			if math.IsNaN(y) {
				y = g.back(slot.last)
			}
			out[i][k] = min(max(y, 0), highest)
		}
	}
}

func identity(x float64) float64 { return x }
func logOf(x float64) float64    { return math.Log1p(x) }
func expOf(x float64) float64    { return math.Expm1(min(x, 700)) }
