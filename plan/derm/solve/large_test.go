package solve

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/optimize"
)

// smooth is a large convex problem whose latency is known in closed form: the means of what is visited, and so many standard
// deviations of them.
func smooth(seed uint64, services, endpoints, each int) *Problem {
	r := rand.New(rand.NewPCG(seed, 2))
	p := &Problem{}
	rates, loads, per := make([]float64, services), make([]float64, services), make([]float64, services)
	for m := range services {
		rates[m], per[m] = 40*math.Exp(2*r.Float64()), 5*math.Exp(2*r.Float64())
		loads[m] = per[m] * (0.5 + 20*r.Float64())
		p.Services = append(p.Services, Service{Name: "s", Cost: 0.5 + r.Float64(), Low: 1, High: 200, Saturates: loads[m] / per[m]})
	}
	for i := range endpoints {
		e := Endpoint{Name: "e"}
		perm := r.Perm(services)
		e.Services = perm[:each]
		if i < services/each { // each is needed somewhere
			e.Services = nil
			for k := range each {
				e.Services = append(e.Services, i*each+k)
			}
		}
		at := e.Services
		e.Latency = func(k, slope []float64) float64 {
			sum, square := 0.0, 0.0
			for j, m := range at {
				mean := 1 / (rates[m] * (1 - loads[m]/per[m]/k[j]))
				if !(mean > 0) {
					mean = 1e9
				}
				sum, square = sum+mean, square+mean*mean
			}
			z := 2.5 / math.Sqrt(square)
			for j, m := range at {
				if slope != nil {
					mean := 1 / (rates[m] * (1 - loads[m]/per[m]/k[j]))
					slope[j] = -mean * mean * rates[m] * loads[m] / per[m] / (k[j] * k[j]) * (1 + z*mean)
				}
			}
			return sum + z*square
		}
		high := make([]float64, each)
		for j := range high {
			high[j] = 200
		}
		e.Limit = e.Latency(high, nil) * (1.05 + 0.5*r.Float64())
		p.Endpoints = append(p.Endpoints, e)
	}
	return p
}

// barrier is the same problem solved by a general method: limits become barriers, ever steeper, and Newton's method with
// remembered gradients (BFGS) goes down.
func barrier(t *testing.T, p *Problem) float64 {
	x := make([]float64, len(p.Services))
	for m := range x {
		x[m] = math.Log(199 - 1.02*p.Services[m].Saturates) // nearly all there is
	}
	containers := func(x []float64) []float64 {
		k := make([]float64, len(x))
		for m := range x {
			k[m] = max(1, headroom*p.Services[m].Saturates) + math.Exp(x[m])
		}
		return k
	}
	cost := 0.0
	for steep := 0.1; steep < 1e6; steep *= 8 {
		f := func(x, grad []float64) float64 {
			k := containers(x)
			sum := 0.0
			if grad != nil {
				clear(grad)
			}
			for m := range k {
				d := p.Services[m].Cost
				sum += d * k[m]
				left := 200 - k[m]
				if left <= 0 {
					return math.Inf(1)
				}
				sum -= math.Log(left) / steep
				if grad != nil {
					grad[m] += d + 1/(left*steep)
				}
			}
			for i := range p.Endpoints {
				e := &p.Endpoints[i]
				at, slope := make([]float64, len(e.Services)), make([]float64, len(e.Services))
				for j, m := range e.Services {
					at[j] = k[m]
				}
				left := 1 - e.Latency(at, slope)/e.Limit
				if !(left > 0) {
					return math.Inf(1)
				}
				sum -= math.Log(left) / steep
				if grad != nil {
					for j, m := range e.Services {
						grad[m] += slope[j] / e.Limit / left / steep
					}
				}
			}
			for m := range grad {
				grad[m] *= math.Exp(x[m])
			}
			return sum
		}
		r, err := optimize.Minimize(optimize.Problem{Func: func(x []float64) float64 { return f(x, nil) }, Grad: func(g, x []float64) { f(x, g) }}, x,
			&optimize.Settings{MajorIterations: 500, GradientThreshold: 1e-7}, &optimize.LBFGS{Store: 30})
		if r == nil {
			t.Fatal(err)
		}
		x = r.X
		cost = 0
		for m, k := range containers(x) {
			cost += k * p.Services[m].Cost
		}
	}
	return cost
}

// What is relaxed is what a general convex solver finds, and whole numbers cost little more.
func TestAsAGeneralSolver(t *testing.T) {
	for seed := range uint64(3) {
		p := smooth(seed, 60, 12, 10)
		s, err := Solve(p)
		if err != nil {
			t.Fatal(err)
		}
		want := barrier(t, p)
		t.Logf("relaxed %.4f, %.4f by a barrier; whole %.2f, residual %.2g, asked %d", s.Bound, want, s.Cost, s.Residual, s.Asked)
		if math.Abs(s.Bound-want) > 1e-3*want || s.Residual > 1e-4 {
			t.Errorf("seed %d: %v, and %v by a general solver; residual %v", seed, s.Bound, want, s.Residual)
		}
		if s.Cost > s.Bound*1.03 {
			t.Errorf("seed %d: whole numbers cost %v, relaxed ones %v", seed, s.Cost, s.Bound)
		}
	}
}

func BenchmarkSolve(b *testing.B) {
	p := smooth(7, 1000, 100, 20)
	b.ReportAllocs()
	for b.Loop() {
		s, err := Solve(p)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(s.Asked), "asked")
		b.ReportMetric(s.Cost/s.Bound, "cost/bound")
		b.ReportMetric(s.Residual, "residual")
	}
}
