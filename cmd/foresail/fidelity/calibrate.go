package fidelity

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/twin"
	"foresail.dev/cluster/testbed/users"
)

// platform is what this machine takes beside what operations demand, at one load. A process that was idle pays more for a
// message than one that is at work anyway: its runtime's threads spin, sleep and are woken, and caches are cold. So what each
// takes goes with how much that process does: a replica, the load generator, the collector.
type platform struct {
	Busy     float64           // cores that a replica uses, on average over replicas
	Overhead foresail.Overhead // of the application
	Machine  float64           // cores in use: by application, load generator and collector
	Rate     float64           // requests/s
	PerSend  time.Duration     // CPU of the load generator for each request
	Spans    float64           // of a second
	PerSpan  time.Duration     // CPU of the collector for each span
}

// calibrationRound is what one round found, by load.
type calibrationRound struct {
	Before string // the application that it was made for
	Points []platform
	Others float64 // cores that others used meanwhile
}

// calibrate runs the calibration application at each load, one after the other, and finds what the platform takes.
func (r *Run) calibrate(ctx context.Context, before string) (calibrationRound, error) {
	out := calibrationRound{Before: before}
	for i, rate := range r.File.Calibration.Loads {
		in := twin.Given(r.Calibration, users.Service)
		var mu sync.Mutex
		m, all, err := r.forReal(ctx, r.Calibration, steady(rate, nil), r.File.Seed+uint64(i), func(s []foresail.Span) {
			mu.Lock()
			defer mu.Unlock()
			in.Spans = append(in.Spans, s...)
		})
		if err != nil {
			return out, fmt.Errorf("calibration at %g requests/s: %w", rate, err)
		}
		in.Snapshots = all
		p := platform{Busy: m.cores / m.replicas, Machine: m.cores + m.users + m.collector, Rate: rate, Spans: m.spans}
		if p.Overhead, err = twin.Calibrate(in, r.Calibration); err != nil {
			return out, fmt.Errorf("calibration at %g requests/s: %w", rate, err)
		}
		n := 0.0
		for _, k := range m.requests {
			n += k
		}
		d := r.File.Duration.Seconds()
		p.PerSend, p.PerSpan = seconds(m.users*d/math.Max(n, 1)), seconds(m.collector/math.Max(m.spans, 1))
		out.Points = append(out.Points, p)
		out.Others += m.others / float64(len(r.File.Calibration.Loads))
	}
	slices.SortFunc(out.Points, func(a, b platform) int { return cmp.Compare(a.Rate, b.Rate) })
	return out, nil
}

func seconds(v float64) time.Duration { return time.Duration(v * 1e9) }

// at is what the platform takes while replicas use so many cores each, and there are so many requests and spans a second. What
// waits for a core goes with how many of the machine's are in use.
func (c *calibrationRound) at(busy, replicas, rate, spans float64) platform {
	between := func(x float64, key func(*platform) float64, get func(*platform) float64) float64 {
		return interpolate(c.Points, x, key, get)
	}
	cores := func(p *platform) float64 { return p.Busy }
	duration := func(get func(*foresail.Overhead) time.Duration) time.Duration {
		return time.Duration(between(busy, cores, func(p *platform) float64 { return float64(get(&p.Overhead)) }))
	}
	send := between(rate, func(p *platform) float64 { return p.Rate }, func(p *platform) float64 { return float64(p.PerSend) })
	span := between(spans, func(p *platform) float64 { return p.Spans }, func(p *platform) float64 { return float64(p.PerSpan) })
	machine := func(p *platform) float64 { return p.Machine }
	used := busy*replicas + (rate*send+spans*span)*1e-9
	return platform{Busy: busy, Machine: used, Rate: rate, Spans: spans, PerSend: time.Duration(send), PerSpan: time.Duration(span),
		Overhead: foresail.Overhead{
			Caller:      duration(func(o *foresail.Overhead) time.Duration { return o.Caller }),
			Callee:      duration(func(o *foresail.Overhead) time.Duration { return o.Callee }),
			Network:     duration(func(o *foresail.Overhead) time.Duration { return o.Network }),
			Users:       duration(func(o *foresail.Overhead) time.Duration { return o.Users }),
			Report:      duration(func(o *foresail.Overhead) time.Duration { return o.Report }),
			ReportEvery: twin.ReportEvery,
			Late:        between(used, machine, func(p *platform) float64 { return p.Overhead.Late }),
			LateBy:      time.Duration(between(used, machine, func(p *platform) float64 { return float64(p.Overhead.LateBy) })),
			Stretch:     between(busy, cores, func(p *platform) float64 { return p.Overhead.Stretch }),
		}}
}

// interpolate is a value between the two points around x, by key, and beyond them that of the nearest. Points are in the
// order of key.
func interpolate(points []platform, x float64, key, get func(*platform) float64) float64 {
	for i := range points {
		b := &points[i]
		if x > key(b) {
			continue
		}
		if i == 0 {
			return get(b)
		}
		a := &points[i-1]
		w := (x - key(a)) / (key(b) - key(a))
		return get(a)*(1-w) + get(b)*w
	}
	return get(&points[len(points)-1])
}

// simulated runs a case in the simulator, with what the platform takes while replicas use as much as the simulation itself
// comes to, which short runs find.
func (c *calibrationRound) simulated(ctx context.Context, of *Case, seed uint64, warmup, d time.Duration, spans float64) (measured, error) {
	busy, replicas := (c.Points[0].Busy+c.Points[len(c.Points)-1].Busy)/2, float64(len(of.blueprint.Services))
	for range 2 {
		p := c.at(busy, replicas, of.rate, spans)
		m, err := p.simulated(ctx, of, seed, warmup, min(d, time.Minute), spans)
		if err != nil {
			return m, err
		}
		busy, replicas = m.cores/m.replicas, m.replicas
	}
	p := c.at(busy, replicas, of.rate, spans)
	return p.simulated(ctx, of, seed, warmup, d, spans)
}
