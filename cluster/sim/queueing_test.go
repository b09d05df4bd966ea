package sim_test

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// One worker on one core that is never throttled: M/M/1 first come, first served. Mean time in the system 1/(μ-λ), and
// exponential, so its p99 is ln(100) times that.
func TestMM1(t *testing.T) {
	const service, rho = 10 * ms, 0.7
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, service)), Workers: 1, Queue: 1e6})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho / service), Seed: 1})
	s := run(t, c, 2*time.Hour, nil)
	mean := service / (1 - rho)
	within(t, "mean latency", s.Endpoints[0].Latency.Mean(), mean, 0.03)
	within(t, "p99 latency", s.Endpoints[0].Latency.Quantile(0.99), mean*math.Log(100), 0.05)
	within(t, "CPU", s.Services[0].CPU/s.Duration().Seconds(), rho, 0.01)
	within(t, "in flight", s.Services[0].InFlight.Mean, rho/(1-rho), 0.03)
	equal(t, "throttled", s.Services[0].Throttled, 0)
}

// As many cores as workers: M/M/c, with Erlang's formula C for the share that waits.
func TestMMc(t *testing.T) {
	const service, servers, rho = 10 * ms, 4, 0.8
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, service)), Workers: servers, Queue: 1e6})
	bp.App.Services[0].Initial.CPU = servers
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho * servers / service), Seed: 2})
	s := run(t, c, 30*time.Minute, nil)
	a := rho * servers
	sum, term := 0.0, 1.0
	for k := range servers {
		sum += term
		term *= a / float64(k+1)
	}
	waits := term / (1 - rho) / (sum + term/(1-rho))
	mean := service + waits*service/(servers*(1-rho))
	within(t, "mean latency", s.Endpoints[0].Latency.Mean(), mean, 0.02)
	equal(t, "throttled", s.Services[0].Throttled, 0)
}

// Any number of threads on a node of one core: M/G/1 processor sharing, whose mean depends on the demand's mean alone.
func TestMG1ProcessorSharing(t *testing.T) {
	const service, rho = 10 * ms, 0.7
	for _, d := range []foresail.Dist{
		{Shape: foresail.Constant, Mean: service},
		{Shape: foresail.Exponential, Mean: service},
		{Shape: foresail.LogNormal, Mean: service, CV: 2},
	} {
		bp := blueprint(foresail.ServiceBlueprint{Operations: op(foresail.Step{Work: foresail.Demand{CPU: d}})})
		c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho / service), Seed: 3, NodeCores: 1})
		s := run(t, c, time.Hour, nil)
		within(t, d.Shape.String()+": mean latency", s.Endpoints[0].Latency.Mean(), service/(1-rho), 0.04)
		within(t, d.Shape.String()+": CPU", s.Services[0].CPU/s.Duration().Seconds(), rho, 0.02)
	}
}

// Two M/M/1 in a row: by Burke's theorem what leaves the first is a Poisson process again, so that the second is an
// M/M/1 too. The first hands on without waiting for the second.
func TestTandem(t *testing.T) {
	const service, rho = 10 * ms, 0.6
	next := call(1)
	next.Async = true
	first := work(foresail.Exponential, service)
	first.Calls = []foresail.Call{next}
	bp := blueprint(
		foresail.ServiceBlueprint{Operations: op(first), Workers: 1, Queue: 1e6},
		foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, service)), Workers: 1, Queue: 1e6},
	)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho / service), Seed: 4})
	s := run(t, c, time.Hour, nil)
	for i := range 2 {
		within(t, "mean latency of "+bp.App.Services[i].Name, s.Services[i].Latency.Mean(), service/(1-rho), 0.04)
	}
}

// A disk is a queue of its own: M/M/1 whatever the number of workers.
func TestDisk(t *testing.T) {
	const service, rho = 5 * ms, 0.7
	disk := foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Shape: foresail.Exponential, Mean: service}}}
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk)})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho / service), Seed: 5})
	s := run(t, c, time.Hour, nil)
	within(t, "mean latency", s.Endpoints[0].Latency.Mean(), service/(1-rho), 0.04)
	equal(t, "CPU", s.Services[0].CPU, 0)
}

// Power of two choices over many replicas, each an M/M/1: Mitzenmacher's limit, a mean of Σ ρ^(2^i-2) service times over
// i ≥ 1, where a blind choice would give 1/(1-ρ) = 10.
func TestPowerOfTwoChoices(t *testing.T) {
	const service, rho, replicas = 10 * ms, 0.9, 100
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(work(foresail.Exponential, service)), Workers: 1, Queue: 1e6})
	bp.App.Services[0].Initial = alloc(replicas, 1)
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(rho * replicas / service), Seed: 6})
	run(t, c, 5*time.Second, nil)
	s := run(t, c, 40*time.Second, nil)
	want := 0.0
	for i := 1.0; i < 10; i++ {
		want += math.Pow(rho, math.Exp2(i)-2)
	}
	within(t, "mean latency over service time", s.Services[0].Latency.Mean()/service, want, 0.03)
}
