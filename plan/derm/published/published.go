// Package published is the sample of Derm's artefact, with its own latency model, its bounds and where its rule begins: what the
// solver next door is held against. How the rule goes on is not known well enough to be repeated.
//
// A request takes one of some chains of services, each by its share. The n calls of a service in a chain are one exponential time of
// rate (a·w + b)/n per millisecond, where w is the workload of a container; nothing goes on side by side, and shifts are left out.
package published

import "math"

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

// Plan is an allocation.
type Plan struct {
	P95        float64   // milliseconds
	Containers []float64 // for each unit of workload, by service
	Total      float64
}

// Start is where the rule begins: 40 units of workload on the pods that were profiled, within the bounds.
func Start(chains []Chain) Plan {
	var out Plan
	rates := make([][]float64, len(chains))
	for c := range chains {
		for _, s := range chains[c].Services {
			low, high := s.Bounds(chains)
			w := min(max(s.calls(chains)*40/s.Pods, low), high)
			rates[c] = append(rates[c], (s.Slope*w+s.Rate)/s.Calls)
			for len(out.Containers) <= s.ID {
				out.Containers = append(out.Containers, 0)
			}
			out.Containers[s.ID] += chains[c].Share * s.Calls / w
			out.Total += chains[c].Share * s.Calls / w
		}
	}
	out.P95 = p95(chains, rates)
	return out
}

// p95 is found by halving [1, 10000] ms, until the share is within 1e-4 or 21 times.
func p95(chains []Chain, rates [][]float64) (t float64) {
	lo, hi := 1.0, 10000.0
	for range 21 {
		t = (lo + hi) / 2
		f := 0.0
		for c := range chains {
			f += chains[c].Share * closed(rates[c], t)
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
func closed(rates []float64, t float64) float64 {
	above := 0.0
	for i, a := range rates {
		w := 1.0
		for j, b := range rates {
			if i != j {
				w *= b / (b - a)
			}
		}
		above += w * math.Exp(-a*t)
	}
	return 1 - above
}
