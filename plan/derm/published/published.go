// Package published is the allocation rule of Derm's artefact, as far as it is known, with its own data and its own latency
// model: what the solver next door is held against.
//
// A request takes one of some chains of services, each by its share. The n calls of a service in a chain are one exponential time of
// rate (a·w + b)/n per millisecond, where w is the workload of a container; nothing goes on side by side, and shifts are left out.
package published

import (
	"cmp"
	"math"
	"slices"
)

// Service is one service in a chain.
type Service struct {
	ID    int
	Calls float64 // n
	Slope float64 // a, below 0: per millisecond, and unit of workload of a container
	Rate  float64 // b: per millisecond
	Pods  float64 // that it was profiled with
}

// Chain is one call graph.
type Chain struct {
	Share    float64
	Services []Service
}

// Bounds are the least and the most workload of a container that the artefact allows: ten of its units on the pods that were
// profiled, and what leaves a rate of 0.8.
func (s Service) Bounds(chains []Chain) (low, high float64) {
	return s.calls(chains) * 10 / s.Pods, (0.8 - s.Rate) / s.Slope
}

// calls is how often a request visits the service in the mean.
func (s Service) calls(chains []Chain) (n float64) {
	for _, c := range chains {
		for _, o := range c.Services {
			if o.ID == s.ID {
				n += c.Share * o.Calls
			}
		}
	}
	return n
}

// Iterate is one step of the rule.
type Iterate struct {
	P95        float64   // milliseconds
	Containers []float64 // for each unit of workload, by service
	Total      float64
}

// row is a service in a chain while the rule runs.
type row struct {
	Service
	chain     int
	share     float64
	lambda, w float64
	rho       float64
}

// run is the rule at work.
type run struct {
	chains    []Chain
	rows      []*row
	order     [][]*row // by chain, as they are paired
	low, high map[int]float64
	limit     float64
}

// Start is where the rule begins: 40 units of workload on the pods that were profiled, within the bounds.
func Start(chains []Chain, limit float64) (*run, Iterate) {
	r := &run{chains: chains, limit: limit, low: map[int]float64{}, high: map[int]float64{}, order: make([][]*row, len(chains))}
	for c := range chains {
		for _, s := range chains[c].Services {
			w := s.calls(chains) * 40 / s.Pods
			r.low[s.ID], r.high[s.ID] = s.Bounds(chains)
			r.rows = append(r.rows, &row{Service: s, chain: c, share: chains[c].Share, lambda: (s.Slope*w + s.Rate) / s.Calls, w: w})
		}
	}
	return r, r.project()
}

// project makes rates those of one workload for each service: the mean of what its rates in all chains ask for, within bounds.
func (r *run) project() Iterate {
	sum, n := map[int]float64{}, map[int]float64{}
	most := 0
	for _, x := range r.rows {
		sum[x.ID] += (x.lambda*x.Calls - x.Rate) / x.Slope
		n[x.ID]++
		most = max(most, x.ID)
	}
	it := Iterate{Containers: make([]float64, most+1)}
	for c := range r.order {
		r.order[c] = r.order[c][:0]
	}
	for _, x := range r.rows {
		x.w = min(max(sum[x.ID]/n[x.ID], r.low[x.ID]), r.high[x.ID])
		x.lambda = (x.Slope*x.w + x.Rate) / x.Calls
		it.Containers[x.ID] += x.share * x.Calls / x.w
		it.Total += x.share * x.Calls / x.w
		r.order[x.chain] = append(r.order[x.chain], x)
	}
	for _, o := range r.order {
		slices.SortStableFunc(o, func(a, b *row) int { return cmp.Compare(a.lambda, b.lambda) })
	}
	it.P95 = r.p95()
	return it
}

// p95 is found by halving [1, 10000] ms, until the share is within 1e-4 or 21 times.
func (r *run) p95() (t float64) {
	lo, hi := 1.0, 10000.0
	for range 21 {
		t = (lo + hi) / 2
		f := 0.0
		for c, o := range r.order {
			f += r.chains[c].Share * closed(o, t)
		}
		switch {
		case math.Abs(f-0.95) < 1e-4:
			return t
		case f < 0.95:
			lo = t
		default:
			hi = t
		}
	}
	return t
}

// closed is the artefact's closed form for a chain: it holds for rates that all differ.
func closed(rows []*row, t float64) float64 {
	above := 0.0
	for i, a := range rows {
		w := 1.0
		for j, b := range rows {
			if i != j {
				w *= b.lambda / (b.lambda - a.lambda)
			}
		}
		above += w * math.Exp(-a.lambda*t)
	}
	return 1 - above
}
