package fidelity

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cluster/sim/twin"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// Bed is a testbed that runs.
type Bed interface {
	Next(ctx context.Context) (*foresail.Snapshot, error)
	UsersCPU() time.Duration
	Summary() testbed.Summary
	Stop() error
}

// measured is what one run of an application showed, after its warm-up.
type measured struct {
	latency   []*sketch.Sketch // by endpoint
	requests  []float64
	errors    []float64
	cores     float64 // used by the application
	throttled float64 // share of the replicas' time
	users     float64 // cores of the load generator
	collector float64 // cores of this process, which takes the spans
	others    float64 // cores that everything else on the machine used
	load      float64 // the machine's load average when the run began
	behind    float64 // seconds that the generator was late at the end
	spans     float64 // of each second
}

// tally gathers snapshots whose interval begins at an instant or later.
type tally struct {
	from           time.Time
	m              measured
	seconds        float64
	replicaSeconds float64
}

func newTally(app *foresail.App, from time.Time) *tally {
	t := &tally{from: from}
	for range app.Endpoints {
		t.m.latency = append(t.m.latency, sketch.New())
	}
	t.m.requests, t.m.errors = make([]float64, len(app.Endpoints)), make([]float64, len(app.Endpoints))
	return t
}

func (t *tally) add(s *foresail.Snapshot) {
	t.endpoints(s)
	for _, late := range s.Late {
		t.endpoints(late)
	}
	if s.Start.Before(t.from) {
		return
	}
	t.seconds += s.Duration().Seconds()
	for i := range s.Services {
		t.m.cores += s.Services[i].CPU
		t.m.throttled += s.Services[i].Throttled.Seconds()
		t.replicaSeconds += float64(len(s.Services[i].Replicas)) * s.Duration().Seconds()
	}
}

func (t *tally) endpoints(s *foresail.Snapshot) {
	if s.Start.Before(t.from) {
		return
	}
	for i := range t.m.latency {
		if i < len(s.Endpoints) {
			t.m.latency[i].Merge(s.Endpoints[i].Latency)
			t.m.requests[i] += s.Endpoints[i].Requests
			t.m.errors[i] += s.Endpoints[i].Errors
		}
	}
}

func (t *tally) done() measured {
	t.m.cores /= t.seconds
	t.m.throttled /= t.replicaSeconds
	return t.m
}

// machineUse is CPU time used so far, in core-seconds: by the whole machine, and by this process.
type machineUse struct {
	at             time.Time
	machine, mine  float64
	users, average float64
}

func useOf(b Bed) machineUse {
	u := machineUse{at: time.Now(), users: b.UsersCPU().Seconds()}
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) == nil {
		u.mine = time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	}
	if text, err := os.ReadFile("/proc/stat"); err == nil {
		line, _, _ := bufio.NewReader(bytes.NewReader(text)).ReadLine()
		var f [8]float64 // user nice system idle iowait irq softirq steal, in hundredths of a second
		_, _ = fmt.Sscan(strings.TrimPrefix(string(line), "cpu"), &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7])
		u.machine = (f[0] + f[1] + f[2] + f[5] + f[6] + f[7]) / 100
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(text), &u.average)
	}
	return u
}

// forReal runs an application on the testbed.
func (r *Run) forReal(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, spans func([]foresail.Span)) (m measured, all []*foresail.Snapshot, err error) {
	var mu sync.Mutex
	count := 0.0
	warmup, d := r.File.Warmup, r.File.Duration
	b, err := r.Start(ctx, bp, l, seed, warmup+d, func(s []foresail.Span) {
		mu.Lock()
		defer mu.Unlock()
		count += float64(len(s))
		if spans != nil {
			spans(s)
		}
	})
	if err != nil {
		return m, nil, err
	}
	defer func() { err = errors.Join(err, b.Stop()) }()
	var t *tally
	var began machineUse
	warm := false
	for {
		s, err := b.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return m, nil, err
		}
		if t == nil {
			t = newTally(bp.App, s.Start.Add(warmup))
			m.load = useOf(b).average
		}
		if !warm && !s.Start.Before(t.from) {
			warm, began = true, useOf(b)
		}
		all = append(all, s)
		t.add(s)
	}
	if !warm {
		return m, nil, errors.New("stopped during the warm-up")
	}
	ended := useOf(b)
	average := m.load
	m = t.done()
	seconds := ended.at.Sub(began.at).Seconds()
	m.load, m.users, m.collector = average, (ended.users-began.users)/seconds, (ended.mine-began.mine)/seconds
	m.others = max((ended.machine-began.machine)/seconds-m.cores-m.users-m.collector, 0)
	m.behind = b.Summary().Behind.Seconds()
	mu.Lock()
	m.spans = count / (warmup + d).Seconds()
	mu.Unlock()
	return m, all, nil
}

