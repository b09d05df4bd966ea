// Package plantest is a cluster for tests of managers: what each service would like to use is a function of time, and it
// uses as much of that as its allocation lets it. A request takes 10 ms of CPU, and as many times longer as its service
// has too little; there is no queue, which is the simulator's. Each service but the last calls the next.
package plantest

import (
	"context"
	"fmt"
	"io"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Epoch is when a Cluster begins.
var Epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// App is an application of n services named s0, s1 and so on, each with one replica of a core, and bounds of 1 to 20
// replicas of 0.1 to 4 cores. Its endpoint enters the first; 99 % of its requests must be done in 100 ms.
func App(n int) *foresail.App {
	app := &foresail.App{Name: "test"}
	if n > 0 {
		app.Endpoints = []foresail.Endpoint{{Name: "GET /", Operation: "op",
			Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}}}
	}
	for i := range n {
		app.Services = append(app.Services, foresail.Service{
			Name:    fmt.Sprintf("s%d", i),
			Initial: foresail.Allocation{Replicas: 1, CPU: 1},
			Bounds:  foresail.Bounds{MinReplicas: 1, MaxReplicas: 20, MinCPU: 0.1, MaxCPU: 4},
		})
	}
	return app
}

// Cluster is a foresail.Cluster without a clock. Fields may be changed between calls.
type Cluster struct {
	Application *foresail.App
	Beat        time.Duration                                         // 0 means foresail.Beat
	Until       time.Duration                                         // Next returns io.EOF from there on; 0: never
	Demand      func(id foresail.ServiceID, at time.Duration) float64 // cores a service would use; nil: none
	Delay       time.Duration                                         // from asking for a larger allocation to having it
	Silent      func(at time.Duration) bool                           // nothing is observed; nil: never
	Hidden      func(at time.Duration) foresail.Signals               // not observed; nil: none
	Shift       func(at time.Duration) time.Duration                  // how wrong the clock of snapshots is; nil: right
	Shapes      bool                                                  // the one call graph that requests take is observed, too

	now     time.Duration
	have    []foresail.Allocation
	pending []pending
	form    *foresail.Form   // of all requests
	Plans   []*foresail.Plan // applied
}

type pending struct {
	to foresail.Allocation
	at time.Duration // when it is there; 0: nothing is pending
}

// App is the application.
func (c *Cluster) App() *foresail.App { return c.Application }

// Now is how far it has come.
func (c *Cluster) Now() time.Duration { return c.now }

// Have is the allocation in effect.
func (c *Cluster) Have(id foresail.ServiceID) foresail.Allocation {
	c.grow()
	return c.have[id]
}

// Put sets an allocation by another hand than a plan's.
func (c *Cluster) Put(id foresail.ServiceID, a foresail.Allocation) {
	c.grow()
	c.have[id] = a
}

func (c *Cluster) grow() {
	for i := len(c.have); i < len(c.Application.Services); i++ {
		c.have = append(c.have, c.Application.Services[i].Initial)
		c.pending = append(c.pending, pending{})
	}
}

// Next produces the next beat.
func (c *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if c.Until > 0 && c.now >= c.Until {
		return nil, io.EOF
	}
	return c.Step(), nil
}

// Step is Next without an end.
func (c *Cluster) Step() *foresail.Snapshot {
	c.grow()
	d := c.Beat
	if d <= 0 {
		d = foresail.Beat
	}
	from := c.now
	c.now += d
	start := Epoch.Add(from)
	if c.Shift != nil {
		start = start.Add(c.Shift(from))
	}
	s := &foresail.Snapshot{Start: start, End: start.Add(d), Generation: c.Application.Generation}
	if c.Silent != nil && c.Silent(from) {
		s.Stale = true
		return s
	}
	has := signals
	if c.Hidden != nil {
		has &^= c.Hidden(from)
	}
	s.Has = has & (foresail.SignalEdges | foresail.SignalEndpoints)
	has &^= s.Has
	s.Services = make([]foresail.ServiceStats, len(c.have))
	for i := range c.have {
		if p := &c.pending[i]; p.at > 0 && p.at <= c.now {
			c.have[i], *p = p.to, pending{}
		}
		c.observe(&s.Services[i], foresail.ServiceID(i), from, d, has)
	}
	if hidden := c.Hidden != nil && c.Hidden(from).Has(foresail.SignalShapes); c.Shapes && !hidden {
		c.observeShapes(s)
	}
	c.observeCalls(s)
	return s
}

// perRequest is the CPU of a request at one service.
const perRequest = 10 * time.Millisecond

// signals are what is observed.
const signals = foresail.SignalCPU | foresail.SignalReady | foresail.SignalAllocation | foresail.SignalMemory |
	foresail.SignalThrottled | foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions |
	foresail.SignalErrors | foresail.SignalLatency | foresail.SignalEdges | foresail.SignalEndpoints

