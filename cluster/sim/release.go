package sim

import (
	"slices"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
)

// What a rolling update may add to the replicas asked for, and take from those ready, as Kubernetes Deployments have it by
// default: shares of the replicas, the first rounded up and the second down.
const (
	maxSurge       = 0.25
	maxUnavailable = 0.25
)

// roll brings a service as near as may be now to having replicas of its present version alone; it is called again whenever
// one starts or the target changes. The rule is that of Kubernetes' rolling Deployments: at most so many starting and ready
// replicas more than asked for, at least so many ready, those that have not started go first. It reports whether there are
// replicas of another version left.
func (c *Cluster) roll(s int32) bool {
	sv := &c.services[s]
	want := sv.target.Replicas
	most := want + int(ceil(maxSurge*float64(want)))
	least := want - int(maxUnavailable*float64(want))
	for {
		total, fresh, coming, old := 0, 0, 0, int32(-1) // old: the one to go next
		for _, id := range slices.Backward(sv.replicas) {
			switch r := c.replicas.At(id); {
			case r.phase > ready:
				continue
			case c.defOf(id, r) != sv.def && (old < 0 || r.phase <= c.replicas.At(old).phase):
				old = id
			case c.defOf(id, r) == sv.def && r.phase == starting:
				coming++
			}
			if c.defOf(id, c.replicas.At(id)) == sv.def {
				fresh++
			}
			total++
		}
		switch {
		case old < 0:
			return false
		case fresh < want && total < most:
			if !c.start(s) {
				c.postpone(s)
				return true
			}
		case c.replicas.At(old).phase == starting:
			sv.starting--
			c.retire(old, c.replicas.At(old))
		case total-least-coming > 0 && len(sv.ready) > least:
			sv.ready = slices.DeleteFunc(sv.ready, func(id int32) bool { return id == old })
			c.drain(old)
		default:
			return true
		}
	}
}

// rollOut makes a definition the service's version.
func (c *Cluster) rollOut(s int32, def *program.Service) {
	sv := &c.services[s]
	for _, id := range sv.replicas {
		if c.replicas.At(id).phase != gone {
			c.oddOf(id) // which holds what has been its version so far
		}
	}
	sv.def, sv.rolling = def, true
	for _, id := range sv.replicas {
		c.even(id)
	}
	for i := range c.hosts {
		c.hosts[i].Forget(s) // another version is another image
	}
	c.reconcile(s)
}

// releaseBad rolls a bad version of a service out; its replicas are hit as they come.
func (c *Cluster) releaseBad(i int32, t *trouble) {
	sv := &c.services[t.service]
	bad := *sv.def
	bad.Bad, bad.Good = i+1, sv.def
	c.rollOut(t.service, &bad)
}

// rollBack rolls back to the version before, unless an update has replaced the bad one already. Replicas of the bad version
// stay bad until they go.
func (c *Cluster) rollBack(i int32, t *trouble) {
	t.hits = nil
	if sv := &c.services[t.service]; sv.def.Bad == i+1 {
		c.rollOut(t.service, sv.def.Good)
	}
}

// opsOf is the operations of a service's present version.
func (c *Cluster) opsOf(s int32) []program.Operation {
	ops := c.services[s].def.Ops
	return c.program.Ops[ops.From:ops.To]
}

// stepsOf is what a replica does for a call: what its own version says. ok is false where that has no such operation.
func (c *Cluster) stepsOf(id int32, def *program.Call) (steps program.Extent, ok bool) {
	index := c.program.Ops[def.Op].Index
	ops := c.defOf(id, c.replicas.At(id)).Ops
	switch {
	case index < 0: // a call back, which is of no version
		return def.Steps, true
	case ops.From+index >= ops.To:
		return program.Extent{}, false
	}
	return c.program.Ops[ops.From+index].Steps, true
}

// callBack makes the call with which a blocking cycle's callee calls its caller back: with the patience of the first call
// that goes the other way.
func (c *Cluster) callBack(t *trouble, to int32) int32 {
	p := c.program
	from, cpu := int32(len(p.Steps)), t.Length
	if cpu == 0 {
		cpu = fault.DefaultCallback
	}
	p.Steps = append(p.Steps, program.Step{Cpu: chance.Fixed(int64(cpu)), Disk: -1})
	steps := program.Extent{From: from, To: from + 1}
	p.Ops = append(p.Ops, program.Operation{Name: "callback", Service: to, Index: -1, Steps: steps})
	def := program.Call{Service: to, Pool: -1, Endpoint: -1, Deadline: -1, Repeat: 1, Probability: 1,
		Op: int32(len(p.Ops) - 1), Steps: steps, Edge: p.Edge(t.service, to)}
	for i := range p.Calls {
		if p.Calls[i].Edge == t.edge {
			def.Deadline = p.Calls[i].Deadline
			break
		}
	}
	p.Calls = append(p.Calls, def)
	c.growEdges()
	return int32(len(p.Calls) - 1)
}

// callsBack has a request call its caller back before it goes on.
func (c *Cluster) callsBack(t *trouble, fi int32, v *visit) {
	f := c.frames.At(fi)
	ci, k := c.newCall(t.def, v.rnd^chance.Golden)
	k.from, k.frame, k.depth = f.visit, fi, v.depth+1
	f.waiting++
	v.refs++
	if v.trace >= 0 {
		k.trace = v.trace
		c.traces.At(v.trace).refs++
	}
	c.ask(ci, k)
}

// endCycle gives up the calls back that still wait, so that their requests fail and go.
func (c *Cluster) endCycle(t *trouble) {
	var waiting []int32
	c.calls.Each(func(ci int32, k *call) {
		if k.def == t.def && k.state != idle {
			waiting = append(waiting, ci)
		}
	})
	for _, ci := range waiting {
		if k := c.calls.At(ci); k.def == t.def && k.state != idle {
			c.giveUp(ci, k)
		}
	}
}

// astray is how much later a message comes because it, or what is sent again, is lost, and because a neighbour uses the link.
// TCP sends it again after 200 ms, and waits twice as long each time (Linux: TCP_RTO_MIN; tcp_retries2 is 15). What is
// drawn depends on the call alone.
func (c *Cluster) astray(k *call, callee int32, size int64, of uint64) (delay int64) {
	def := &c.program.Calls[k.def]
	kept, link := 1.0, 0.0
	end := func(id int32) {
		if h, odd := c.odd[id]; odd {
			kept *= 1 - h.loss
			if h.link > 0 && c.replicas.At(id).host < 0 {
				link = max(link, float64(max(size, leastMessage))/(linkRate*h.link))
			}
		}
	}
	end(callee)
	if k.from >= 0 {
		end(c.visits.At(k.from).replica)
		if e := c.troubles.edges; int(def.Edge) < len(e) {
			kept *= 1 - e[def.Edge]
		}
	}
	if kept < 1 {
		own := chance.Stream(chance.Mix(uint64(k.derive(ofWork)) ^ of*chance.Golden))
		for n := 0; n < 15 && own.Float() >= kept; n++ {
			delay += retransmission << n
			c.resends(k, callee, of)
		}
	}
	return delay + int64(link*1e9)
}

// resends counts a message that is sent again, for the replica that sends it.
func (c *Cluster) resends(k *call, callee int32, of uint64) {
	switch {
	case of == ofAnswer:
		c.replicas.At(callee).usage.resent++
	case k.from >= 0:
		c.replicas.At(c.visits.At(k.from).replica).usage.resent++
	}
}

const retransmission = int64(200e6) // ns

// The messages of a call that may be lost.
const (
	ofRequest uint64 = iota + 11
	ofAnswer
)
