package random

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
)

// blueprint is the application that was drawn, with demands, and without an allocation or objectives.
func (d *drawer) blueprint() *foresail.Blueprint {
	bp := &foresail.Blueprint{App: &foresail.App{Name: d.c.Name}}
	width := len(fmt.Sprint(len(d.services)))
	for i := range d.services {
		s := &d.services[i]
		name := [...]string{"service", "cache", "database", "queue"}[s.kind]
		bp.App.Services = append(bp.App.Services, foresail.Service{Name: fmt.Sprintf("%s-%0*d", name, width, i+1)})
		b := foresail.ServiceBlueprint{Workers: 64, Queue: 512, Pool: 128, Start: 3 * time.Second, Warmup: 8 * time.Second, ColdFactor: 1.5, BaseMemory: 32 << 20}
		if s.kind != stateless {
			b.Start, b.Warmup, b.ColdFactor = 2*time.Second, 0, 1
		}
		for _, op := range s.ops {
			b.Operations = append(b.Operations, d.operationOf(s, op))
		}
		bp.Services = append(bp.Services, b)
	}
	for _, e := range d.entries {
		op := bp.Services[e.service].Operations[e.op].Name
		bp.App.Endpoints = append(bp.App.Endpoints, foresail.Endpoint{Name: op, Entry: foresail.ServiceID(e.service), Operation: op})
		bp.Entries = append(bp.Entries, foresail.Target{Service: foresail.ServiceID(e.service), Operation: e.op})
		bp.Timeouts = append(bp.Timeouts, foresail.Patience{Timeout: 30 * time.Second})
	}
	return bp
}

// patience is what every service bears of its calls.
var patience = foresail.Patience{Timeout: 10 * time.Second}

func (d *drawer) operationOf(s *service, op opDrawn) foresail.Operation {
	out := foresail.Operation{Name: op.name, Request: 64 << d.rng.IntN(6), Response: 128 << d.rng.IntN(8)}
	work := d.work(s.kind)
	if len(op.calls) == 0 {
		out.Steps = []foresail.Step{{Work: work}}
		return out
	}
	for _, c := range op.calls {
		call := callOf(c)
		if c.behind != nil {
			call.Cached, call.Hit, call.Miss = true, c.hit, []foresail.Step{{Calls: []foresail.Call{callOf(*c.behind)}}}
		}
		if last := len(out.Steps) - 1; c.parallel && last >= 0 {
			out.Steps[last].Calls = append(out.Steps[last].Calls, call)
		} else {
			out.Steps = append(out.Steps, foresail.Step{Calls: []foresail.Call{call}})
		}
	}
	// The work lies before the calls, evenly.
	work.CPU.Mean = microseconds(work.CPU.Mean / float64(len(out.Steps)))
	for i := range out.Steps {
		out.Steps[i].Work.CPU = work.CPU
	}
	out.Steps[0].Work.Memory = work.Memory
	return out
}

func callOf(c callDrawn) foresail.Call {
	return foresail.Call{Target: foresail.Target{Service: foresail.ServiceID(c.service), Operation: c.op},
		Probability: c.probability, Repeat: c.repeat, Async: c.async, Patience: patience}
}

// work draws what one run of an operation needs.
func (d *drawer) work(k kind) foresail.Demand {
	lognormal := func(median, spread, most float64) foresail.Dist {
		mean := math.Min(median*math.Exp(spread*d.rng.NormFloat64()), most)
		return foresail.Dist{Shape: foresail.LogNormal, Mean: microseconds(mean), CV: float64(3+d.rng.IntN(6)) / 10}
	}
	switch k {
	case cache:
		return foresail.Demand{CPU: lognormal(80e-6, 0.3, 1e-3)}
	case database:
		return foresail.Demand{CPU: lognormal(500e-6, 0.5, 5e-3), IO: lognormal(1e-3, 0.5, 5e-3), Memory: 64 << 10, Read: 16 << 10}
	case queue:
		return foresail.Demand{CPU: lognormal(150e-6, 0.3, 2e-3)}
	}
	return foresail.Demand{CPU: lognormal(600e-6, 0.9, 12e-3), Memory: 16 << 10 << d.rng.IntN(5)}
}

