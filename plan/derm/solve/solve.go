package solve

import "math"

// Relax is the cheapest answer for containers that need not be whole: Solution.Relaxed, and what belongs to it.
// Containers and Cost are left empty. The error tells what is wrong with the problem.
func Relax(p *Problem) (*Solution, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	w := newWork(p)
	w.reach()
	w.relax()
	return w.solution(), nil
}

// Solve is the cheapest answer found in whole containers. Where a limit can't be held, it comes as near to it as can be:
// see Answer. The error tells what is wrong with the problem.
func Solve(p *Problem) (*Solution, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	w := newWork(p)
	w.reach()
	w.relax()
	s := w.solution()
	r := newRounding(w)
	r.solve()
	s.Containers = r.best
	s.Asked = w.asked
	for m, n := range r.best {
		s.Cost += float64(n) * p.Services[m].Cost
	}
	for i := range r.ends {
		s.Endpoints[i].Latency = r.ends[i].found
	}
	return s, nil
}

// solution is what the relaxed problem's state says.
func (w *work) solution() *Solution {
	s := &Solution{Relaxed: append([]float64(nil), w.k...), Residual: w.residual(), Asked: w.asked}
	for m := range w.k {
		s.Bound += w.k[m] * w.p.Services[m].Cost
	}
	for i := range w.ends {
		e := &w.ends[i]
		e.answer.Latency, e.answer.Limit, e.answer.Price = e.latency, e.limit, e.price
		s.Endpoints = append(s.Endpoints, e.answer)
	}
	return s
}

// rounding is the search for whole numbers.
type rounding struct {
	*work
	ends    []rounded
	of      [][]place // by service: where it is needed
	n       []int     // containers now
	low     []int
	high    []int
	best    []int // the cheapest that holds every limit, so far
	budget  int
	at      []float64 // scratch: n as real numbers
	touched []int     // scratch: endpoints
	mark    []int     // by endpoint: when it was touched last
	stamp   int
}

// place is a service's place in an endpoint.
type place struct{ end, at int }

// rounded is an endpoint while whole numbers are sought.
type rounded struct {
	*end
	anchor  []float64 // containers, by place, where the separable problem was made
	slack   float64   // limit less latency at n, as the separable problem has it
	now     float64   // latency at n, where known
	trial   float64   // latency of what is being tried
	found   float64   // latency at best
	allowed float64   // the limit, and what counts as rounding of numbers
}

func newRounding(w *work) *rounding {
	n := len(w.k)
	r := &rounding{work: w, ends: make([]rounded, len(w.ends)), of: make([][]place, n), n: make([]int, n), low: make([]int, n),
		high: make([]int, n), at: make([]float64, n), mark: make([]int, len(w.ends))}
	counts := make([]int, n)
	size := 0
	for i := range w.ends {
		for _, m := range w.ends[i].Services {
			counts[m]++
			size++
		}
	}
	places, anchors := make([]place, size), make([]float64, size)
	for m, c := range counts {
		r.of[m], places = places[:0:c], places[c:]
		r.low[m] = min(int(math.Ceil(w.low[m]-1e-9)), w.p.Services[m].High)
		r.high[m] = w.p.Services[m].High
	}
	for i := range w.ends {
		e := &r.ends[i]
		e.end = &w.ends[i]
		e.allowed = e.limit * (1 + 1e-9)
		e.anchor, anchors = anchors[:len(e.Services)], anchors[len(e.Services):]
		for j, m := range e.Services {
			r.of[m] = append(r.of[m], place{i, j})
		}
	}
	r.budget = w.p.Budget
	if r.budget == 0 {
		r.budget = w.asked + max(400, len(w.ends))
	}
	return r
}

// solve leaves the answer in best.
func (r *rounding) solve() {
	for m, k := range r.k {
		r.n[m] = min(max(int(math.Ceil(k-1e-6)), r.low[m]), r.high[m])
	}
	r.anchorAt(r.k)
	r.sink()
	for range 6 {
		r.measure()
		moved := false
		if r.holds() {
			r.keep()
			moved = r.sink()
		} else {
			moved = r.raise()
		}
		if !moved {
			break // what the separable problem could find is found
		}
	}
	if r.best == nil {
		r.climb()
	}
	r.exchange()
}

