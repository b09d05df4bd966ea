package sim

import (
	"math"

	"foresail.dev"
	"foresail.dev/cluster/sim/node"
)

const (
	// measureEvery is how often the contention of caches and memory is looked at.
	measureEvery = int64(10e6)
	// remembered is how much of the CPU use that it is reckoned from is of before: a time constant of 50 ms.
	remembered = 0.8187307530779818 // exp(-10/50)
	// noticed is the least change of a slowdown that is put into effect, as a share of the speed.
	noticed = 0.001
)

// hostMemory is how a host's last-level cache and memory are shared. It is measured for the node as a whole each
// measureEvery, from how much CPU its replicas used in the last moments, and holds until the next time.
type hostMemory struct {
	tenants  []tenant // of replicas, in the same order
	state    node.Contention
	measured int64 // when that was
}

// tenant is what was counted of a replica's CPU time, ns.
type tenant struct {
	seen  int64   // when contention was last measured
	moved int64   // when its memory traffic was last counted
	using float64 // cores, lately
}

// sharesMemory reports whether there is anything of a node's memory system to contend for.
func sharesMemory(n foresail.Node) bool { return n.Cache > 0 || n.MemoryBandwidth > 0 }

// settleIn begins to count a replica.
func (c *Cluster) settleIn(h *host, id int32, r *replica) {
	h.tenants = append(h.tenants, tenant{seen: r.cpu.Total, moved: r.cpu.Total})
	r.cpu.Slow = slow(h.state.Slowdown(c.services[r.service].def.interference))
}

// moveOut takes the i-th replica out; the last one takes its place.
func (c *Cluster) moveOut(h *host, i int) {
	last := len(h.tenants) - 1
	h.tenants[i] = h.tenants[last]
	h.tenants = h.tenants[:last]
}

// slow is the share of a thread's time that is lost when work takes so many times as long.
func slow(slowdown float64) float64 { return 1 - 1/slowdown }

func (c *Cluster) measureAll() {
	for i := range c.hosts {
		if sharesMemory(c.rooms[i].Node) {
			c.measure(int32(i))
		}
	}
}

// measure looks at what a host's replicas used since the last time, and at the contention that this makes.
func (c *Cluster) measure(host int32) {
	h, now := &c.hosts[host], c.queue.Now()
	c.countTraffic(h)
	if over := float64(now - h.measured); over > 0 {
		h.measured = now
		for i, id := range h.replicas {
			t, total := &h.tenants[i], c.replicas.at(id).cpu.Total
			if t.using = remembered*t.using + (1-remembered)*float64(total-t.seen)/over; t.using < 1e-4 {
				t.using = 0
			}
			t.seen = total
		}
	}
	c.contend(host)
}

// contend slows a host's replicas down as their neighbours have it.
func (c *Cluster) contend(host int32) {
	h := &c.hosts[host]
	c.tenants = c.tenants[:0]
	for i, id := range h.replicas {
		if using := h.tenants[i].using; using > 0 {
			c.tenants = append(c.tenants, node.Tenant{Busy: using, Of: c.services[c.replicas.at(id).service].def.interference})
		}
	}
	h.state = node.Contend(&c.rooms[host].Node, &h.pressure, c.tenants)
	for _, id := range h.replicas {
		r := c.replicas.at(id)
		s := slow(h.state.Slowdown(c.services[r.service].def.interference))
		if s == r.cpu.Slow || s > 0 && math.Abs(s-r.cpu.Slow) < noticed*(1-r.cpu.Slow) {
			continue
		}
		r.cpu.Advance(c.queue.Now())
		r.cpu.Slow = s
		c.watch(id, r)
	}
}

// countTraffic counts what replicas moved from and to memory up to now, and in doing so brings their CPUs to this instant.
func (c *Cluster) countTraffic(h *host) {
	for _, id := range h.running {
		c.replicas.at(id).cpu.Advance(c.queue.Now())
	}
	for i, id := range h.replicas {
		t, r := &h.tenants[i], c.replicas.at(id)
		if d := r.cpu.Total - t.moved; d > 0 {
			r.traffic += float64(d) * 1e-9 * h.state.Traffic(c.services[r.service].def.interference)
			t.moved = r.cpu.Total
		}
	}
}
