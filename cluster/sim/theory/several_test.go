package theory_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// front is a service that needs nothing itself and makes calls, step by step.
func front(steps ...foresail.Step) foresail.ServiceBlueprint { return sharing(steps...) }

// Two M/M/1 in a row. What leaves the first is a Poisson process again (Burke 1956), so that the second is an M/M/1 too,
// and a request's times in the two are independent (Reich 1957): means and variances add up.
func TestTheoryTandem(t *testing.T) {
	const first, second = 10 * ms, 8 * ms
	for i, rho := range []float64{0.3, 0.7, 0.9} {
		rate := rho / first
		bp := application(front(calls(1), calls(2)), fcfs(1, cpu(exponential(first))), fcfs(1, cpu(exponential(second))))
		s := study{"tandem of M/M/1", percent(rho), sim.Config{Blueprint: bp, Load: open(rate), Seed: uint64(700 + i)}, rate, size(rho) / 2, 0}
		a, b := 1/first-rate, 1/second-rate
		each := func(k int) func(*batch) float64 {
			return func(b *batch) float64 { return 1e3 * b.Services[k].Latency.Mean() }
		}
		s.check(t, append([]quantity{
			{"mean time in the first, ms", 1e3 / a, each(1), 0},
			{"mean time in the second, ms", 1e3 / b, each(2), 0},
			{"mean time, ms", 1e3/a + 1e3/b, meanTime, 0},
			spread(rho, 1/a+1/b, 1e6*(1/a/a+1/b/b), 0.3),
		}, percentiles(rho, func(t float64) float64 { return (b*math.Exp(-a*t) - a*math.Exp(-b*t)) / (b - a) })...)...)
	}
}

// Fork-join: a request calls n M/M/1 at once and goes on with the last answer. For two the mean is known (Flatto and Hahn
// 1984). For more it lies between that without queues and that of independent queues, and Nelson and Tantawi's
// approximation is within 5 %.
func TestTheoryForkJoin(t *testing.T) {
	const service = 10 * ms
	for _, n := range []int{2, 4, 8} {
		for i, rho := range []float64{0.3, 0.7, 0.9} {
			services := []foresail.ServiceBlueprint{{}}
			var step foresail.Step
			for k := range n {
				services = append(services, fcfs(1, cpu(exponential(service))))
				step.Calls = append(step.Calls, calls(foresail.ServiceID(k+1)).Calls...)
			}
			services[0] = front(step)
			s := study{fmt.Sprintf("fork-join of %d M/M/1", n), percent(rho), sim.Config{Blueprint: application(services...),
				Load: open(rho / service), Seed: uint64(800 + 10*n + i)}, rho / service, size(rho) / n, 0}
			approximate := 1e3 * service * nelsonTantawi(n, rho)
			if n == 2 {
				s.check(t, quantity{"mean time, ms", approximate, meanTime, 0.15})
				continue
			}
			batches := s.run(t)
			s.between(t, batches, "mean time, bounds, ms", 1e3*service*harmonic(n), 1e3*service*harmonic(n)/(1-rho), meanTime)
			s.between(t, batches, "mean time, approximation ± 5 %, ms", 0.95*approximate, 1.05*approximate, meanTime)
		}
	}
}

// A closed system has users who think, then go through two services and a disk: one service first come first served with
// exponential demands, one that shares its core with lognormal ones, which together have a product form. Mean-value
// analysis is exact for it. With one station alone it is the machine repair model.
func TestTheoryClosed(t *testing.T) {
	const a, b, d, think = 10 * ms, 12 * ms, 5 * ms, 200 * ms
	shared := foresail.Dist{Shape: foresail.LogNormal, Mean: b, CV: 1.5}
	for _, v := range []struct {
		system  string
		bp      *foresail.Blueprint
		demands []float64
	}{
		{"machine repair", application(fcfs(1, cpu(exponential(a)))), []float64{a}},
		{"closed network of three stations", application(front(calls(1), calls(2)), fcfs(1, cpu(exponential(a))),
			sharing(cpu(shared), disk(exponential(d)))), []float64{a, b, d}},
	} {
		for _, users := range []int{1, 10, 20, 60} {
			throughput, time_ := mva(users, think, v.demands...)
			s := study{v.system, fmt.Sprintf("%d users", users), sim.Config{Blueprint: v.bp, Load: closed(users, 200*time.Millisecond),
				Seed: uint64(900 + users), NodeCores: 1}, throughput, 200_000, 0}
			s.check(t,
				quantity{"requests per second", throughput, func(b *batch) float64 { return b.Endpoints[0].Requests / b.seconds }, 0.03},
				quantity{"mean time, ms", 1e3 * time_, meanTime, 0})
		}
	}
}

// Power of two choices over many replicas, each an M/M/1: Mitzenmacher's limit for endlessly many, Σ ρ^(2^i-2) service
// times over i ≥ 1, where a blind choice would give 1/(1-ρ). For a hundred it is short by about one in a hundred.
func TestTheoryPowerOfTwoChoices(t *testing.T) {
	const service, replicas = 10 * ms, 100
	for i, rho := range []float64{0.7, 0.9} {
		bp := application(fcfs(1, cpu(exponential(service))))
		bp.App.Services[0].Initial = foresail.Allocation{Replicas: replicas, CPU: 1}
		s := study{"power of two choices, 100 M/M/1", percent(rho), sim.Config{Blueprint: bp, Load: open(rho * replicas / service), Seed: uint64(1000 + i)},
			rho * replicas / service, 1_000_000, 0}
		limit := 0.0
		for i := 1.0; i < 10; i++ {
			limit += 1e3 * service * math.Pow(rho, math.Exp2(i)-2)
		}
		s.between(t, s.run(t), "mean time, limit + 0 to 3 %, ms", limit, 1.03*limit, meanTime)
	}
}
