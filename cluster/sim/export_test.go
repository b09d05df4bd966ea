package sim

// Live is how many records of visits, frames, calls and traces are in use; none when nothing is in progress.
func (c *Cluster) Live() int {
	return c.visits.taken + c.frames.taken + c.calls.taken + c.traces.taken
}

// Replicas is how many replicas have a number.
func (c *Cluster) Replicas() int { return c.replicas.taken }
