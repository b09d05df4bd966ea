package sinan

import (
	"math"

	"foresail.dev"
	"foresail.dev/plan"
)

// roomy is the share of the maximum that replicas may come to have when one of them goes: well under all, so that a small
// raise does not bring it back.
const roomy = 0.5

// spread gives a service a total of cores: in CPU for each replica while that stays within its bounds, then in replicas.
// Replicas that were added go again when the rest has half of its maximum at most. It names the bound that moved replicas.
func spread(b foresail.Bounds, from foresail.Allocation, total float64) (foresail.Allocation, string) {
	to := from
	least, most := max(b.MinReplicas, 1), max(b.MaxReplicas, b.MinReplicas, 1)
	lo, hi := b.MinCPU, max(b.MaxCPU, b.MinCPU)
	n := float64(min(max(from.Replicas, least), most))
	bound := ""
	raise := total > from.Cores()
	switch each := total / n; {
	case hi > 0 && each > hi+rounding:
		n, bound = math.Ceil(total/hi-rounding), "max CPU of a replica"
	case lo > 0 && each < lo-rounding:
		n, bound = math.Floor(total/lo+rounding), "min CPU of a replica"
	case total < from.Cores()-rounding && hi > 0 && n > float64(least):
		if fewer := max(math.Ceil(total/(roomy*hi)-rounding), float64(least)); fewer < n {
			n, bound = fewer, "half of the max CPU of a replica"
		}
	}
	to.Replicas = min(max(int(n), least), most)
	if each := total / float64(to.Replicas); raise {
		to.CPU = plan.MilliUp(each)
	} else {
		to.CPU = plan.Milli(each)
	}
	to.CPU = min(max(to.CPU, lo), hi)
	return to, bound
}
