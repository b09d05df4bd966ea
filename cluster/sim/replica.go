package sim

import (
	"strconv"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/cluster/sim/tally"
)

// phase is a replica's place in its life.
type phase uint8

const (
	starting phase = iota // asked for, takes no requests yet
	ready
	draining // takes no new requests, goes on with what it has
	gone     // out of the books; kept until the last record of its work is
)

// replica is one running copy of a service. With many replicas hardly anything else costs time than cache lines that are
// not in the cache. So what a visit needs lies together, in four lines from usage.inFlight to cpu.Total; a test holds it
// there.
type replica struct {
	name    string
	asked   int64 // when it was asked for
	toldCPU int64 // of its CPU time, ns
	disk    int64 // when the disk has done all it was asked for, where it has one for itself
	usage   usage

	memory     int64
	readySince int64
	service    int32
	host       int32 // -1: it has a machine for itself
	open       int32 // records of visits
	busy       int32 // workers
	first      int32 // of the requests that wait for a worker
	last       int32
	waiting    int32
	event      des.Handle // when its CPU must be looked at again
	change     des.Handle // when it is ready, or its draining ends
	phase      phase
	inEvent    bool // its CPU is being looked at: the event is set at the end
	told       bool // the last snapshot about it is made
	asleep     bool // nothing has happened in it since the last snapshot, and nothing goes on: there is nothing to count
	reports    bool // a report on what it did is due
	odd        bool // it is of another version than its service, or a fault hits it: see Cluster.odd
	cpu        cfs.Group

	pools   []pool // by callee
	request node.Request
	member  host.Member
}

// usage counts what a snapshot tells, since the beat began.
type usage struct {
	queue         tally.Gauge
	read, written int64 // bytes
	disk          tally.Waits
	resent        int
	reclaim       int64 // ns of CPU time lost to reclaiming memory

	inFlight    tally.Gauge
	arrivals    float64
	completions float64
	errors      float64
	netIn       int64 // bytes
	netOut      int64
}

// pool is the connections from one replica to one callee service.
type pool struct {
	inUse       int32
	first, last int32 // calls that wait for one
}

// service is one service as it runs.
type service struct {
	def      *program.Service
	ready    []int32     // replicas that take requests
	inFlight tally.Gauge // of the service as a whole
	queue    tally.Gauge
	homeless float64 // requests that found no replica ready, since the beat began
	replicas []int32 // oldest first; one that is gone stays until the beat ends
	name     string
	target   foresail.Allocation // what was asked for
	now      foresail.Allocation // what is in effect, but for Replicas
	starting int
	lost     int  // with a node, and not yet found out
	unplaced bool // more replicas would be started, but fit nowhere
	named    int  // replicas so far
	rolling  bool // some replicas may be of another version
	gone     bool // it is no longer part of the application
}

// newReplica makes a replica on a host; -1: on a machine for itself.
func (c *Cluster) newReplica(s int32, in phase, at int32) int32 {
	sv := &c.services[s]
	now := c.queue.Now()
	id := c.replicas.Take()
	if int(id) >= len(c.inFlight) {
		c.inFlight = append(c.inFlight, make([]int32, int(id)+1-len(c.inFlight))...)
		c.took.Grow(len(c.inFlight))
	}
	r := c.replicas.At(id)
	*r = replica{
		cpu: r.cpu, service: s, phase: in, event: des.None, change: des.None, first: -1, last: -1,
		memory: sv.def.Memory, asked: now, pools: r.pools[:0],
		name: sv.name + "-" + strconv.Itoa(sv.named), asleep: true, host: at,
	}
	for range sv.def.Callees {
		r.pools = append(r.pools, pool{first: -1, last: -1})
	}
	// Quota periods of different replicas are not in step.
	phaseOf := chance.Stream(chance.Mix(uint64(c.phases) ^ uint64(s)<<32 ^ uint64(sv.named)))
	r.cpu.Reset(now, int64(phaseOf.Uint64()%uint64(cfs.Period)), sv.now.CPU, int64(c.cfg.NodeCores)*cfs.Core)
	r.usage.inFlight, r.usage.queue = tally.NewGauge(now), tally.NewGauge(now)
	sv.named++
	sv.replicas = append(sv.replicas, id)
	if at >= 0 {
		c.house(id, r)
	}
	if c.troubles.Any() {
		c.troubles.Join(id)
	}
	return id
}

// route picks a replica for a request: the less busy of two drawn at random (power of two choices). -1: none is ready.
func (c *Cluster) route(s int32) int32 {
	ready := c.services[s].ready
	switch len(ready) {
	case 0:
		return -1
	case 1:
		return ready[0]
	}
	u := c.routing.Uint64()
	i := int(u >> 32 * uint64(len(ready)) >> 32)
	j := int(u & 0xffffffff * uint64(len(ready)-1) >> 32)
	if j >= i {
		j++
	}
	a, b := ready[i], ready[j]
	if c.inFlight[b] < c.inFlight[a] {
		return b
	}
	return a
}

// compute gives a frame's thread to the replica's CPU.
func (c *Cluster) compute(id int32, r *replica, need int64, frame int32) {
	now := c.queue.Now()
	r.cpu.Advance(now)
	def := c.services[r.service].def
	if r.odd {
		o := c.odd[id]
		need, def = o.harm.Needs(need), o.def
	}
	if r.readySince+def.Warmup > now {
		need = cold(r, def, need, now)
	}
	if r.host >= 0 {
		need = c.reclaimed(id, r, need)
		r.cpu.Add(need, frame)
		c.hosts[r.host].Begin(&r.member)
	} else {
		r.cpu.Add(need, frame)
	}
	c.watch(id, r)
}

// cold is the need of a replica that is still warming up.
func cold(r *replica, def *program.Service, need, now int64) int64 {
	left := 1 - float64(now-r.readySince)/float64(def.Warmup)
	return int64(float64(need) * (1 + (def.Cold-1)*left))
}

// watch keeps the replica's one event where it belongs.
func (c *Cluster) watch(id int32, r *replica) {
	if r.inEvent {
		return
	}
	switch at := r.cpu.Next(); {
	case r.event == des.None && at != cfs.Never:
		r.event = c.queue.At(at, des.Event{Kind: onCPU, A: id})
	case r.event == des.None:
	case at == cfs.Never:
		c.queue.Cancel(r.event)
		r.event = des.None
	case c.queue.Time(r.event) != at:
		c.queue.Move(r.event, at)
	}
}

// look lets go on what the CPU has done.
func (c *Cluster) look(id int32) {
	r := c.replicas.At(id)
	r.event = des.None
	r.inEvent = true
	r.cpu.Advance(c.queue.Now())
	for {
		frame, ok := r.cpu.Pop()
		if !ok {
			break
		}
		if r.host >= 0 {
			c.hosts[r.host].End(&r.member)
		}
		if frame != background {
			c.proceed(frame)
		}
	}
	r.inEvent = false
	c.watch(id, r)
}
