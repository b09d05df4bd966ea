package sim

import "foresail.dev/cluster/sim/node"

// Live is how many records of visits, frames, calls and traces are in use; none when nothing is in progress.
func (c *Cluster) Live() int {
	return c.visits.Taken() + c.frames.Taken() + c.calls.Taken() + c.traces.Taken() + c.messages.Taken()
}

// Replicas is how many replicas have a number.
func (c *Cluster) Replicas() int { return c.replicas.Taken() }

// Press lets an antagonist take a share of a node's resource.
func (c *Cluster) Press(name string, what node.Resource, amount float64) {
	c.press(c.hostByName(name), what, amount)
}

// LoseNode takes a node away.
func (c *Cluster) LoseNode(name string) { c.loseNode(c.hostByName(name)) }

// ReturnNode brings it back.
func (c *Cluster) ReturnNode(name string) { c.returnNode(c.hostByName(name)) }
