package sinan

import (
	"math"

	"foresail.dev"
)

// An operation changes the cores of one service: by a share of its maximum, or by units.
type operation struct {
	name  string
	share float64 // of the maximum, with the replicas that there are
	units float64
}

// The operations of the artefact; x is the service's maximum.
var (
	downs = [...]operation{{"-0.1x", -0.1, 0}, {"-1", 0, -1}}
	ups   = [...]operation{{"+1", 0, 1}, {"+0.25x", 0.25, 0}, {"+0.5x", 0.5, 0}}
)

// grid is what totals of one service may be: whole units above one unit and fifths of one below, between least and most.
// With a unit of one core that is the artefact's: 0.2, 0.4, 0.6, 0.8, 1, 2, 3 and so on.
type grid struct {
	least, most float64 // cores
	// full is what the replicas that there are can have: the maximum that operations are shares of, and what everything is
	// raised to when nothing else is safe. The artefact's services had what replicas they had, and so has a cluster whose
	// bounds allow many times what its nodes could carry.
	full float64
	unit float64 // cores; 0: the service can't be changed
}

// newGrid is the grid of a service with so many replicas. A service with a small maximum has a smaller unit, a quarter of it,
// so that there are as many steps between its ends as the artefact's services have.
func newGrid(b foresail.Bounds, replicas int, unit float64) grid {
	g := grid{least: float64(max(b.MinReplicas, 1)) * b.MinCPU, most: b.Max().Cores()}
	g.full = g.within(float64(max(replicas, 1)) * max(b.MaxCPU, b.MinCPU))
	if g.most > g.least {
		g.unit = min(unit, g.full/4)
	}
	return g
}

// fifths is how many steps there are in the first unit.
const fifths = 5

// rounding is what two totals may differ by and still be the same.
const rounding = 1e-6

// up is the smallest total on the grid that is at least cores, within the bounds.
func (g grid) up(cores float64) float64 {
	if g.unit == 0 {
		return g.most
	}
	step := g.unit
	if cores <= g.unit+rounding {
		step = g.unit / fifths
	}
	return g.within(math.Ceil(cores/step-rounding) * step)
}

// within moves a total into the bounds; one that is not a number becomes the most.
func (g grid) within(cores float64) float64 {
	if !(cores <= g.most) {
		return g.most
	}
	return max(cores, g.least)
}

// apply is what an operation makes of so many cores. A reduction from one unit or less is of a fifth of a unit, whatever it
// is called.
func (g grid) apply(o operation, cores float64) float64 {
	if g.unit == 0 {
		return cores
	}
	to := cores + o.share*g.full + o.units*g.unit
	switch {
	case to < cores && cores <= g.unit+rounding:
		step := g.unit / fifths
		to = (math.Ceil(cores/step-rounding) - 1) * step
	case to < cores:
		to = min(max(g.up(to), g.unit), cores) // a unit is not passed at one go: it is what smaller steps begin from
	default:
		to = math.Ceil(to/g.unit-rounding) * g.unit
	}
	return g.within(to)
}