// microseconds rounds a time up to a whole number of them, as it comes back from a file.
func microseconds(seconds float64) float64 {
	return (time.Duration(math.Ceil(seconds*1e6)) * time.Microsecond).Seconds()
}

// allocate gives each service bounds, and initially twice the cores that it uses at the rate.
func (d *drawer) allocate(bp *foresail.Blueprint) {
	rate := d.c.Rate
	if rate == 0 {
		rate = RatePerEndpoint * float64(len(bp.Entries))
	}
	cores, disks := needs(bp, rate/float64(len(bp.Entries)))
	for i := range bp.App.Services {
		longest := 0.0
		for _, op := range bp.Services[i].Operations {
			for _, s := range op.Steps {
				longest = math.Max(longest, s.Work.CPU.Mean)
			}
		}
		want := 2 * cores[i]
		replicas := max(1, int(math.Ceil(want/2)), int(math.Ceil(2*disks[i])))
		// One request must not use up the quota of a period, or an idle service would be slow.
		cpu := math.Max(want/float64(replicas), math.Max(0.3, 6*longest/0.1))
		cpu = math.Ceil(cpu*10) / 10
		bp.App.Services[i].Initial = foresail.Allocation{Replicas: replicas, CPU: cpu, Memory: 128 << 20}
		bp.App.Services[i].Bounds = foresail.Bounds{MinReplicas: 1, MaxReplicas: max(4, 4*replicas), MinCPU: 0.1, MaxCPU: 4, MinMemory: 64 << 20, MaxMemory: 1 << 30}
	}
}

// needs is the mean cores and disks that each service uses when each endpoint gets as many requests/s. Calls form no
// ring, so what an operation gets is known before what it calls.
func needs(bp *foresail.Blueprint, rate float64) (cores, disks []float64) {
	base, total := make([]int, len(bp.Services)), 0
	for i := range bp.Services {
		base[i] = total
		total += len(bp.Services[i].Operations)
	}
	visits, callers := make([]float64, total), make([]int, total)
	each := func(t foresail.Target, f func(to foresail.Target, times float64)) {
		var follow func(steps []foresail.Step, times float64)
		follow = func(steps []foresail.Step, times float64) {
			for _, s := range steps {
				for i := range s.Calls {
					c := &s.Calls[i]
					made := times * c.Probability * float64(c.Repeat)
					f(c.Target, made)
					follow(c.Miss, made*(1-c.Hit))
				}
			}
		}
		follow(bp.Services[t.Service].Operations[t.Operation].Steps, 1)
	}
	at := func(t foresail.Target) int { return base[t.Service] + t.Operation }
	for s := range bp.Services {
		for o := range bp.Services[s].Operations {
			each(foresail.Target{Service: foresail.ServiceID(s), Operation: o}, func(to foresail.Target, _ float64) { callers[at(to)]++ })
		}
	}
	var ready []foresail.Target // all who call them are done
	for s := range bp.Services {
		for o := range bp.Services[s].Operations {
			if t := (foresail.Target{Service: foresail.ServiceID(s), Operation: o}); callers[at(t)] == 0 {
				ready = append(ready, t)
			}
		}
	}
	for _, t := range bp.Entries {
		visits[at(t)] += rate
	}
	cores, disks = make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
	for ; len(ready) > 0; ready = ready[1:] {
		t := ready[0]
		for _, s := range bp.Services[t.Service].Operations[t.Operation].Steps {
			cores[t.Service] += visits[at(t)] * s.Work.CPU.Mean
			disks[t.Service] += visits[at(t)] * s.Work.IO.Mean
		}
		each(t, func(to foresail.Target, times float64) {
			visits[at(to)] += visits[at(t)] * times
			if callers[at(to)]--; callers[at(to)] == 0 {
				ready = append(ready, to)
			}
		})
	}
	return cores, disks
}