// platform is what was found of this machine by calibration.
type platform struct {
	Overhead  foresail.Overhead
	PerSend   time.Duration // CPU of the load generator for each request
	PerSpan   time.Duration // CPU of the collector for each span
	Requests  float64       // of the calibration
	Others    float64       // cores that others used meanwhile
	Companion string        // the service that stands for generator and collector in the simulation
}

// calibrate runs the calibration application at each load, one after the other, and finds what the platform takes.
func (r *Run) calibrate(ctx context.Context) (platform, error) {
	in := twin.Given(r.Calibration, users.Service)
	p := platform{Companion: "load-generator-and-collector"}
	var sends, spans, seconds float64
	var mu sync.Mutex
	for i, rate := range r.File.Calibration.Loads {
		m, all, err := r.forReal(ctx, r.Calibration, steady(rate, nil), r.File.Seed+uint64(i), func(s []foresail.Span) {
			mu.Lock()
			defer mu.Unlock()
			in.Spans = append(in.Spans, s...)
		})
		if err != nil {
			return p, fmt.Errorf("calibration at %g requests/s: %w", rate, err)
		}
		in.Snapshots = append(in.Snapshots, all...)
		d := r.File.Duration.Seconds()
		for _, n := range m.requests {
			p.Requests += n
		}
		sends += m.users * d
		spans += m.spans * d
		seconds += d
		p.PerSpan += time.Duration(m.collector * d * 1e9)
		p.Others += m.others / float64(len(r.File.Calibration.Loads))
	}
	p.PerSend = time.Duration(sends / math.Max(p.Requests, 1) * 1e9)
	p.PerSpan = time.Duration(float64(p.PerSpan) / math.Max(spans, 1))
	var err error
	p.Overhead, err = twin.Calibrate(in, r.Calibration)
	return p, err
}

// simulated runs a case in the simulator, on one machine with this one's cores, which it shares with the load generator
// and the collector of spans.
func (p platform) simulated(ctx context.Context, c *Case, seed uint64, warmup, d time.Duration, spansPerSecond float64) (m measured, err error) {
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
func (p platform) accompanied(c *Case, spansPerSecond float64) (*foresail.Blueprint, *load.Load) {
	bp, app := *c.blueprint, *c.blueprint.App
	app.Services, app.Endpoints = slices.Clone(app.Services), slices.Clone(app.Endpoints)
	bp.Services, bp.Entries, bp.Timeouts = slices.Clone(bp.Services), slices.Clone(bp.Entries), slices.Clone(bp.Timeouts)
	id := foresail.ServiceID(len(app.Services))
	cores := float64(runtime.NumCPU())
	app.Services = append(app.Services, foresail.Service{Name: p.Companion,
		Initial: foresail.Allocation{Replicas: 1, CPU: cores}, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: cores, MaxCPU: cores}})
	each := p.PerSend.Seconds() + p.PerSpan.Seconds()*spansPerSecond/c.rate
	bp.Services = append(bp.Services, foresail.ServiceBlueprint{Operations: []foresail.Operation{{Name: "request",
		Steps: []foresail.Step{{Work: foresail.Demand{CPU: foresail.Dist{Shape: foresail.Exponential, Mean: math.Max(each-p.Overhead.Callee.Seconds(), 0)}}}}}}})
	app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: p.Companion, Entry: id, Operation: "request"})
	bp.Entries, bp.Timeouts = append(bp.Entries, foresail.Target{Service: id}), append(bp.Timeouts, foresail.Patience{})
	bp.App, bp.Overhead = &app, p.Overhead

	shares := make([]float64, len(c.blueprint.App.Endpoints))
	c.load.Shares(0, shares) // they add up to one, and so does the companion's
	return &bp, steady(2*c.rate, append(shares, 1))
}
