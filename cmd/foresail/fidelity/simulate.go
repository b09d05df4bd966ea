package fidelity

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
)

// companion is the service that stands for generator and collector in the simulation.
const companion = "load-generator-and-collector"

// simulated runs a case in the simulator, on one machine with this one's cores, which it shares with the load generator
// and the collector of spans.
func (p *platform) simulated(ctx context.Context, c *Case, seed uint64, warmup, d time.Duration, spansPerSecond float64) (m measured, err error) {
	d += warmup
	bp, l := p.accompanied(c, spansPerSecond)
	cluster, err := sim.New(sim.Config{Blueprint: bp, Load: l, Seed: seed, Duration: d.Truncate(foresail.Beat), Overcommit: true,
		Nodes: []foresail.Node{{Name: "machine", Cores: runtime.NumCPU()}}})
	if err != nil {
		return m, err
	}
	var t *tally
	services := len(c.blueprint.Services)
	for {
		s, err := cluster.Next(ctx)
		if errors.Is(err, io.EOF) {
			return t.done(), nil
		}
		if err != nil {
			return m, err
		}
		if t == nil {
			t = newTally(c.blueprint.App, s.Start.Add(warmup))
		}
		s.Services = s.Services[:services] // without the companion
		t.add(s)
	}
}

// accompanied is a case's application and load with one more service, which uses the machine's CPU as the load generator
// and the collector do: for each request, at an instant of its own.
func (p *platform) accompanied(c *Case, spansPerSecond float64) (*foresail.Blueprint, *load.Load) {
	bp, app := *c.blueprint, *c.blueprint.App
	app.Services, app.Endpoints = slices.Clone(app.Services), slices.Clone(app.Endpoints)
	bp.Services, bp.Entries, bp.Timeouts = slices.Clone(bp.Services), slices.Clone(bp.Entries), slices.Clone(bp.Timeouts)
	id := foresail.ServiceID(len(app.Services))
	cores := float64(runtime.NumCPU())
	app.Services = append(app.Services, foresail.Service{Name: companion,
		Initial: foresail.Allocation{Replicas: 1, CPU: cores}, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: cores, MaxCPU: cores}})
	each := p.PerSend.Seconds() + p.PerSpan.Seconds()*spansPerSecond/c.rate
	bp.Services = append(bp.Services, foresail.ServiceBlueprint{Operations: []foresail.Operation{{Name: "request",
		Steps: []foresail.Step{{Work: foresail.Demand{CPU: foresail.Dist{Shape: foresail.Exponential, Mean: math.Max(each-p.Overhead.Callee.Seconds(), 0)}}}}}}})
	app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: companion, Entry: id, Operation: "request"})
	bp.Entries, bp.Timeouts = append(bp.Entries, foresail.Target{Service: id}), append(bp.Timeouts, foresail.Patience{})
	bp.App, bp.Overhead = &app, p.Overhead

	shares := make([]float64, len(c.blueprint.App.Endpoints))
	c.load.Shares(0, shares) // they add up to one, and so does the companion's
	return &bp, steady(2*c.rate, append(shares, 1))
}
