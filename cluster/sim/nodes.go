package sim

import (
	"fmt"
	"math"
	"slices"

	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
)

// machines are the nodes of a simulation that has some.
type machines struct {
	rooms    []node.Room
	hosts    []host
	unplaced []int32       // services that have replicas that fit nowhere
	placing  bool          // an event will try them again
	shares   []node.Share  // scratch
	tenants  []node.Tenant // scratch
}

// host is a node as it runs.
type host struct {
	replicas []int32 // on it, in no order
	running  []int32 // those of them with a runnable thread
	pressure node.Pressure
	images   map[int32]int64 // by service: when its image is there
	disks    node.Disks
	in, out  node.Link

	hostCPU
	hostMemory
}

// build sets the nodes up, and says which service would fit on none of them even if it were empty.
func (c *Cluster) build() error {
	c.hosts = make([]host, len(c.cfg.Nodes))
	for i, n := range c.cfg.Nodes {
		c.rooms = append(c.rooms, node.Room{Node: n})
		h := &c.hosts[i]
		h.images = map[int32]int64{}
		h.disks = make(node.Disks, max(n.Disks, 1))
		h.dividing, h.level = des.None, math.Inf(1)
		c.setCores(int32(i))
	}
	if len(c.hosts) == 0 {
		return nil
	}
	for i := range c.app.Services {
		s := &c.app.Services[i]
		if _, ok := c.choose(node.NewRequest(s.Initial.CPU, c.needs(int32(i), s.Initial.Memory))); !ok {
			return fmt.Errorf("sim: service %s: a replica of %v cores and %d bytes fits on no node, even on an empty one", s.Name, s.Initial.CPU, s.Initial.Memory)
		}
	}
	if slices.ContainsFunc(c.cfg.Nodes, sharesMemory) {
		c.queue.At(c.queue.Now()+measureEvery, des.Event{Kind: onMeasure})
	}
	return nil
}

// needs is the memory that a replica of a service asks for: what it is given, or holds when idle where that is not managed.
func (c *Cluster) needs(s int32, memory int64) int64 {
	if memory == 0 {
		return c.program.services[s].memory
	}
	return memory
}

// claim is what a replica of a service asks a node for.
func (c *Cluster) claim(s int32) node.Request {
	sv := &c.services[s]
	return node.NewRequest(sv.now.CPU, c.needs(s, sv.now.Memory))
}

// place chooses a host for a replica of a service; -1 where there are no nodes. false: it fits nowhere.
func (c *Cluster) place(s int32) (int32, bool) {
	if len(c.hosts) == 0 {
		return -1, true
	}
	return c.choose(c.claim(s))
}

func (c *Cluster) choose(q node.Request) (int32, bool) {
	at := c.cfg.Placement.Place(c.rooms, q)
	return int32(at), at >= 0
}

// house puts a replica on its host.
func (c *Cluster) house(id int32, r *replica) {
	h := &c.hosts[r.host]
	r.request = c.claim(r.service)
	c.rooms[r.host].Take(r.request)
	h.replicas = append(h.replicas, id)
	c.settleIn(h, id, r)
}

// unhouse takes a replica off its host; there may be room for others then.
func (c *Cluster) unhouse(id int32, r *replica) {
	h := &c.hosts[r.host]
	c.rooms[r.host].Give(r.request)
	i := slices.Index(h.replicas, id)
	last := len(h.replicas) - 1
	h.replicas[i] = h.replicas[last]
	h.replicas = h.replicas[:last]
	c.moveOut(h, i)
	c.makeRoom()
}

// resize brings what a service's replicas request to what they have: limits are written as they are, wanted or not.
func (c *Cluster) resize(sv *service) {
	if len(c.hosts) == 0 {
		return
	}
	for _, id := range sv.replicas {
		r := c.replicas.at(id)
		if r.phase != starting && r.phase != ready {
			continue
		}
		if q := c.claim(r.service); q != r.request {
			c.rooms[r.host].Resize(r.request, q)
			r.request = q
			c.makeRoom()
		}
	}
}

// postpone remembers that a service has replicas that fit nowhere.
func (c *Cluster) postpone(s int32) {
	if sv := &c.services[s]; !sv.unplaced {
		sv.unplaced = true
		c.unplaced = append(c.unplaced, s)
	}
}

// makeRoom tries again, at this instant, to start the replicas that fitted nowhere.
func (c *Cluster) makeRoom() {
	if len(c.unplaced) > 0 && !c.placing {
		c.placing = true
		c.queue.Soon(des.Event{Kind: onPlace})
	}
}

func (c *Cluster) placeAgain() {
	c.placing = false
	waiting := slices.Clone(c.unplaced)
	c.unplaced = c.unplaced[:0]
	for _, s := range waiting {
		c.services[s].unplaced = false
	}
	for _, s := range waiting {
		c.reconcile(s)
	}
}

// imageThere is when a host has the image of a service: a host fetches it once, as fast as what antagonists leave of its
// link allows, and keeps it.
func (c *Cluster) imageThere(s, host int32) int64 {
	now := c.queue.Now()
	if host < 0 {
		return now
	}
	h, def := &c.hosts[host], c.services[s].def
	at, ok := h.images[s]
	if !ok {
		at = now + int64(float64(def.pull)/h.pressure.Left(node.Network))
		h.images[s] = at
	}
	return max(at, now)
}

// forgetImages makes hosts fetch a service's image anew, as they must for another version of it.
func (c *Cluster) forgetImages(s int32) {
	for i := range c.hosts {
		delete(c.hosts[i].images, s)
	}
}
