package sim

import (
	"slices"

	"foresail.dev/cluster/sim/des"
)

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
