package profile

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"foresail.dev"
)

// Of two operations of a service one may need several times the CPU of the other, so that as many visits are more load when the
// mix is another. So load is counted in visits of the mean cost: each visit by its weight, which is the CPU that its operation
// needs over the mean of all visits that were seen. Weights are told apart as mixes differ.

// rate is how many visits of an operation a container gets.
type rate struct {
	Operation string  `json:"op"`
	Visits    float64 `json:"visits"` // per second and ready container
}

// ratesOf are those of an interval: as many in all as the load, in the shares of own times that were observed.
func ratesOf(own []ownTimes, load float64) (out []rate) {
	all := 0.0
	for i := range own {
		all += own[i].times.Count()
	}
	if math.IsInf(all, 1) || math.IsInf(load, 0) || math.IsNaN(load) {
		return nil // counts of nonsense have no shares
	}
	for i := range own {
		if n := load * (own[i].times.Count() / all); n > 0 { // not those so few that nothing is left of them
			out = append(out, rate{own[i].operation, n})
		}
	}
	return out
}

// Weight is how much CPU a visit of an operation needs, over the mean of the service's visits; 1 where that is not known.
func (p *Profiler) Weight(s foresail.ServiceID, operation string) float64 {
	if int(s) < 0 || int(s) >= len(p.services) {
		return 1
	}
	return p.services[s].weights(p.cfg).of(operation)
}

// weights are those of a service's operations, ascending by name; empty where all are 1.
type weights []rate

func (w weights) of(operation string) float64 {
	if at, found := slices.BinarySearchFunc(w, operation, func(r rate, name string) int { return strings.Compare(r.Operation, name) }); found {
		return w[at].Visits
	}
	return 1
}

// load is that of an interval in visits of the mean cost.
func (w weights) load(u *usage) float64 {
	if len(w) == 0 || len(u.Rates) == 0 {
		return u.Load
	}
	sum := 0.0
	for _, r := range u.Rates {
		sum += r.Visits * w.of(r.Operation)
	}
	return sum
}

// Bounds of weights: between how many operations costs are told apart, the others being one together; how much the mean cost
// counts beside what was observed, where this says little; and how many intervals it takes.
const (
	mostCosts  = 16
	prior      = 0.001
	fewestUses = 4
)

// weights estimates costs by least squares of the relative errors of what was used, none below zero, from intervals in which CPU
// was left.
func (v *service) weights(cfg Config) weights {
	if v.costs != nil {
		return *v.costs
	}
	w := v.estimate(cfg)
	v.costs = &w
	return w
}

func (v *service) estimate(cfg Config) weights {
	uses := make([]*usage, 0, len(v.usage))
	mean := map[string]float64{}
	for i := range v.usage {
		if u := &v.usage[i]; len(u.Rates) > 0 && u.Used < full*u.CPU {
			uses = append(uses, u)
			for _, r := range u.Rates {
				mean[r.Operation] += r.Visits
			}
		}
	}
	if len(uses) < fewestUses || len(mean) < 2 {
		return nil
	}
	var out weights
	for name, r := range mean {
		out = append(out, rate{name, r})
	}
	slices.SortFunc(out, func(a, b rate) int {
		return cmp.Or(cmp.Compare(b.Visits, a.Visits), strings.Compare(a.Operation, b.Operation))
	})
	column := make(map[string]int, len(out))
	for i, r := range out {
		column[r.Operation] = min(i, mostCosts-1)
	}
	k := min(len(out), mostCosts)
	e := newEquations(k + 1) // the last is what is used without visits
	newest := uses[len(uses)-1]
	x := make([]float64, k+1)
	used, visits := 0.0, 0.0
	for _, u := range uses {
		clear(x)
		for _, r := range u.Rates {
			x[column[r.Operation]] += r.Visits
		}
		x[k] = 1
		age := math.Exp2(-float64(newest.End-u.End) / cfg.HalfLife.Seconds())
		off := u.Used + 0.02*u.CPU
		e.add(x, u.Used, age/(off*off))
		used, visits = used+age*u.Used, visits+age*u.Load
	}
	if !(used > 0) {
		return nil
	}
	cost := used / visits
	for j := range k {
		e.expect(j, cost, prior)
	}
	e.expect(k, 0, 1e-4)
	c := e.solve(cost)
	total, all := 0.0, 0.0
	for _, r := range out {
		total, all = total+r.Visits*c[column[r.Operation]], all+r.Visits
	}
	if !(total > 0) {
		return nil
	}
	for i := range out {
		out[i].Visits = min(max(c[column[out[i].Operation]]/(total/all), 0.01), 100)
	}
	slices.SortFunc(out, func(a, b rate) int { return strings.Compare(a.Operation, b.Operation) })
	return out
}

// weighed are observations with their loads in visits of the mean cost: as the CPU that was used tells, where visits differ in cost.
func (v *service) weighed(seen []observation, cfg Config) []observation {
	if len(v.weights(cfg)) == 0 {
		return seen
	}
	sat := v.saturation(cfg)
	out := slices.Clone(seen)
	for i := range out {
		if e := &out[i]; e.Used > 0 && sat.Load > 0 {
			e.Load = max((e.Used-sat.Idle)/sat.Visit, 0.01*e.Load)
		}
	}
	return out
}

// equations are the normal equations of least squares.
type equations struct {
	n    int
	a, b []float64 // n by n, and n
}

func newEquations(n int) *equations { return &equations{n, make([]float64, n*n), make([]float64, n)} }

func (e *equations) add(x []float64, y, w float64) {
	for i, v := range x {
		for j, u := range x {
			e.a[i*e.n+j] += w * v * u
		}
		e.b[i] += w * v * y
	}
}

// expect makes a number count as if a share of the evidence on unknown i had been seen to say so.
func (e *equations) expect(i int, value, share float64) {
	more := share * e.a[i*e.n+i]
	e.a[i*e.n+i] += more
	e.b[i] += more * value
}

// solve finds the least squares with no unknown below zero, one unknown after the other until nothing moves.
func (e *equations) solve(start float64) []float64 {
	x := make([]float64, e.n)
	for i := range e.n - 1 {
		x[i] = start
	}
	for range 2000 {
		most := 0.0
		for i := range x {
			if !(e.a[i*e.n+i] > 0) {
				continue
			}
			r := e.b[i]
			for j, v := range x {
				r -= e.a[i*e.n+j] * v
			}
			to := max(x[i]+r/e.a[i*e.n+i], 0)
			most = max(most, math.Abs(to-x[i])/(math.Abs(x[i])+start*1e-3))
			x[i] = to
		}
		if most < 1e-6 {
			break
		}
	}
	return x
}
