package sim

import (
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/host"
)

// asks counts the message with which a call comes to a replica: what its caller sends and the replica receives.
func (c *Cluster) asks(k *call, callee *replica, size int64) {
	callee.usage.netIn += size
	if k.from >= 0 {
		c.replicas.At(c.visits.At(k.from).replica).usage.netOut += size
	}
}

// answers counts the message with which a replica answers a call that still waits for it. A caller whose replica was
// taken away has closed its connections.
func (c *Cluster) answers(k *call, callee *replica) {
	size := c.program.Calls[k.def].Response
	if k.from >= 0 {
		caller := c.visits.At(k.from)
		if caller.dead {
			return
		}
		c.replicas.At(caller.replica).usage.netIn += size
	}
	callee.usage.netOut += size
}

// message is a call on its way to a replica.
type message struct {
	call    int32
	gen     uint32 // its attempt
	replica int32
}

// carry is how long a message of so many bytes is on its way from a host to another, beside what its platform takes; -1 is
// outside. A user's message takes the time of its bytes alone. The sender, if it is a replica, counts what is sent again.
func (c *Cluster) carry(from, to int32, bytes int64, sender *replica) int64 {
	if from == to {
		return int64(c.cfg.Within)
	}
	var a, b *host.Host
	latency := int64(0)
	if from >= 0 {
		a = c.hosts[from]
	}
	if to >= 0 {
		b = c.hosts[to]
	}
	if a != nil && b != nil {
		latency = int64(c.cfg.Between)
	}
	now := c.queue.Now()
	at, resent := host.Carry(a, b, now, latency, bytes, c.lost)
	if sender != nil {
		sender.usage.resent += resent
	}
	return at - now
}

// carryRequest is how long a call is on its way to a replica.
func (c *Cluster) carryRequest(k *call, id int32, size int64) int64 {
	if k.from < 0 {
		return c.carry(-1, c.replicas.At(id).host, size, nil)
	}
	caller := c.replicas.At(c.visits.At(k.from).replica)
	return c.carry(caller.host, c.replicas.At(id).host, size, caller)
}

// carryAnswer is how long the answer of a visit is on its way back.
func (c *Cluster) carryAnswer(k *call, v *visit, r *replica) int64 {
	size := int64(0)
	if !v.failed {
		size = c.program.Calls[k.def].Response
	}
	if k.from < 0 {
		return c.carry(r.host, -1, size, r)
	}
	return c.carry(r.host, c.replicas.At(c.visits.At(k.from).replica).host, size, r)
}

// underway sends a call to a replica, which is kept until it has come.
func (c *Cluster) underway(ci int32, k *call, id int32, d int64) {
	r := c.replicas.At(id)
	r.open++
	r.asleep = false
	mi := c.messages.Take()
	*c.messages.At(mi) = message{call: ci, gen: k.gen, replica: id}
	c.queue.At(c.queue.Now()+d, des.Event{Kind: onDeliver, A: mi})
}

// deliver brings a call to its replica, unless it was given up meanwhile. One that has gone takes none.
func (c *Cluster) deliver(mi int32) {
	m := *c.messages.At(mi)
	c.messages.Give(mi)
	r := c.replicas.At(m.replica)
	if k := c.calls.At(m.call); k.gen == m.gen {
		switch {
		case k.from >= 0 && c.visits.At(k.from).dead:
			c.attemptDone(m.call, k, true)
		case r.phase == gone:
			c.services[r.service].homeless++
			c.refused(m.call, k)
		case !c.accept(m.call, k, &c.program.Calls[k.def], m.replica):
			c.refused(m.call, k)
		}
	}
	if r.open--; r.open == 0 {
		c.emptied(m.replica, r)
	}
}
