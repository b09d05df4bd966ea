package callgraph

import (
	"errors"
	"fmt"
	"math"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// Graph is the end-to-end latency of the requests of one form. It is not safe for concurrent use: what is computed lies in
// memory of its own, and stages may change.
type Graph struct {
	form   *foresail.Form
	stages []dist.Stage
	root   *block
	sum    *dist.Sum        // where nothing goes on side by side
	exact  bool             // sum is used
	known  bool             // whether it is
	found  dist.Sensitivity // of sum
	grid   *grid            // else
	cells  int
	spill  float64 // the most that may lie beyond the grid
	fresh  bool    // what lies on the grid is of the stages as they are
	near   float64 // s above base: where the grid ends that is laid for a closer look; 0: it holds all but spill
	beyond float64 // what lies beyond near
	fixed  bool    // all stages are
	series []complex128
}

// Cells is how many cells graphs with visits side by side are computed on, unless Resolve says otherwise. Percentiles 95 and 99
// are then off by about 0.1 % of themselves at most, by 1 to 2 % on 128 cells, and by 0.003 % on 2048; the median, where one
// slow callee goes on beside far faster ones, three times that, and on 128 cells a fifth. Beyond 1-1e-7 they are not to
// be relied on. Graphs of exponentials in which nothing goes on side by side are exact, and have no cells.
const Cells = 512

// NewGraph makes the graph of a form. stages are by form.Visits, each the distribution of a single visit's own time (not
// of its Times in a row); those of visits that nobody waits for, or below such, are not looked at. It keeps neither slice.
// It fails where a stage is out of its range (dist.Stage.Check), and says at which visit.
func NewGraph(form *foresail.Form, stages []dist.Stage) (*Graph, error) {
	if form == nil {
		return nil, errors.New("a graph needs a form")
	}
	if len(stages) != len(form.Visits) {
		return nil, fmt.Errorf("%d stages for %d visits: one for each is needed", len(stages), len(form.Visits))
	}
	g := &Graph{form: form, stages: make([]dist.Stage, len(stages)), cells: Cells, spill: leastSpill}
	for i, s := range stages {
		if err := g.SetStage(i, s); err != nil {
			return nil, err
		}
	}
	g.root = compile(form, g.stages)
	if len(g.root.sides) == 0 {
		g.sum = dist.NewSum(g.root.terms...)
	}
	return g, nil
}

// Form is the form that the graph is of.
func (g *Graph) Form() *foresail.Form { return g.form }

// Stage is the own time of a visit, by index into Form().Visits.
func (g *Graph) Stage(visit int) dist.Stage { return g.stages[visit] }

// SetStage changes the own time of a visit. It fails, and changes nothing, where the stage is out of its range.
func (g *Graph) SetStage(visit int, s dist.Stage) error {
	if err := s.Check(); err != nil {
		v := g.form.Visits[visit]
		return fmt.Errorf("visit %d (service %d, operation %q): %w", visit, v.Service, v.Operation, err)
	}
	g.stages[visit] = s
	g.fresh, g.known = false, false
	return nil
}

// fewMixed is up to how many stages that take different times a sum with mixtures among them is computed exactly: of more the
// spectrum ends within the grid's, and the exact way takes longer.
const fewMixed = 3

// isExact says that the graph is a sum, and is computed as such.
func (g *Graph) isExact() bool {
	if g.sum == nil || g.known {
		return g.exact
	}
	mixed, random := false, 0
	for _, t := range g.root.terms {
		mixed = mixed || len(t.Of.Parts) > 0
		if !t.Of.IsFixed() {
			random += t.Times
		}
	}
	g.exact, g.known = !mixed || random <= fewMixed, true
	return g.exact
}

// SetRate changes the rate of a visit whose stage is a shifted exponential, in 1/s, above 0: the fast way, without checks.
func (g *Graph) SetRate(visit int, rate float64) {
	g.stages[visit].Rate = rate
	g.fresh = false
}

// Resolve sets on how many cells a graph is computed that is not exact: a multiple of 64 up to 65536, best one of powers of two
// and three. Time grows in proportion. It panics on another number.
func (g *Graph) Resolve(cells int) {
	if cells < 64 || cells > 65536 || cells%64 != 0 {
		panic(fmt.Sprintf("callgraph: %d cells: a multiple of 64 from 64 to 65536 is needed", cells))
	}
	g.cells, g.grid, g.fresh = cells, nil, false
}

const leastSpill = 1e-7 // of all requests

// settle brings what lies on the grid up to date, so that no more than spill lies beyond it, or no more than g.beyond where it
// is looked at closely.
func (g *Graph) settle(spill float64) {
	if g.fresh && g.spill <= spill {
		return
	}
	g.fresh, g.spill = true, spill
	g.root.settle()
	if g.fixed = math.IsInf(g.root.pole(), 1); g.fixed {
		return
	}
	if g.grid == nil {
		g.grid = newGrid(g.cells)
		g.series = make([]complex128, g.cells/2)
		g.root.drop()
	}
	g.near, g.beyond = 0, 0
	g.lay(g.root.reach(spill))
}

// lay computes what lies on the grid, which ends at a time above base.
func (g *Graph) lay(end float64) {
	g.grid.span(end)
	g.grid.forward(g.root)
	for j, k := range g.grid.smooth[:g.root.active] {
		p := g.root.phi[j]
		g.root.phi[j] = complex(k*real(p), k*imag(p))
	}
}

const (
	fewCells  = 16   // between the least latency and a time: too few to tell the probability of more
	mostAlias = 3000 // of that probability, one part in so many may lie beyond the grid
	glances   = 6    // how often the grid is made smaller, at most
)

// at is the probability of more than t seconds, and the density there. Where a rare part of an own time is far slower than all
// others, the grid that holds it has too few cells for the rest: a smaller one is laid then, on which the little that lies
// beyond comes to lie anywhere.
func (g *Graph) at(t, spill float64) (above, density float64) {
	if g.isExact() {
		above = g.sum.Above(t)
		return above, g.sum.Density()
	}
	g.settle(spill)
	t -= g.root.base
	if g.fixed {
		if t < g.root.longest() {
			return 1, 0
		}
		return 0, 0
	}
	above, density = g.grid.above(g.root, t)
	if g.near > 0 && (t > 0.7*g.near || above < 100*g.beyond) {
		g.fresh = false
		g.settle(spill)
		above, density = g.grid.above(g.root, t)
	}
	if g.near > 0 || t > fewCells*g.grid.h || above >= 0.999 {
		return above, density
	}
	all := g.grid.end()
	least, _ := g.grid.above(g.root, fewCells*g.grid.h) // which the cells can tell
	guess := math.Max(above, least)
	for range glances {
		if t > fewCells*g.grid.h {
			break
		}
		level := guess / mostAlias
		end, beyond := g.grid.remains(g.root, level)
		if end > g.grid.end()/3 {
			break
		}
		g.near, g.beyond = end, math.Max(beyond, level)
		g.lay(end)
		above, density = g.grid.above(g.root, t)
		if above < guess/30 { // the guess was of too few cells: once more, with more of the tail
			g.near, g.beyond = 0, 0
			g.lay(all)
		}
		guess = math.Max(above, least)
	}
	return guess, density
}

// Above is the probability that a request takes longer than t seconds.
func (g *Graph) Above(t float64) float64 {
	above, _ := g.at(t, leastSpill)
	return math.Min(math.Max(above, 0), 1)
}

// CDF is the probability that a request takes at most t seconds.
func (g *Graph) CDF(t float64) float64 {
	if g.isExact() {
		return g.sum.CDF(t)
	}
	return 1 - g.Above(t)
}

// Mean is the mean latency, in seconds.
func (g *Graph) Mean() float64 {
	if g.isExact() {
		return g.sum.Mean()
	}
	e := newEffect(len(g.stages))
	g.means(&e)
	m := 0.0
	for _, v := range e.share {
		m += v
	}
	return m
}

// means adds to e.share, by visit, the mean time that a request waits for the visit itself.
func (g *Graph) means(e *effect) {
	if g.isExact() {
		for i, t := range g.root.terms {
			e.share[g.root.visits[i]] += float64(t.Times) * t.Of.Mean()
		}
		return
	}
	g.settle(leastSpill)
	if g.fixed {
		g.root.fixedShares(1, e)
		return
	}
	clear(g.series)
	g.series[0] = 1
	g.grid.backward(g.root, g.series, true, e)
}

// evaluate adds to e what P(T > t) hangs on: with critical set, e.share is the time that requests above t wait for each visit,
// times their share; else e.logRate and e.shift are its derivatives.
func (g *Graph) evaluate(t, spill float64, critical bool, e *effect) (above, density float64) {
	if g.isExact() {
		g.sum.Evaluate(t, &g.found)
		for i, term := range g.root.terms {
			v := g.root.visits[i]
			e.logRate[v] += g.found.LogRate[i]
			e.shift[v] += float64(term.Times) * g.found.Density
			e.share[v] += g.found.Share[i]
		}
		return g.found.Above, g.found.Density
	}
	above, density = g.at(t, spill)
	if g.fixed {
		if above > 0 {
			g.root.fixedShares(1, e)
		}
		return above, density
	}
	switch t -= g.root.base; {
	case t >= g.grid.end():
		return 0, 0
	case t < 0: // nothing is below
		if critical {
			g.means(e)
		}
		return 1, 0
	}
	g.grid.weights(g.series, t)
	for j, p := range g.root.phi[:g.root.active] {
		g.series[j] *= p
	}
	g.grid.backward(g.root, g.series, critical, e)
	return above, density
}

// rough is about the mean and the variance: of blocks side by side the one with the largest mean.
func (g *Graph) rough() (mean, variance float64) { return g.root.rough() }

func (b *block) rough() (mean, variance float64) {
	for _, t := range b.terms {
		m, v, _ := t.Of.Cumulants()
		n := float64(t.Times)
		mean, variance = mean+n*m, variance+n*v
	}
	for _, s := range b.sides {
		var most, its float64
		for _, c := range s.branches {
			if m, v := c.rough(); m > most {
				most, its = m, v
			}
		}
		n := float64(s.times)
		mean, variance = mean+n*most, variance+n*its
	}
	return mean, variance
}
