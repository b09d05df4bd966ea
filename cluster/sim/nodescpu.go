package sim

import (
	"math"

	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
)

// divideEvery is how often the cores of a contended node are divided anew at least: the tick of a kernel at 250 Hz.
const divideEvery = int64(4e6)

// hostCPU is how a host's cores are shared. While there are no more runnable threads than cores it costs two counters.
// Once there are, the cores are divided at the present instant, and again when the number of runnable threads has changed
// by an eighth of the cores, when it falls to the number of cores, and each divideEvery. In between, replicas keep what
// they were given, so that for moments some more than all cores may be used, or fewer; what was used too much is taken off
// what is divided next.
type hostCPU struct {
	threads  int64   // runnable, those that wait for quota included
	cores    int64   // what antagonists leave, in parts of 1/cfs.Core
	level    float64 // each replica has min(level × limit, cores); +Inf while there is no contention
	when     int64   // threads when the cores were last divided
	at       int64   // when that was
	spent    int64   // ns of CPU since, of threads that are not running any more
	debt     int64   // ns of CPU used too much
	dividing des.Handle
}

// setCores brings the cores to what antagonists leave.
func (c *Cluster) setCores(host int32) {
	h := &c.hosts[host]
	cores := c.rooms[host].Node.Cores
	if cores == 0 {
		h.cores = int64(c.cfg.NodeCores) * cfs.Core
		return
	}
	h.cores = max(int64(float64(int64(cores)*cfs.Core)*h.pressure.Left(node.CPU)), 1)
}

// limited reports whether threads of different replicas compete for a host's cores at all.
func (c *Cluster) limited(host int32) bool { return c.rooms[host].Node.Cores > 0 }

// contended reports whether there are more runnable threads than cores.
func (h *hostCPU) contended() bool { return h.threads*cfs.Core > h.cores }

// given is how many cores a replica has, in parts of 1/cfs.Core.
func (h *hostCPU) given(weight float64) int64 {
	if v := h.level * weight * float64(cfs.Core); v < float64(h.cores) {
		return max(int64(v+0.5), 1)
	}
	return h.cores
}

// threadBegins is called when a replica has a runnable thread more.
func (c *Cluster) threadBegins(id int32, r *replica) {
	h := &c.hosts[r.host]
	h.threads++
	if r.runs < 0 {
		r.runs = int32(len(h.running))
		h.running = append(h.running, id)
		r.cpu.Cores = h.given(c.services[r.service].now.CPU)
		r.counted = r.cpu.Total
	}
	if h.contended() && (h.dividing == des.None || h.threads-h.when >= h.cores/(8*cfs.Core)+1) && c.limited(r.host) {
		c.divide(r.host)
	}
}

// threadEnds is called when it has one less.
func (c *Cluster) threadEnds(r *replica) {
	h := &c.hosts[r.host]
	h.threads--
	if r.cpu.Threads() == 0 {
		h.spent += r.cpu.Total - r.counted
		last := h.running[len(h.running)-1]
		h.running[r.runs] = last
		c.replicas.at(last).runs = r.runs
		h.running = h.running[:len(h.running)-1]
		r.runs = -1
	}
	if h.dividing != des.None && (!h.contended() || h.when-h.threads >= h.cores/(8*cfs.Core)+1) {
		c.divide(r.host)
	}
}

// divide divides a host's cores among the replicas that run, as cgroups do by weight.
func (c *Cluster) divide(host int32) {
	h := &c.hosts[host]
	now := c.queue.Now()
	c.shares = c.shares[:0]
	for _, id := range h.running {
		r := c.replicas.at(id)
		r.cpu.Advance(now)
		h.spent += r.cpu.Total - r.counted
		r.counted = r.cpu.Total
		busy := float64(r.cpu.Threads())
		if r.cpu.Waits() {
			busy = 0
		}
		c.shares = append(c.shares, node.Share{Busy: busy, Weight: c.services[r.service].now.CPU})
	}
	h.debt = max(h.debt+h.spent-(now-h.at)*h.cores/cfs.Core, 0)
	h.spent, h.at, h.when = 0, now, h.threads
	if h.contended() {
		cores := float64(h.cores) / float64(cfs.Core)
		h.level = node.Level(max(cores-float64(h.debt)/float64(divideEvery), cores/2), c.shares)
	} else {
		h.level = math.Inf(1)
	}
	for _, id := range h.running {
		r := c.replicas.at(id)
		if given := h.given(c.services[r.service].now.CPU); given != r.cpu.Cores {
			r.cpu.Cores = given
			c.watch(id, r)
		}
	}
	switch {
	case !h.contended() && h.dividing != des.None:
		c.queue.Cancel(h.dividing)
		h.dividing = des.None
	case h.contended() && h.dividing == des.None:
		h.dividing = c.queue.At(now+divideEvery, des.Event{Kind: onDivide, A: host})
	}
}
