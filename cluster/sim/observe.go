package sim

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// What the simulator observes, and the network of services of which all message sizes are known.
const (
	replicaSignals = foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory |
		foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors |
		foresail.SignalLatency
	serviceSignals  = replicaSignals | foresail.SignalAllocation
	snapshotSignals = foresail.SignalEdges | foresail.SignalEndpoints
)

// edge counts calls since the beat began; latency is as the callee's server saw it.
type edge struct {
	calls, errors float64
	latency       sketch.Sketch
}

// instant is the simulated time of an offset.
func (c *Cluster) instant(at int64) time.Time { return c.cfg.Start.Add(time.Duration(at)) }

// observe makes the snapshot of the beat that began at start and ends now, and begins the next. It shares nothing with
// the simulator.
func (c *Cluster) observe(start int64) *foresail.Snapshot {
	s := &foresail.Snapshot{
		Start: c.instant(start), End: c.instant(c.queue.Now()), Generation: c.app.Generation, Has: snapshotSignals,
		Services: make([]foresail.ServiceStats, len(c.services)), Endpoints: make([]foresail.EndpointStats, len(c.endpoints)),
	}
	n := 0
	for i := range c.services {
		n += len(c.services[i].replicas)
	}
	replicas := make([]foresail.ReplicaStats, n)
	for i := range c.services {
		n := len(c.services[i].replicas)
		s.Services[i].Replicas = replicas[:n:n]
		replicas = replicas[n:]
		c.observeService(&c.services[i], &s.Services[i], c.queue.Now()-start)
	}
	for i := range c.endpoints {
		c.observeEndpoint(&c.endpoints[i], &s.Endpoints[i])
	}
	s.Edges = c.observeEdges()
	return s
}

func (c *Cluster) observeService(sv *service, out *foresail.ServiceStats, beat int64) {
	now := c.queue.Now()
	out.Has = serviceSignals
	var network foresail.Signals
	if sv.def.network {
		network = foresail.SignalNetwork
	}
	out.Has |= network
	out.Allocation, out.Pending = sv.effective(), sv.pending()
	out.Arrivals, out.Completions, out.Errors = sv.homeless, sv.homeless, sv.homeless
	sv.homeless = 0
	out.InFlight = sv.inFlight.take(now, beat)
	kept := sv.replicas[:0]
	for i, id := range sv.replicas {
		r := c.replicas[id]
		r.cpu.advance(now)
		o := &out.Replicas[i]
		*o = foresail.ReplicaStats{Name: r.name, Started: c.instant(r.asked), Gone: r.phase == gone}
		o.Has = replicaSignals | network
		if r.phase == ready {
			o.Ready = 1
		}
		if r.phase != gone {
			o.Memory = r.memory
		}
		o.CPU, o.Throttled = float64(r.cpu.total)*1e-9, time.Duration(r.cpu.throttled)
		r.cpu.total, r.cpu.throttled = 0, 0
		o.InFlight = r.usage.inFlight.take(now, beat)
		o.Arrivals, o.Completions, o.Errors = r.usage.arrivals, r.usage.completions, r.usage.errors
		o.Latency = takeSketch(&r.usage.latency)
		r.usage.arrivals, r.usage.completions, r.usage.errors = 0, 0, 0
		if sv.def.network {
			o.NetIn, o.NetOut = r.usage.netIn, r.usage.netOut
		}
		r.usage.netIn, r.usage.netOut = 0, 0
		out.Ready += o.Ready
		out.Memory += o.Memory
		out.Add(&o.Usage)
		if r.phase == gone {
			r.told = true
			c.forget(id, r)
		} else {
			kept = append(kept, id)
		}
	}
	sv.replicas = kept
}

// take tells the gauge since the beat began, and begins the next.
func (g *gauge) take(now, beat int64) foresail.Gauge {
	g.add(now, 0)
	out := foresail.Gauge{Last: float64(g.n), Mean: float64(g.area) / float64(beat), Max: float64(g.max)}
	g.area, g.max = 0, g.n
	return out
}

func takeSketch(s *sketch.Sketch) *sketch.Sketch {
	if s.Count() == 0 {
		return nil
	}
	out := s.Clone()
	s.Reset()
	return out
}

func (c *Cluster) observeEndpoint(e *endpointStats, out *foresail.EndpointStats) {
	u := &e.usage
	out.Arrivals, out.Requests, out.Errors, out.Late = u.arrivals, u.completions, u.errors, e.late
	if e.firstLate != never {
		out.FirstLate = c.instant(e.firstLate)
	}
	out.Latency = takeSketch(&u.latency)
	u.arrivals, u.completions, u.errors, e.late, e.firstLate = 0, 0, 0, 0, never
}

// observeEdges tells of the edges on which a call ended.
func (c *Cluster) observeEdges() []foresail.EdgeStats {
	n := 0
	for i := range c.edges {
		if c.edges[i].calls > 0 {
			n++
		}
	}
	out := make([]foresail.EdgeStats, 0, n)
	for i := range c.edges {
		e := &c.edges[i]
		if e.calls > 0 {
			out = append(out, foresail.EdgeStats{
				From: c.program.edges[i].From, To: c.program.edges[i].To,
				Calls: e.calls, Errors: e.errors, Latency: takeSketch(&e.latency),
			})
			e.calls, e.errors = 0, 0
		}
	}
	return out
}
