package profile

import (
	"math"
	"slices"

	"foresail.dev"
)

// Saturation is how much load one container of a service can take: where its CPU is used up. Other things may be used up
// before.
type Saturation struct {
	Load float64 `json:"load"` // visits of the mean cost per second and ready container; 0: not known
	// Idle is the CPU, in cores, that a container uses without load, and Visit the core-seconds of a visit of the mean cost.
	Idle  float64 `json:"idle"`
	Visit float64 `json:"visit"`
	CPU   float64 `json:"cpu"` // cores that a container has
	// Fitted: Idle and Visit are the line through what was used at several loads; otherwise all that was used is counted to
	// visits.
	Fitted bool `json:"fitted"`
}

// Utilisation is the share of its CPU that a container uses at a load; 0 where it is not known.
func (s Saturation) Utilisation(load float64) float64 {
	if !(s.CPU > 0) {
		return 0
	}
	return (s.Idle + s.Visit*load) / s.CPU
}

// crowd is by how much processor sharing lengthens what takes no time of others, as a logarithm: ln 1/(1-ρ). From 99 % on it
// doesn't grow.
func (s Saturation) crowd(load float64) float64 {
	return -math.Log1p(-min(s.Utilisation(load), 0.99))
}

// Saturation tells how much load a container of the service can take, with the CPU it has now; ok is false where its use of
// CPU, its allocation or its load is not known.
func (p *Profiler) Saturation(s foresail.ServiceID) (sat Saturation, ok bool) {
	if int(s) < 0 || int(s) >= len(p.services) {
		return sat, false
	}
	sat = p.services[s].saturation(p.cfg)
	return sat, sat.Load > 0
}

// full is the share of its CPU from which on a container's is taken to be used up.
const full = 0.9

func (v *service) saturation(cfg Config) Saturation {
	if v.sat == nil {
		v.sat = new(v.saturate(cfg))
	}
	return *v.sat
}

func (v *service) saturate(cfg Config) (s Saturation) {
	if len(v.usage) == 0 {
		return s
	}
	weighed := v.weights(cfg)
	newest := &v.usage[len(v.usage)-1]
	s.CPU = newest.CPU
	var n, mx, my float64
	least, largest := math.Inf(1), 0.0
	// Where all of the CPU was used it isn't known what more would have been, and what is refused or given up costs less: such
	// intervals count only where there are no others.
	spent := !slices.ContainsFunc(v.usage, func(u usage) bool { return u.Used < full*u.CPU })
	weight := func(u *usage) float64 {
		if !spent && u.Used >= full*u.CPU {
			return 0
		}
		return math.Exp2(-float64(newest.End-u.End) / cfg.HalfLife.Seconds())
	}
	for i := range v.usage {
		u := &v.usage[i]
		w := weight(u)
		if w == 0 {
			continue
		}
		load := weighed.load(u)
		n, mx, my = n+w, mx+w*load, my+w*u.Used
		least, largest = min(least, load), max(largest, load)
	}
	mx, my = mx/n, my/n
	var xx, xy float64
	for i := range v.usage {
		u := &v.usage[i]
		w := weight(u)
		d := weighed.load(u) - mx
		xx, xy = xx+w*d*d, xy+w*d*(u.Used-my)
	}
	s.Visit = my / mx
	if largest >= 1.5*least && len(v.usage) >= 3 && xx > 0 {
		// A line that begins below zero would promise room that there may not be.
		if slope := xy / xx; slope > 0 && my-slope*mx >= 0 {
			s.Visit, s.Idle, s.Fitted = slope, my-slope*mx, true
		}
	}
	if !(s.Visit > 0) {
		return Saturation{}
	}
	s.Load = max((s.CPU-s.Idle)/s.Visit, math.SmallestNonzeroFloat64)
	return s
}
