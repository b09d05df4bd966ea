package fault

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Draw lists all faults of a run in the order of their beginnings: the fixed ones, and the random ones drawn from the
// seed. The same seed and world give the same list. The error is nil or Problems, with everything that is wrong.
func (s *Schedule) Draw(seed uint64, w *World) ([]Fault, error) {
	if s == nil {
		return nil, nil
	}
	if err := s.CheckIn(w).Err(); err != nil {
		return nil, err
	}
	out := slices.Clone(s.Fixed)
	for _, d := range s.candidates(seed, w) {
		targets := d.entry.free(w, &d.fault, out)
		if len(targets) == 0 {
			continue
		}
		d.fault.Target = targets[d.rng.IntN(len(targets))]
		out = append(out, d.fault)
	}
	slices.SortStableFunc(out, func(a, b Fault) int { return cmp.Compare(a.At, b.At) })
	return out, nil
}

// drawn is a random fault that has no target yet; rng draws it.
type drawn struct {
	fault Fault
	entry *Random
	rng   *rand.Rand
}

// candidates draws when faults begin and their numbers, in the order of time.
func (s *Schedule) candidates(seed uint64, w *World) []drawn {
	var out []drawn
	for i := range s.Random {
		r := &s.Random[i]
		until := w.Duration
		if r.Until > 0 {
			until = r.Until
		}
		instants := rand.New(rand.NewPCG(seed, uint64(i+1)<<32))
		for at := r.From; ; {
			wait := float64(r.Every) * instants.ExpFloat64()
			if wait >= float64(until-at) {
				break
			}
			at += time.Duration(wait)
			d := drawn{entry: r, rng: rand.New(rand.NewPCG(seed, uint64(i+1)<<32|instants.Uint64()>>32))}
			if d.fault = r.draw(at, d.rng); at+d.fault.For >= w.Duration {
				d.fault.For = 0 // to the end
			}
			out = append(out, d)
		}
	}
	slices.SortStableFunc(out, func(a, b drawn) int { return cmp.Compare(a.fault.At, b.fault.At) })
	return out
}

// draw draws the numbers of one fault, always as many.
func (r *Random) draw(at time.Duration, rng *rand.Rand) Fault {
	f := Fault{Kind: r.Kind, At: at, For: within(r.For, rng), Amount: within(r.Amount, rng), Length: within(r.Length, rng),
		Period: within(r.Period, rng), Jitter: within(r.Jitter, rng), Errors: within(r.Errors, rng), Leak: within(r.Leak, rng)}
	if specs[r.Kind].amount.whole {
		f.Amount = min(max(float64(int64(f.Amount+0.5)), r.Amount.Min), r.Amount.Max)
	}
	return f
}

func within[T float64 | time.Duration](r Range[T], rng *rand.Rand) T {
	return min(r.Min+T(rng.Float64()*float64(r.Max-r.Min)), r.Max)
}

// free lists what a fault may hit without contradicting those that there are.
func (r *Random) free(w *World, f *Fault, there []Fault) []Target {
	var out []Target
	for _, t := range r.all(w, f) {
		g := *f
		g.Target = t
		ok := !slices.ContainsFunc(w.during(f), func(v Version) bool {
			_, message := v.lacks(w, &g)
			return message != ""
		})
		ok = ok && !slices.ContainsFunc(there, func(h Fault) bool { return g.contradicts(&h) })
		if ok {
			out = append(out, t)
		}
	}
	return out
}

// contradicts reports whether two faults can't both be.
func (f *Fault) contradicts(g *Fault) bool {
	if !f.together(g) {
		return false
	}
	if f.Kind == g.Kind {
		return f.Target.meets(g.Target)
	}
	return (f.Kind == NodeLost || g.Kind == NodeLost) && f.Node != "" && f.Node == g.Node
}

// all lists what a kind may hit when a fault begins.
func (r *Random) all(w *World, f *Fault) []Target {
	if len(r.Targets) > 0 {
		return r.Targets
	}
	allowed := specs[r.Kind].targets
	begins := w.during(&Fault{At: f.At, For: 1})
	var out []Target
	switch {
	case allowed == 0:
		return []Target{{}}
	case allowed == atNode:
		for _, n := range w.Nodes {
			out = append(out, Target{Node: n})
		}
	case len(begins) == 0:
	case allowed&atService != 0:
		for _, name := range begins[0].names() {
			out = append(out, Target{Service: name})
		}
	default:
		v := &begins[0]
		for _, name := range v.names() {
			id, _ := v.service(name)
			for _, to := range v.callees(id) {
				out = append(out, Target{From: name, To: v.Blueprint.App.Services[to].Name})
			}
		}
	}
	return out
}
