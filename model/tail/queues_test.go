package tail_test

import (
	"fmt"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// queues is an application of fluid queues: each service takes so much CPU for a request, and what it can't serve in a second
// waits. It is as simple as can be and yet has what a model must learn: which service is short, and that what was taken away
// now is felt later.
type queues struct {
	app    *foresail.App
	demand []float64 // core seconds for a request
	slow   float64   // latencies are multiplied by it
}

func newQueues(services int) *queues {
	q := &queues{slow: 1, app: &foresail.App{Name: "queues", Endpoints: []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}}}
	for i := range services {
		q.app.Services = append(q.app.Services, foresail.Service{Name: fmt.Sprintf("service-%d", i), Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.2, MaxCPU: 4}})
		q.demand = append(q.demand, 0.002*float64(1+i%4))
	}
	return q
}

// run is so many seconds in which cores move at random about what is needed.
func (q *queues) run(name string, seconds int, seed uint64) tail.Run {
	r := rand.New(rand.NewPCG(seed, 1))
	n := len(q.app.Services)
	backlog, share := make([]float64, n), make([]float64, n)
	for i := range share {
		share[i] = 1.6
	}
	rate := 100 + 300*r.Float64()
	out := tail.Run{Name: name}
	for t := range seconds {
		rate = min(max(rate+10*r.NormFloat64(), 80), 450)
		s := tail.Step{End: time.Unix(1_700_000_000+int64(t), 0).UTC(), Rate: rate, Services: make([]tail.ServiceStep, n), Endpoints: make([]tail.EndpointStep, 1)}
		wait := 0.0
		for i := range n {
			if r.Float64() < 0.1 {
				share[i] = 0.85 + 1.2*r.Float64()
			}
			if backlog[i] > 1.5*rate*q.demand[i] {
				share[i] = 2
			}
			cores := min(max(share[i]*rate*q.demand[i], 0.2), 4)
			work := rate*q.demand[i]*(1+0.05*r.NormFloat64()) + backlog[i]
			used := min(work, cores)
			backlog[i] = work - used
			s.Services[i] = tail.ServiceStep{Replicas: 1, Cores: cores, Used: used, Memory: 50 + backlog[i], InFlight: 2 + 100*backlog[i], Arrivals: rate, Wait: used / cores}
			wait += 1000*backlog[i]/cores + 20*used/cores/float64(n)*4
		}
		for k, f := range []float64{1, 1.1, 1.25, 1.4, 2} {
			s.Latency[k] = q.slow * (20 + wait) * f * (1 + 0.02*r.NormFloat64())
		}
		late := 0.0
		if s.Latency[tail.P99] > 200 {
			late = 0.05 * rate
		}
		s.Endpoints[0] = tail.EndpointStep{Requests: rate, Late: late}
		out.Steps = append(out.Steps, s)
	}
	return out
}

func (q *queues) runs(n, seconds int) (out []tail.Run) {
	for i := range n {
		out = append(out, q.run(fmt.Sprint("run-", i), seconds, uint64(i)))
	}
	return out
}

func quick() tail.Config {
	c := tail.Default()
	c.Epochs, c.Batch, c.Trees, c.HoldOut = 8, 64, 60, 0.2
	c.TreeRate = 0.15
	return c
}
