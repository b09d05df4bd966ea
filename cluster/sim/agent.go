package sim

import (
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
)

// agentSignals are what an agent sees of any replica.
const agentSignals = foresail.SignalQueue | foresail.SignalDisk | foresail.SignalPressure

// agentSees is what an agent sees of a replica on a host; -1: without nodes, where the network and the memory system are
// not simulated.
func (c *Cluster) agentSees(at int32) foresail.Signals {
	switch {
	case at < 0:
		return agentSignals
	case c.rooms[at].Node.Counters:
		return agentSignals | foresail.SignalRetransmits | host.Counters
	}
	return agentSignals | foresail.SignalRetransmits
}

// observeAgent tells what an agent counted of a replica.
func (c *Cluster) observeAgent(r *replica, o *foresail.ReplicaStats, beat int64) {
	now, u := c.queue.Now(), &r.usage
	o.Queue = u.queue.Take(now, beat)
	some, all := u.disk.Take(now)
	o.DiskRead, o.DiskWritten, o.IOWait, o.IOPressure = u.read, u.written, time.Duration(all), time.Duration(some)
	o.CPUPressure = time.Duration(r.cpu.Throttled + r.cpu.Waited)
	o.MemoryPressure = min(time.Duration(u.reclaim), time.Duration(beat))
	u.read, u.written, u.reclaim = 0, 0, 0
	if r.host < 0 {
		return
	}
	o.Retransmits = float64(u.resent)
	if o.Has.Has(host.Counters) {
		o.MemoryTraffic, o.CacheMisses = r.member.Traffic, r.member.Traffic/node.Line
	}
	u.resent, r.member.Traffic = 0, 0
}

// observeNodes tells what agents see of their nodes. Nothing is heard of one that is down.
func (c *Cluster) observeNodes(beat int64) []foresail.NodeStats {
	out := make([]foresail.NodeStats, 0, len(c.hosts))
	for i, h := range c.hosts {
		s := h.Observe(beat, &c.used[i], c.sized)
		c.used[i] = foresail.Usage{}
		if !c.rooms[i].Down {
			out = append(out, s)
		}
	}
	return out
}

// serve has a disk work on a step and tells when it will be done: the node's, or one of the replica's own where there are
// no nodes.
func (c *Cluster) serve(r *replica, d *program.Disk, takes int64) int64 {
	now := c.queue.Now()
	r.usage.read += d.Read
	r.usage.written += d.Written
	r.usage.disk.Add(now, 1)
	if r.host >= 0 {
		return c.hosts[r.host].Disk(d.Read+d.Written, takes)
	}
	r.disk = max(r.disk, now) + takes
	return r.disk
}

// served goes on with a frame whose disk is done.
func (c *Cluster) served(fi int32) {
	c.replicas.At(c.visits.At(c.frames.At(fi).visit).replica).usage.disk.Add(c.queue.Now(), -1)
	c.proceed(fi)
}

// reclaimed is what a thread needs with the memory that must be reclaimed meanwhile: see node.Reclaim. It is reckoned when
// the thread begins.
func (c *Cluster) reclaimed(id int32, r *replica, need int64) int64 {
	more := int64(float64(need) * node.Reclaim(r.memory+c.leaked(id, r), c.services[r.service].now.Memory))
	r.usage.reclaim += more
	return need + more
}