// observeCalls tells what follows from what the services did: calls, and requests of the endpoint, which take as long as
// those of all services together.
func (c *Cluster) observeCalls(s *foresail.Snapshot) {
	took := 0.0
	for i := len(s.Services) - 1; i >= 0; i-- {
		st := &s.Services[i]
		if st.Latency != nil {
			took += st.Latency.Mean()
			st.Latency.Reset()
			st.Latency.AddN(took, st.Completions)
		}
		if i > 0 && s.Has.Has(foresail.SignalEdges) && st.Latency != nil {
			s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(i - 1), To: foresail.ServiceID(i),
				Calls: st.Completions, Latency: st.Latency.Clone()})
		}
	}
	for i, j := 0, len(s.Edges)-1; i < j; i, j = i+1, j-1 {
		s.Edges[i], s.Edges[j] = s.Edges[j], s.Edges[i]
	}
	if !s.Has.Has(foresail.SignalEndpoints) || len(s.Services) == 0 {
		return
	}
	s.Endpoints = make([]foresail.EndpointStats, len(c.Application.Endpoints))
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		e.Arrivals, e.Requests = s.Services[0].Arrivals, s.Services[0].Completions
		e.Latency = sketch.New()
		e.Latency.AddN(took, e.Requests)
		if o := c.Application.Endpoints[i].Objective; o != nil && took > o.Latency.Seconds() {
			e.Late, e.FirstLate = e.Requests, s.Start
		}
	}
}

// observeShapes tells the call graph of the requests that the last service answered: they went through all services.
func (c *Cluster) observeShapes(s *foresail.Snapshot) {
	s.Has |= foresail.SignalShapes
	n := len(s.Services)
	if n == 0 || len(c.Application.Endpoints) == 0 || s.Services[n-1].Completions == 0 {
		return
	}
	if c.form == nil || len(c.form.Visits) != n {
		visits := make([]foresail.Visit, n)
		for i := range visits {
			visits[i] = foresail.Visit{Service: foresail.ServiceID(i), Operation: "op", Parent: i - 1, Times: 1}
		}
		c.form, _ = foresail.NewForm(0, visits) // can't fail: it is a chain
	}
	sh := foresail.ShapeStats{Form: c.form, Requests: s.Services[n-1].Completions, Latency: sketch.New(), Own: make([]*sketch.Sketch, n)}
	took := 0.0
	for i := range s.Services {
		if l := s.Services[i].Latency; l != nil {
			sh.Own[i] = l.Clone()
			took += l.Mean()
		}
	}
	sh.Latency.AddN(took, sh.Requests)
	s.Shapes = []foresail.ShapeStats{sh}
}

func (c *Cluster) observe(st *foresail.ServiceStats, id foresail.ServiceID, at, d time.Duration, has foresail.Signals) {
	a := c.have[id]
	asked, used := 0.0, 0.0
	if c.Demand != nil {
		asked = c.Demand(id, at)
		used = min(asked, a.Cores())
	}
	st.Has, st.Ready, st.CPU, st.Memory = has, a.Replicas, used*d.Seconds(), int64(a.Replicas)<<26
	st.Allocation = a
	lacking := 1.0 // how many times too little there is
	if asked > used && used > 0 {
		lacking = asked / used
		st.Throttled = time.Duration((1 - 1/lacking) * float64(d) * float64(a.Replicas))
	}
	st.Arrivals, st.Completions = asked*d.Seconds()/perRequest.Seconds(), used*d.Seconds()/perRequest.Seconds()
	each := perRequest.Seconds() * lacking
	st.InFlight = foresail.Gauge{Last: used / perRequest.Seconds() * each}
	st.InFlight.Mean, st.InFlight.Max = st.InFlight.Last, st.InFlight.Last
	if has.Has(foresail.SignalLatency) && st.Completions > 0 {
		st.Latency = sketch.New()
		st.Latency.AddN(each, st.Completions)
	}
	if p := c.pending[id]; p.at > 0 {
		st.Pending = &p.to
	}
	n := float64(a.Replicas)
	for k := range a.Replicas {
		st.Replicas = append(st.Replicas, foresail.ReplicaStats{Name: fmt.Sprintf("r%d", k), Node: "n",
			Usage: foresail.Usage{Has: has &^ foresail.SignalLatency, Ready: 1, CPU: st.CPU / n, Memory: 1 << 26,
				Throttled: st.Throttled / time.Duration(a.Replicas), Arrivals: st.Arrivals / n, Completions: st.Completions / n,
				InFlight: foresail.Gauge{Last: st.InFlight.Last / n, Mean: st.InFlight.Mean / n, Max: st.InFlight.Max / n}}})
	}
}

// Apply takes a plan up: at once, or after Delay where it asks for more.
func (c *Cluster) Apply(_ context.Context, p *foresail.Plan) error {
	c.grow()
	c.Plans = append(c.Plans, p)
	for _, ch := range p.Changes {
		if c.Delay > 0 && ch.To.Cores() > c.have[ch.Service].Cores() {
			c.pending[ch.Service] = pending{ch.To, c.now + c.Delay}
			continue
		}
		c.have[ch.Service], c.pending[ch.Service] = ch.To, pending{}
	}
	return nil
}

// Filled is a history of d of the cluster, for benchmarks and for tests of one decision.
func (c *Cluster) Filled(needs foresail.Needs, d time.Duration) *foresail.History {
	h := foresail.NewHistory(c.Application, needs)
	for end := c.now + d; c.now < end; {
		h.Add(c.Step())
	}
	return h
}
