package sim

import (
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/host"
)

// What the simulator observes, and the network of services of which all message sizes are known.
const (
	replicaSignals = foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory |
		foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors |
		foresail.SignalLatency
	serviceSignals  = replicaSignals | foresail.SignalAllocation
	snapshotSignals = foresail.SignalEdges | foresail.SignalEndpoints
)

// edge counts calls since the beat began.
type edge struct {
	calls, errors float64
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
	c.copies.Begin()
	for _, h := range c.hosts {
		if h.Node.Counters {
			h.CountTraffic()
		}
	}
	c.took.Sort()
	c.edgesTook.Sort()
	c.endpointsTook.Sort()
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
		c.observeEndpoint(int32(i), &s.Endpoints[i])
	}
	s.Edges = c.observeEdges()
	if len(c.hosts) > 0 {
		s.Has |= foresail.SignalNodes
		s.Nodes = c.observeNodes(c.queue.Now() - start)
	}
	return s
}

func (c *Cluster) observeService(sv *service, out *foresail.ServiceStats, beat int64) {
	now := c.queue.Now()
	out.Has = serviceSignals
	var network foresail.Signals
	if sv.def.Network {
		network = foresail.SignalNetwork
	}
	out.Has |= network
	out.Allocation, out.Pending = sv.effective(), sv.pending()
	out.Arrivals, out.Completions, out.Errors = sv.homeless, sv.homeless, sv.homeless
	sv.homeless = 0
	out.InFlight, out.Queue = sv.inFlight.Take(now, beat), sv.queue.Take(now, beat)
	agents := foresail.SignalsAll
	kept := sv.replicas[:0]
	for i, id := range sv.replicas {
		r := c.replicas.At(id)
		o := &out.Replicas[i]
		o.Name, o.Started, o.Gone = r.name, c.instant(r.asked), r.phase == gone
		o.Has = replicaSignals | network | c.agentSees(r.host)
		agents &= o.Has
		if r.host >= 0 {
			o.Node = c.rooms[r.host].Node.Name
		}
		if r.phase == ready {
			o.Ready = 1
		}
		if r.phase != gone {
			o.Memory = r.memory + c.leaked(id, r)
			if r.host >= 0 {
				c.used[r.host].Memory += o.Memory
			}
		}
		out.Ready += o.Ready
		out.Memory += o.Memory
		if !r.asleep {
			c.observeReplica(r, o, beat)
			out.Add(&o.Usage)
			if r.host >= 0 {
				c.used[r.host].Add(&o.Usage)
			}
			o.Latency = c.took.Take(id, &c.copies, &c.merged)
		}
		if r.phase == gone {
			r.told = true
			c.forget(id, r)
		} else {
			kept = append(kept, id)
		}
	}
	sv.replicas = kept
	out.Has |= agents & (agentSignals | foresail.SignalRetransmits | host.Counters) // a part would pass for the whole
	if c.merged.Count() > 0 {
		out.Latency = c.copies.Take(&c.merged)
		c.merged.Reset()
	}
}

// observeReplica tells what a replica did, but for its latency.
func (c *Cluster) observeReplica(r *replica, o *foresail.ReplicaStats, beat int64) {
	now := c.queue.Now()
	r.cpu.Advance(now)
	o.CPU, o.Throttled = float64(r.cpu.Total-r.toldCPU)*1e-9, time.Duration(r.cpu.Throttled)
	c.observeAgent(r, o, beat)
	r.toldCPU, r.cpu.Throttled, r.cpu.Waited = r.cpu.Total, 0, 0
	u := &r.usage
	o.InFlight = u.inFlight.Take(now, beat)
	o.Arrivals, o.Completions, o.Errors = u.arrivals, u.completions, u.errors
	if o.Has.Has(foresail.SignalNetwork) {
		o.NetIn, o.NetOut = u.netIn, u.netOut
	}
	u.arrivals, u.completions, u.errors, u.netIn, u.netOut = 0, 0, 0, 0, 0
	r.asleep = r.open == 0 && r.cpu.Threads() == 0 // a report may still be going on
}

func (c *Cluster) observeEndpoint(i int32, out *foresail.EndpointStats) {
	e := &c.endpoints[i]
	u := &e.usage
	out.Arrivals, out.Requests, out.Errors, out.Late = u.arrivals, u.completions, u.errors, e.late
	if e.firstLate != cfs.Never {
		out.FirstLate = c.instant(e.firstLate)
	}
	out.Latency = c.endpointsTook.Take(i, &c.copies, nil)
	u.arrivals, u.completions, u.errors, e.late, e.firstLate = 0, 0, 0, 0, cfs.Never
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
	for at := range c.edges {
		i := at
		if len(c.edgeOrder) > 0 {
			i = int(c.edgeOrder[at])
		}
		e := &c.edges[i]
		if e.calls > 0 {
			out = append(out, foresail.EdgeStats{
				From: c.program.Edges[i].From, To: c.program.Edges[i].To,
				Calls: e.calls, Errors: e.errors, Latency: c.edgesTook.Take(int32(i), &c.copies, nil),
			})
			e.calls, e.errors = 0, 0
		}
	}
	return out
}