// price is what containers cost; without end for none.
func (r *rounding) price(n []int) float64 {
	if n == nil {
		return math.Inf(1)
	}
	sum := 0.0
	for m, k := range n {
		sum += float64(k) * r.p.Services[m].Cost
	}
	return sum
}

// anchorAt makes the separable problem of where slopes were asked for, and the slack at n of it.
func (r *rounding) anchorAt(k []float64) {
	for i := range r.ends {
		e := &r.ends[i]
		e.slack = e.limit - e.latency
		for j, m := range e.Services {
			e.anchor[j] = k[m]
			d := k[m] - r.kappa[m]
			e.q[j] = max(-e.slope[j], 0) * d * d
			e.slack += e.q[j] * (1/d - 1/(float64(r.n[m])-r.kappa[m]))
		}
	}
}

// measure asks for the truth at n, and makes the separable problem anew there.
func (r *rounding) measure() {
	for m, n := range r.n {
		r.at[m] = float64(n)
	}
	for i := range r.ends {
		e := &r.ends[i]
		e.now = r.ask(e.end, r.at, e.slope)
		e.latency = e.now
	}
	r.anchorAt(r.at)
}

func (r *rounding) holds() bool {
	for i := range r.ends {
		if r.ends[i].now > r.ends[i].allowed {
			return false
		}
	}
	return true
}

// keep takes n for the best, if it is cheaper. The latencies at n are known.
func (r *rounding) keep() {
	if r.price(r.n) >= r.price(r.best) {
		return
	}
	r.best = append(r.best[:0], r.n...)
	for i := range r.ends {
		r.ends[i].found = r.ends[i].now
	}
}

// change is what the separable problem of a place says of going from n to so many containers: seconds.
func (r *rounding) change(p place, n, to int) float64 {
	e := &r.ends[p.end]
	kappa := r.kappa[e.Services[p.at]]
	if float64(to) <= kappa {
		return math.Inf(1)
	}
	return e.q[p.at] * (1/(float64(to)-kappa) - 1/(float64(n)-kappa))
}

// move goes to so many containers of a service, in the separable problem.
func (r *rounding) move(m, to int) {
	for _, p := range r.of[m] {
		r.ends[p.end].slack -= r.change(p, r.n[m], to)
	}
	r.n[m] = to
}

// sink takes containers away while the separable problem allows it, always the one that saves most for the slack it uses up,
// and reports whether any was.
func (r *rounding) sink() (any bool) {
	for {
		best, score := -1, 0.0
		for m := range r.n {
			if r.n[m] <= r.low[m] {
				continue
			}
			uses := 0.0
			for _, p := range r.of[m] {
				d := r.change(p, r.n[m], r.n[m]-1)
				s := r.ends[p.end].slack
				if d > s {
					uses = math.Inf(1)
					break
				}
				if d > 0 {
					uses += d / s
				}
			}
			if math.IsInf(uses, 1) {
				continue
			}
			if v := r.p.Services[m].Cost / max(uses, 1e-12); v > score {
				best, score = m, v
			}
		}
		if best < 0 {
			return any
		}
		any = true
		r.move(best, r.n[best]-1)
	}
}

// raise adds containers until the separable problem holds every limit, always the one that gains most for its cost, and
// reports whether any was added.
func (r *rounding) raise() (any bool) {
	for {
		best, score := -1, 0.0
		for m := range r.n {
			if r.n[m] >= r.high[m] {
				continue
			}
			gain := 0.0
			for _, p := range r.of[m] {
				if s := r.ends[p.end].slack; s < 0 {
					gain += min(-r.change(p, r.n[m], r.n[m]+1), -s)
				}
			}
			if v := gain / r.p.Services[m].Cost; v > score {
				best, score = m, v
			}
		}
		if best < 0 {
			return any
		}
		any = true
		r.move(best, r.n[best]+1)
	}
}

// climb goes to what surely holds what can be held: the relaxed answer rounded up and, failing that, all there is.
func (r *rounding) climb() {
	for _, all := range []bool{false, true} {
		for m, k := range r.k {
			r.n[m] = min(max(int(math.Ceil(k-1e-6)), r.low[m]), r.high[m])
			if all && len(r.of[m]) > 0 {
				r.n[m] = r.high[m]
			}
		}
		r.measure()
		if r.holds() || all {
			r.keep()
			return
		}
	}
}
