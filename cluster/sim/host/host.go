// Package host is a node as it runs in a simulation: how the replicas on it share its cores, its last-level cache, its
// memory, its link and its disks, with the formulas of package node, and what an agent on it counts. It knows nothing of
// requests and services: replicas are members with a CPU.
package host

import (
	"math"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
)

// Host is one node.
type Host struct {
	Node  foresail.Node
	queue *des.Queue
	watch func(id int32)

	members  []*Member
	active   []*Member // of those that used CPU lately
	pressure node.Pressure
	images   map[int32]int64 // by key: when it is there
	disks    node.Disks
	in, out  node.Link
	cpu      cores
	memory   memory
	seen     seen

	shares  []node.Share  // scratch
	tenants []node.Tenant // scratch
}

// Member is a replica on a host. It must stay where it is in memory while it is there.
type Member struct {
	CPU    *cfs.Group
	Weight float64 // of its share of the cores: its limit
	Of     *foresail.Interference
	// Traffic is the bytes that it moved from and to memory; CountTraffic brings it up to date, and whoever reads it sets it
	// back.
	Traffic float64

	counted  int64   // of its CPU time when the cores were last divided, ns
	moved    int64   // when traffic was last counted
	measured int64   // when contention was last measured
	using    float64 // cores, lately

	ID int32
	// Its place among the host's members, among those that were active lately, and among those that run: -1 when it is not.
	place, acts, runs int32
}

// New is a node without replicas. The queue tells the time, and divide is the event that calls Divide; watch is called when
// the CPU of a member goes on at another speed from now on. A node whose cores are not limited gives each replica as many
// as unlimited says.
func New(n foresail.Node, unlimited int, queue *des.Queue, divide des.Event, watch func(id int32)) *Host {
	h := &Host{Node: n, queue: queue, watch: watch, images: map[int32]int64{}, disks: make(node.Disks, max(n.Disks, 1))}
	h.cpu = cores{event: divide, armed: des.None, level: math.Inf(1), all: int64(n.Cores) * cfs.Core}
	if n.Cores == 0 {
		h.cpu.all = int64(unlimited) * cfs.Core
	}
	h.cpu.left = h.cpu.all
	return h
}

// Join puts a member without runnable threads on the host.
func (h *Host) Join(m *Member) {
	m.place, m.acts, m.runs = int32(len(h.members)), -1, -1
	m.counted, m.moved, m.measured = m.CPU.Total, m.CPU.Total, m.CPU.Total
	h.members = append(h.members, m)
}

// Leave takes a member without runnable threads off it.
func (h *Host) Leave(m *Member) {
	h.CountTraffic()
	if m.acts >= 0 {
		h.rest(m)
	}
	last := h.members[len(h.members)-1]
	h.members[m.place], last.place = last, m.place
	h.members = h.members[:len(h.members)-1]
}

// Members are the numbers of those on the host.
func (h *Host) Members() []int32 {
	out := make([]int32, len(h.members))
	for i, m := range h.members {
		out[i] = m.ID
	}
	return out
}

// Press lets an antagonist take a share of a resource from now on, or give it back where amount is negative. The amounts
// of several antagonists add up; see node.Pressure. What the node does not limit can't be taken, but for the time of its
// disks and packets that are lost.
func (h *Host) Press(what node.Resource, amount float64) {
	h.CountTraffic() // at the speeds until now
	if what == node.CPU {
		h.Divide() // what was used so far was used of the cores that there were
	}
	h.pressure.Add(what, amount)
	switch what {
	case node.CPU:
		if h.Node.Cores > 0 {
			h.cpu.left = max(int64(float64(h.cpu.all)*h.pressure.Left(node.CPU)), 1)
			h.Divide()
		}
	case node.Cache, node.MemoryBandwidth:
		h.contend()
	}
}

// Image is when the host has an image that takes so long to fetch, ns; it is fetched once, as fast as what antagonists
// leave of the link allows, and kept.
func (h *Host) Image(key int32, pull int64) int64 {
	at, ok := h.images[key]
	if !ok {
		at = h.queue.Now() + int64(float64(pull)/h.pressure.Left(node.Network))
		h.images[key] = at
	}
	return max(at, h.queue.Now())
}

// Keep makes an image be there already.
func (h *Host) Keep(key int32) { h.images[key] = 0 }

// Forget makes the host fetch an image anew.
func (h *Host) Forget(key int32) { delete(h.images, key) }

// Disk has a disk work on a request of so many bytes that takes so long, ns, and tells when it will be done.
func (h *Host) Disk(bytes, takes int64) int64 {
	if h.Node.Disk > 0 {
		takes = max(takes, int64(float64(bytes)*1e9/h.Node.Disk+0.5))
	}
	if left := h.pressure.Left(node.Disk); left < 1 {
		takes = int64(float64(takes) / left)
	}
	h.seen.disk += takes
	return h.disks.Serve(h.queue.Now(), takes)
}

// Carry is when a message of so many bytes that leaves a host now comes to another, and how often some of it was sent
// again; nil is outside. latency is what it takes beside the time of its bytes, and chance draws from [0, 1).
func Carry(from, to *Host, now, latency, bytes int64, chance func() float64) (at int64, resent int) {
	at = now
	through, crowded := 1.0, false
	if from != nil {
		crowded = from.out.Wait(at) > node.Overflow
		at = from.out.Send(at, bytes, from.Node.Network*from.pressure.Left(node.Network))
		from.seen.sent += bytes
		through *= from.pressure.Left(node.Loss)
	}
	at += latency
	if to != nil {
		crowded = crowded || to.in.Wait(now+latency) > node.Overflow
		at = max(at, to.in.Send(now+latency, bytes, to.Node.Network*to.pressure.Left(node.Network)))
		to.seen.received += bytes
		through *= to.pressure.Left(node.Loss)
	}
	if through < 1 {
		var wait int64
		resent, wait = node.Resent(1-through, chance)
		at += wait
	}
	if crowded {
		resent++
	}
	return at, resent
}
