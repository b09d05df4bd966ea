package sim

import (
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/disturb"
	"foresail.dev/cluster/sim/program"
)

// odd is what a replica has that most have not: another version than its service, and what faults do to it at present.
type odd struct {
	def  *program.Service // its version
	harm disturb.Harm
}

// oddOf is what is odd about a replica.
func (c *Cluster) oddOf(id int32) *odd {
	r := c.replicas.At(id)
	if !r.odd {
		r.odd = true
		c.odd[id] = &odd{def: c.services[r.service].def, harm: disturb.NoHarm()}
	}
	return c.odd[id]
}

// even forgets what is odd about a replica where nothing is any more.
func (c *Cluster) even(id int32) {
	r := c.replicas.At(id)
	if r.odd && !c.odd[id].harm.Any() && (r.phase == gone || c.odd[id].def == c.services[r.service].def) {
		r.odd = false
		delete(c.odd, id)
	}
}

// defOf is a replica's version.
func (c *Cluster) defOf(id int32, r *replica) *program.Service {
	if r.odd {
		return c.odd[id].def
	}
	return c.services[r.service].def
}

// leaked is what a replica has lost by now, in bytes.
func (c *Cluster) leaked(id int32, r *replica) int64 {
	if !r.odd {
		return 0
	}
	return c.odd[id].harm.Leaked(c.queue.Now())
}

// hindered reports whether a fault keeps an operation of an odd replica from beginning; it begins, or ends, later.
func (c *Cluster) hindered(fi int32, v *visit) bool {
	h := &c.odd[v.replica].harm
	if h.Errors > 0 {
		c.frames.At(fi).failed = h.Fails(v.rnd)
	}
	return c.troubles.Hinders(v.replica, h, fi, &c.program.Calls[v.def])
}

// The messages of a call that may be lost, and what is added for those that may be late.
const (
	ofRequest uint64 = iota + 11
	ofAnswer
	ofLate uint64 = 10
)

// astray is how much later a message of a call comes for what faults do to it. The replica that sends it counts how often it
// is sent again. What is drawn depends on the call alone.
func (c *Cluster) astray(k *call, callee int32, size int64, of uint64) int64 {
	harmOf := func(id int32) *disturb.Harm {
		if h, odd := c.odd[id]; odd {
			return &h.harm
		}
		return nil
	}
	var caller *disturb.Harm
	if k.from >= 0 {
		caller = harmOf(c.visits.At(k.from).replica)
	}
	own := chance.Stream(chance.Mix(uint64(k.derive(ofWork)) ^ of*chance.Golden))
	delay, resent := c.troubles.Astray(c.program.Calls[k.def].Edge, harmOf(callee), caller, size, own)
	switch {
	case of == ofAnswer:
		c.replicas.At(callee).usage.resent += resent
	case k.from >= 0:
		c.replicas.At(c.visits.At(k.from).replica).usage.resent += resent
	}
	return delay
}
