package load

import "slices"

// Seeded is the load with what is left open in it drawn from a run's seed: loads that are uncertain without a seed of
// their own. So every run meets another week of the same load, and all that share a seed the same one. l is as it was.
func (l *Load) Seeded(seed uint64) *Load {
	out := *l
	for i := range l.Curve {
		u := l.Curve[i].Uncertain
		if u == nil || u.Seed != 0 {
			continue
		}
		if &out.Curve[0] == &l.Curve[0] {
			out.Curve = slices.Clone(l.Curve)
		}
		own := *u
		own.Seed = derive(seed, uint64(i))
		out.Curve[i].Uncertain = &own
	}
	if w := l.Wander; w != nil && w.Seed == 0 {
		own := *w
		own.Seed = derive(seed, 1<<32)
		out.Wander = &own
	}
	return &out
}

// derive is a seed of its own for each pair, never 0.
func derive(seed, of uint64) uint64 {
	z := seed + (of+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31 | 1
}
