package sim

import (
	"slices"

	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
)

// What happens to nodes from outside, for those who inject it. Call these between two events: from the handler of an
// event, or between two calls of Next.

// hostByName is the number of a node; -1: there is none of that name.
func (c *Cluster) hostByName(name string) int32 {
	return int32(slices.IndexFunc(c.rooms, func(r node.Room) bool { return r.Node.Name == name }))
}

// press lets an antagonist beside the application take a share of a node's resource, from now on, or give it back where
// amount is negative: see host.Host.Press.
func (c *Cluster) press(at int32, what node.Resource, amount float64) {
	c.hosts[at].Press(what, amount)
}

// loseNode takes a node away with the replicas on it: what they had fails at once, and what they counted in this beat is
// told as of replicas that have gone. They are replaced on other nodes once that is detected. It does nothing where the
// node is lost already.
func (c *Cluster) loseNode(at int32) {
	if c.rooms[at].Down {
		return
	}
	c.rooms[at].Down = true
	lost := c.hosts[at].Members()
	slices.Sort(lost)
	for _, id := range lost {
		c.lose(id)
	}
}

// lose takes a replica away in whatever phase it is, as if its machine had gone.
func (c *Cluster) lose(id int32) {
	r := c.replicas.At(id)
	sv := &c.services[r.service]
	switch r.phase {
	case starting:
		sv.starting--
	case ready:
		sv.ready = slices.DeleteFunc(sv.ready, func(i int32) bool { return i == id })
	}
	if r.phase != draining {
		sv.lost++
		c.queue.At(c.queue.Now()+int64(c.cfg.Detection), des.Event{Kind: onDetect, A: r.service})
	}
	if r.phase == starting {
		c.retire(id, r)
	} else {
		c.kill(id)
	}
}

// detect finds out that a replica was lost, and replaces it.
func (c *Cluster) detect(s int32) {
	c.services[s].lost--
	c.reconcile(s)
}

// returnNode brings a node back, empty but for the images that it has.
func (c *Cluster) returnNode(at int32) {
	if c.rooms[at].Down {
		c.rooms[at].Down = false
		c.makeRoom()
	}
}
