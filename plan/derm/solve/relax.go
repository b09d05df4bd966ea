package solve

import (
	"math"
)

// How exact an answer is.
const (
	rounds    = 60   // of the sequence of separable problems at most
	still     = 1e-4 // a round in which no number moves by a larger share is the last
	sweeps    = 200  // over the prices of a separable problem at most
	even      = 1e-8 // share of its limit up to which a separable problem's endpoint is exact
	headroom  = 1.02 // at least so many times what saturates a service
	farthest  = 3.0  // factor by which a distance from saturation may change in a round
	leastGain = 1e-4 // a limit that can't be held is taken for so much more than the least latency there is, as a share, at least
)

// work is a problem that is being solved.
type work struct {
	p         *Problem
	low, high []float64 // of each service
	k         []float64 // containers now
	kappa     []float64 // where each saturates
	ends      []end
	sum       []float64 // by service: Σ price·q of the endpoints that need it
	used      []bool    // by service: an endpoint needs it
	asked     int
	scratch   []float64
}

// end is an endpoint that is being solved for.
type end struct {
	*Endpoint
	limit   float64
	latency float64   // at the containers now
	slope   []float64 // there
	q       []float64 // of the separable problem: what each service adds is q/(k-κ)
	least   float64   // of the separable problem: what Σ q/(k-κ) may be
	price   float64
	answer  Answer
}

func newWork(p *Problem) *work {
	n := len(p.Services)
	all := make([]float64, 5*n)
	w := &work{p: p, low: all[:n], high: all[n : 2*n], k: all[2*n : 3*n], kappa: all[3*n : 4*n], sum: all[4*n:],
		ends: make([]end, len(p.Endpoints)), used: make([]bool, n)}
	for i := range p.Services {
		s := &p.Services[i]
		w.kappa[i] = s.Saturates
		w.high[i] = float64(s.High)
		w.low[i] = min(max(float64(s.Low), headroom*s.Saturates), w.high[i])
		if w.kappa[i] >= w.low[i]/headroom { // it can't do its work with all there is: the best is all there is
			w.kappa[i] = w.low[i] / headroom
		}
	}
	size, most := 0, 0
	for i := range p.Endpoints {
		size += len(p.Endpoints[i].Services)
		most = max(most, len(p.Endpoints[i].Services))
	}
	flat := make([]float64, 2*size)
	w.scratch = make([]float64, most)
	for i := range w.ends {
		e := &w.ends[i]
		e.Endpoint, e.limit = &p.Endpoints[i], p.Endpoints[i].Limit
		n := len(e.Services)
		e.slope, e.q, flat = flat[:n:n], flat[n:2*n:2*n], flat[2*n:]
		for _, m := range e.Services {
			w.used[m] = true
		}
	}
	return w
}

// ask is an endpoint's latency with k containers of each service.
func (w *work) ask(e *end, k, slope []float64) float64 {
	x := w.scratch[:len(e.Services)]
	for i, m := range e.Services {
		x[i] = k[m]
	}
	w.asked++
	return e.Latency(x, slope)
}

// reach finds out which limits can be held at all, with everything at its maximum, and puts the least latency there is in
// the place of those that can't.
func (w *work) reach() {
	copy(w.k, w.high)
	for i := range w.ends {
		e := &w.ends[i]
		e.latency = w.ask(e, w.high, e.slope)
		e.answer.Reachable = e.latency <= e.Endpoint.Limit
		if !e.answer.Reachable {
			e.limit = e.latency * (1 + max(w.p.Slack, leastGain))
			e.answer.Bounds = bounds(e)
		}
	}
}

