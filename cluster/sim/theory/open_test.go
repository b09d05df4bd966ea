package theory_test

import (
	"fmt"
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

// size is how many requests tell a mean within a few percent at a utilisation: they are the more alike the busier.
func size(rho float64) int { return int(40_000 / (1 - rho) / (1 - rho)) }

// M/M/1, first come first served: one worker on one core. The time in the system is exponential with mean 1/(μ-λ), and
// the mean number is ρ/(1-ρ).
func TestTheoryMM1(t *testing.T) {
	const service = 10 * ms
	for i, rho := range []float64{0.3, 0.7, 0.9} {
		s := study{"M/M/1", percent(rho), sim.Config{Blueprint: application(fcfs(1, cpu(exponential(service)))),
			Load: open(rho / service), Seed: uint64(10 + i)}, rho / service, size(rho), 0}
		mean := service / (1 - rho)
		s.check(t, append([]quantity{
			{"mean time, ms", 1e3 * mean, meanTime, 0},
			spread(rho, mean, 1e6*mean*mean, 0.2),
			{"mean number", rho / (1 - rho), meanNumber, 0},
			{"utilisation", rho, utilisation, 0.02},
		}, percentiles(rho, func(t float64) float64 { return math.Exp(-t / mean) })...)...)
	}
}

// A disk is an M/M/1 of its own, whatever the number of workers.
func TestTheoryDisk(t *testing.T) {
	const service, rho = 5 * ms, 0.7
	s := study{"disk, M/M/1", percent(rho), sim.Config{Blueprint: application(sharing(disk(exponential(service)))),
		Load: open(rho / service), Seed: 20}, rho / service, size(rho), 0}
	s.check(t, quantity{"mean time, ms", 1e3 * service / (1 - rho), meanTime, 0})
}

// M/M/c: as many cores as workers. Erlang's formula C says who waits; as Poisson arrivals see time averages, that is also
// the share of time during which all workers are busy.
func TestTheoryMMc(t *testing.T) {
	const service = 10 * ms
	for _, c := range []int{4, 16} {
		for i, rho := range []float64{0.3, 0.7, 0.9} {
			a := rho * float64(c)
			bp := application(fcfs(c, cpu(exponential(service))))
			bp.App.Services[0].Initial.CPU = float64(c)
			s := study{fmt.Sprintf("M/M/%d", c), percent(rho), sim.Config{Blueprint: bp, Load: open(a / service), Seed: uint64(30 + 10*c + i)},
				a / service, size(rho), 400}
			waits := erlangC(c, a)
			wait := 1e3 * service * waits / (float64(c) - a)
			var qs []quantity
			if waits > 1e-3 { // else nobody does in a run of this length
				qs = append(qs, quantity{"probability of waiting", waits, func(b *batch) (share float64) {
					for _, n := range b.inFlight {
						if n >= float64(c) {
							share += 1 / float64(len(b.inFlight))
						}
					}
					return share
				}, 0.2}, quantity{"mean wait, ms", wait, meanWait, 0.25})
			}
			s.check(t, append(append(qs, quantity{"mean time, ms", 1e3*service + wait, meanTime, 0}),
				percentiles(rho, func(t float64) float64 { return erlangTail(c, a, t/service) })...)...)
		}
	}
}

// M/M/c/K: a full queue refuses. The share refused is the probability that all K places are taken.
func TestTheoryMMcK(t *testing.T) {
	const service = 10 * ms
	for i, v := range []struct {
		c, k int
		rho  float64
	}{{1, 5, 0.7}, {1, 5, 0.9}, {4, 8, 0.7}, {4, 8, 0.9}, {4, 8, 1.5}} {
		a := v.rho * float64(v.c)
		one := fcfs(v.c, cpu(exponential(service)))
		one.Queue = v.k - v.c
		bp := application(one)
		bp.App.Services[0].Initial.CPU = float64(v.c)
		s := study{fmt.Sprintf("M/M/%d/%d", v.c, v.k), percent(v.rho), sim.Config{Blueprint: bp, Load: open(a / service), Seed: uint64(300 + i)},
			a / service, 500_000, 0}
		p := birthDeath(v.k, func(int) float64 { return a }, func(k int) float64 { return float64(min(k, v.c)) })
		number := 0.0
		for k, q := range p {
			number += float64(k) * q
		}
		s.check(t,
			quantity{"share refused", p[v.k], func(b *batch) float64 { return b.Services[0].Errors / b.Services[0].Arrivals }, 0.15},
			quantity{"mean time of the others, ms", 1e3 * service * number / (a * (1 - p[v.k])), meanTime, 0},
			quantity{"mean number", number, meanNumber, 0})
	}
}

// M/G/1, first come first served: Pollaczek and Khinchine's mean wait, ρ/(1-ρ) · (1+CV²)/2 service times.
func TestTheoryMG1(t *testing.T) {
	const service = 10 * ms
	for i, d := range []foresail.Dist{
		{Shape: foresail.Constant, Mean: service},
		{Shape: foresail.LogNormal, Mean: service, CV: 1.5},
	} {
		name := "M/D/1"
		if d.CV > 0 {
			name = "M/G/1, lognormal, CV 1.5"
		}
		for k, rho := range []float64{0.3, 0.7, 0.9} {
			s := study{name, percent(rho), sim.Config{Blueprint: application(fcfs(1, cpu(d))), Load: open(rho / service), Seed: uint64(400 + 10*i + k)},
				rho / service, size(rho), 0}
			wait := 1e3 * service * rho / (1 - rho) * (1 + d.CV*d.CV) / 2
			s.check(t, quantity{"mean wait, ms", wait, meanWait, 0.25}, quantity{"mean time, ms", 1e3*service + wait, meanTime, 0.2})
		}
	}
}

// M/G/1 processor sharing: any number of threads on one core. The mean time depends on the demand's mean alone; for
// exponential demands the variance is known as well (Coffman, Muntz and Trotter 1970).
func TestTheoryProcessorSharing(t *testing.T) {
	const service = 10 * ms
	for i, d := range []foresail.Dist{
		{Shape: foresail.Constant, Mean: service},
		{Shape: foresail.Exponential, Mean: service},
		{Shape: foresail.LogNormal, Mean: service, CV: 2},
	} {
		for k, rho := range []float64{0.3, 0.7, 0.9} {
			s := study{"M/G/1 processor sharing, " + d.Shape.String(), percent(rho), sim.Config{Blueprint: application(sharing(cpu(d))),
				Load: open(rho / service), Seed: uint64(500 + 10*i + k), NodeCores: 1}, rho / service, size(rho) / 2, 0}
			mean := 1e3 * service / (1 - rho)
			qs := []quantity{{"mean time, ms", mean, meanTime, 0.15}, {"mean number", rho / (1 - rho), meanNumber, 0.15}}
			if d.Shape == foresail.Exponential {
				qs = append(qs, spread(rho, mean/1e3, mean*mean*(2+rho)/(2-rho), 0.3))
			}
			s.check(t, qs...)
		}
	}
}

// Under processor sharing a request that needs x is there for x/(1-ρ) on average: all are slowed down alike.
func TestTheoryProcessorSharingIsFair(t *testing.T) {
	needs, shares := []float64{2 * ms, 10 * ms, 40 * ms}, []float64{0.6, 0.3, 0.1}
	mean := 0.0
	var one foresail.ServiceBlueprint
	for i, x := range needs {
		mean += shares[i] * x
		one.Operations = append(one.Operations, foresail.Operation{Name: fmt.Sprint("e", i), Steps: []foresail.Step{cpu(foresail.Dist{Mean: x})}})
	}
	for k, rho := range []float64{0.3, 0.7, 0.9} {
		l := open(rho / mean)
		l.Mix = []load.MixPoint{{Shares: shares}}
		s := study{"M/G/1 processor sharing, three sizes", percent(rho), sim.Config{Blueprint: application(one), Load: l, Seed: uint64(600 + k), NodeCores: 1},
			rho / mean, size(rho), 0}
		var qs []quantity
		for i, x := range needs {
			qs = append(qs, quantity{fmt.Sprintf("mean time of what needs %g ms, ms", 1e3*x), 1e3 * x / (1 - rho), meanTimeAt(i), 0.15})
		}
		s.check(t, qs...)
	}
}
