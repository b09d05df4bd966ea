package node

import "math"

// Share is a replica that wants CPU.
type Share struct {
	Busy   float64 // runnable threads
	Weight float64 // above 0
}

// Level is the λ at which replicas that get min(Busy, λ·Weight) cores each use up the cores, and +Inf where all get what
// they want. It allocates nothing.
func Level(cores float64, shares []Share) float64 {
	wanted := 0.0
	for i := range shares {
		wanted += shares[i].Busy
	}
	if wanted <= cores {
		return math.Inf(1)
	}
	level := 0.0
	for {
		// With level as a bound from below, those at or under it get all they want, and the rest shares what they leave.
		left, weight := cores, 0.0
		for i := range shares {
			if shares[i].Busy <= level*shares[i].Weight {
				left -= shares[i].Busy
			} else {
				weight += shares[i].Weight
			}
		}
		if weight == 0 { // by rounding
			return math.Inf(1)
		}
		next := left / weight
		if next <= level {
			return level
		}
		level = next
	}
}
