package sim

import (
	"fmt"
	"slices"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/cluster/sim/slab"
)

// machines are the nodes of a simulation that has some.
type machines struct {
	rooms    []node.Room
	hosts    []*host.Host
	used     []foresail.Usage   // by host: what its replicas did, while a snapshot is made
	unplaced []int32            // services that have replicas that fit nowhere
	placing  bool               // an event will try them again
	sized    bool               // the sizes of all messages are known
	messages slab.Slab[message] // to replicas, underway
	losing   chance.Stream      // of which messages are lost
	lost     func() float64     // draws from it
}

// build sets the nodes up, and says which service would fit on none of them even if it were empty.
func (c *Cluster) build() error {
	if len(c.cfg.Nodes) == 0 {
		return nil
	}
	watch := func(id int32) { c.watch(id, c.replicas.At(id)) }
	shared := false
	for i, n := range c.cfg.Nodes {
		c.rooms = append(c.rooms, node.Room{Node: n})
		c.hosts = append(c.hosts, host.New(n, c.cfg.NodeCores, &c.queue, des.Event{Kind: onDivide, A: int32(i)}, watch))
		shared = shared || c.hosts[i].SharesMemory()
	}
	c.used = make([]foresail.Usage, len(c.hosts))
	c.losing = chance.Purpose(c.cfg.Seed, chance.ForLosses)
	c.lost = c.losing.Float
	c.sized = !slices.ContainsFunc(c.program.Services, func(s program.Service) bool { return !s.Network })
	for i := range c.app.Services {
		s := &c.app.Services[i]
		if node.Place(c.cfg.Placement, c.rooms, c.requests(s.Initial.CPU, c.needs(int32(i), s.Initial.Memory))) < 0 {
			return fmt.Errorf("sim: service %s: a replica of %v cores and %d bytes fits on no node, even on an empty one",
				s.Name, s.Initial.CPU, s.Initial.Memory)
		}
	}
	if shared {
		c.queue.At(host.MeasureEvery, des.Event{Kind: onMeasure})
	}
	return nil
}

// measure looks at the contention of caches and memory.
func (c *Cluster) measure(e des.Event) {
	for _, h := range c.hosts {
		if h.SharesMemory() {
			h.Measure()
		}
	}
	c.queue.At(c.queue.Now()+host.MeasureEvery, e)
}

// needs is the memory that a replica of a service asks for: what it is given, or holds when idle where that is not managed.
func (c *Cluster) needs(s int32, memory int64) int64 {
	if memory == 0 {
		return c.program.Services[s].Memory
	}
	return memory
}

// requests makes a replica's request.
func (c *Cluster) requests(cores float64, memory int64) node.Request {
	if c.cfg.Overcommit {
		cores = 0
	}
	return node.NewRequest(cores, memory)
}

// claim is what a replica of a service asks a node for.
func (c *Cluster) claim(s int32) node.Request {
	sv := &c.services[s]
	return c.requests(sv.now.CPU, c.needs(s, sv.now.Memory))
}

// place chooses a host for a replica of a service; -1 where there are no nodes. false: it fits nowhere.
func (c *Cluster) place(s int32) (int32, bool) {
	if len(c.hosts) == 0 {
		return -1, true
	}
	at := node.Place(c.cfg.Placement, c.rooms, c.claim(s))
	return int32(at), at >= 0
}

// house puts a replica on its host.
func (c *Cluster) house(id int32, r *replica) {
	r.request = c.claim(r.service)
	c.rooms[r.host].Take(r.request)
	sv := &c.services[r.service]
	r.member = host.Member{ID: id, CPU: &r.cpu, Weight: sv.now.CPU, Of: sv.def.Interference}
	c.hosts[r.host].Join(&r.member)
}

// unhouse takes a replica off its host; there may be room for others then.
func (c *Cluster) unhouse(r *replica) {
	c.rooms[r.host].Give(r.request)
	c.hosts[r.host].Leave(&r.member)
	c.makeRoom()
}

// resize brings what a service's replicas request to what they have: limits are written as they are, wanted or not.
func (c *Cluster) resize(sv *service) {
	if len(c.hosts) == 0 {
		return
	}
	for _, id := range sv.replicas {
		r := c.replicas.At(id)
		if r.phase != starting && r.phase != ready {
			continue
		}
		if q := c.claim(r.service); q != r.request {
			c.rooms[r.host].Resize(r.request, q)
			r.request, r.member.Weight = q, sv.now.CPU
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

// imageThere is when a host has the image of a service.
func (c *Cluster) imageThere(s, host int32) int64 {
	if host < 0 {
		return c.queue.Now()
	}
	return c.hosts[host].Image(s, c.services[s].def.Pull)
}
