package explore

import "math"

// op is one of the operations on a service's total cores.
type op struct {
	name  string
	share float64 // of the most cores that the service may have
	units float64 // or that many units
}

// ops are the artefact's operations, in the order of its biases.
var ops = [...]op{{"-0.1x", -0.1, 0}, {"-1", 0, -1}, {"0", 0, 0}, {"+1", 0, 1}, {"+0.25x", 0.25, 0}, {"+0.5x", 0.5, 0}}

const (
	hold    = 2 // index of the operation that keeps what is
	firstUp = 3
)

// fifth is the part of a unit that allocations below one are multiples of, and the least of them.
const fifth = 0.2

// next is the cores that an operation leads to: whole units, rounded up, and below one of them fifths, from one to the next.
func (o op) next(cores, most, unit float64) float64 {
	by := o.share*most + o.units*unit
	switch {
	case by == 0:
		return cores
	case by > 0:
		return ceil(cores+by, unit)
	}
	if to := ceil(cores+by, unit); to >= unit-slack {
		if to < cores-slack {
			return to
		}
		if to = ceil(cores, unit) - unit; to >= unit-slack { // rounding up would have undone it
			return to
		}
	}
	step := fifth * unit
	if cores > unit-slack {
		return unit - step
	}
	return max(ceil(cores, step)-step, step)
}

// slack is what cores may differ by and count as the same: clusters give them in thousandths for each replica.
const slack = 0.0005

// ceil is v rounded up to a multiple of unit.
func ceil(v, unit float64) float64 { return math.Ceil((v-slack)/unit) * unit }

// floor is the least that a service may have: what keeps its utilisation at the cap, where it is above; else a fifth.
func floor(cores, utilisation, limit, unit float64) float64 {
	if utilisation > limit {
		return ceil(cores*utilisation/limit, unit)
	}
	return fifth * unit
}
