package sim

// asks counts the message with which a call comes to a replica: what its caller sends and the replica receives.
func (c *Cluster) asks(k *call, callee *replica, size int64) {
	callee.usage.netIn += size
	if k.from >= 0 {
		c.replicas.at(c.visits.at(k.from).replica).usage.netOut += size
	}
}

// answers counts the message with which a replica answers a call that still waits for it. A caller whose replica was
// taken away has closed its connections.
func (c *Cluster) answers(k *call, callee *replica) {
	size := c.program.calls[k.def].response
	if k.from >= 0 {
		caller := c.visits.at(k.from)
		if caller.dead {
			return
		}
		c.replicas.at(caller.replica).usage.netIn += size
	}
	callee.usage.netOut += size
}
