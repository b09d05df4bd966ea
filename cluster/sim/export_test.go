package sim

import (
	"slices"

	"foresail.dev/cluster/sim/node"
)

// Live is how many records of visits, frames, calls and traces are in use; none when nothing is in progress.
func (c *Cluster) Live() int {
	return c.visits.Taken() + c.frames.Taken() + c.calls.Taken() + c.traces.Open() + c.messages.Taken()
}

// Replicas is how many replicas have a number.
func (c *Cluster) Replicas() int { return c.replicas.Taken() }

// Press lets an antagonist take a share of a node's resource.
func (c *Cluster) Press(name string, what node.Resource, amount float64) {
	c.hosts[c.hostByName(name)].Press(what, amount)
}

// LoseNode takes a node away.
func (c *Cluster) LoseNode(name string) { c.loseNode(c.hostByName(name)) }

// ReturnNode brings it back.
func (c *Cluster) ReturnNode(name string) { c.returnNode(c.hostByName(name)) }

func (c *Cluster) hostByName(name string) int32 {
	return int32(slices.IndexFunc(c.rooms, func(r node.Room) bool { return r.Node.Name == name }))
}