// bounds are the services that hold an endpoint back where all are at their maximum.
func bounds(e *end) (out []int) {
	left := append([]float64(nil), e.slope...)
	for range min(3, len(left)) {
		best := -1
		for i, s := range left {
			if s < 0 && (best < 0 || s < left[best]) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		left[best] = 0
		out = append(out, e.Services[best])
	}
	return out
}

// relax moves k to the cheapest that holds every limit, whole or not.
func (w *work) relax() {
	for m := range w.k {
		if !w.used[m] {
			w.k[m] = w.low[m]
		}
	}
	before := make([]float64, len(w.k))
	damp := 1.0
	last := math.Inf(1)
	for m, k := range w.p.Start {
		if w.used[m] && k > 0 {
			w.k[m] = min(max(k, w.low[m]), w.high[m])
		}
	}
	for round := range rounds {
		if round > 0 || w.p.Start != nil {
			for i := range w.ends {
				w.ends[i].latency = w.ask(&w.ends[i], w.k, w.ends[i].slope)
			}
		}
		for i := range w.ends {
			w.separate(&w.ends[i])
		}
		copy(before, w.k)
		w.dual()
		moved := 0.0
		for m := range w.k {
			lo, hi := (before[m]-w.kappa[m])/farthest, (before[m]-w.kappa[m])*farthest
			to := w.kappa[m] + min(max(w.k[m]-w.kappa[m], lo), hi)
			w.k[m] = before[m] + damp*(to-before[m])
			moved = max(moved, math.Abs(w.k[m]-before[m])/before[m])
		}
		if moved < still {
			break
		}
		if round > 5 && moved > 0.7*last { // it goes round in circles: smaller steps
			damp = max(damp*0.7, 0.1)
		}
		last = moved
	}
	for i := range w.ends {
		w.ends[i].latency = w.ask(&w.ends[i], w.k, w.ends[i].slope)
	}
}

// separate replaces an endpoint's latency near k by latency + Σ q·(1/(k-κ) - 1/(k now - κ)).
func (w *work) separate(e *end) {
	sum := 0.0
	for i, m := range e.Services {
		d := w.k[m] - w.kappa[m]
		e.q[i] = max(-e.slope[i], 0) * d * d
		sum += e.q[i] / d
	}
	e.least = e.limit - e.latency + sum
}

// containers is the number of a service that is cheapest at the prices now: cost = Σ price·q/(k-κ)².
func (w *work) containers(m int) float64 {
	return min(max(w.kappa[m]+math.Sqrt(max(w.sum[m], 0)/w.p.Services[m].Cost), w.low[m]), w.high[m])
}

// dual solves the separable problem: it raises and lowers the price of each endpoint's limit, one after the other, until it
// is just held or costs nothing, again and again until all are.
func (w *work) dual() {
	clear(w.sum)
	for i := range w.ends {
		e := &w.ends[i]
		for j, m := range e.Services {
			w.sum[m] += e.price * e.q[j]
		}
	}
	for range sweeps {
		worst := 0.0
		for i := range w.ends {
			e := &w.ends[i]
			before := e.price
			w.balance(e)
			if off := math.Abs(e.price - before); off > 0 {
				worst = max(worst, off/max(before, e.price))
			}
		}
		if worst < 1e-6 {
			break
		}
	}
	for m := range w.k {
		if w.used[m] {
			w.k[m] = w.containers(m)
		}
	}
}

// balance sets an endpoint's price so that its limit is just held at the others' prices, or to 0 where it is held anyway.
func (w *work) balance(e *end) {
	w.charge(e, -e.price)
	old := e.price
	e.price = 0
	over, _ := w.over(e, 0)
	if over <= 0 {
		return
	}
	// The excess falls as the price grows. Newton's steps on its logarithm, kept between what is too little and too much.
	lo, hi := 0.0, math.Inf(1)
	x := old
	if x <= 0 {
		x = w.startPrice(e)
	}
	for range 100 {
		over, slope := w.over(e, x)
		if math.Abs(over) <= even*e.limit {
			break
		}
		if over > 0 {
			lo = x
		} else {
			hi = x
		}
		next := math.NaN()
		if slope < 0 {
			next = x * math.Exp(min(max(-over/(slope*x), -3), 3))
		}
		switch {
		case next > lo && next < hi:
		case math.IsInf(hi, 1):
			next = 8 * x
		case lo == 0:
			next = hi / 8
		default:
			next = math.Sqrt(lo * hi)
		}
		if next > 1e200 || !math.IsInf(hi, 1) && hi-lo <= 1e-13*hi {
			break // all are at their maximum
		}
		x = next
	}
	e.price = x
	w.charge(e, x)
}

// startPrice is where the search for a price begins: where the service with the largest say is worth its cost.
func (w *work) startPrice(e *end) float64 {
	best := 0.0
	for j, m := range e.Services {
		d := w.k[m] - w.kappa[m]
		if g := e.q[j] / (d * d) / w.p.Services[m].Cost; g > best {
			best = g
		}
	}
	if best == 0 {
		return 1
	}
	return 1 / best
}

func (w *work) charge(e *end, price float64) {
	if price == 0 {
		return
	}
	for j, m := range e.Services {
		w.sum[m] += price * e.q[j]
	}
}

// over is how far the separable problem's latency is over its limit at a price that is added to the others', and the
// derivative by it.
func (w *work) over(e *end, price float64) (over, slope float64) {
	over = -e.least
	for j, m := range e.Services {
		q := e.q[j]
		if q == 0 {
			continue
		}
		s := max(w.sum[m]+price*q, 0)
		free := math.Sqrt(s / w.p.Services[m].Cost)
		d := min(max(free, w.low[m]-w.kappa[m]), w.high[m]-w.kappa[m])
		over += q / d
		if d == free && s > 0 {
			slope -= q / d * q / (2 * s)
		}
	}
	return over, slope
}

// residual holds k and the prices against the optimality conditions.
func (w *work) residual() float64 {
	gain := make([]float64, len(w.k))
	worst := 0.0
	for i := range w.ends {
		e := &w.ends[i]
		for j, m := range e.Services {
			gain[m] -= e.price * e.slope[j]
		}
		over := (e.latency - e.limit) / e.limit
		if e.price == 0 {
			over = max(over, 0)
		}
		if e.price < 1e200 {
			worst = max(worst, math.Abs(over))
		}
	}
	for m := range w.k {
		if !w.used[m] {
			continue
		}
		c := w.p.Services[m].Cost
		off := (c - gain[m]) / c // above 0: a container is not worth its cost; below: one more would be
		switch near := 1e-9 * w.k[m]; {
		case w.k[m] <= w.low[m]+near && w.k[m] >= w.high[m]-near:
			off = 0
		case w.k[m] <= w.low[m]+near:
			off = min(off, 0)
		case w.k[m] >= w.high[m]-near:
			off = max(off, 0)
		}
		worst = max(worst, math.Abs(off))
	}
	return worst
}
