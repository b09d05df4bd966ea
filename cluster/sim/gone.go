package sim

import (
	"foresail.dev/cluster/sim/des"
)

// kill takes a replica away with what it has: its requests fail at once.
func (c *Cluster) kill(id int32) {
	r := c.replicas.At(id)
	r.cpu.Advance(c.queue.Now())
	r.usage.queue.Add(c.queue.Now(), -r.waiting)
	c.services[r.service].queue.Add(c.queue.Now(), -r.waiting)
	r.first, r.last, r.waiting = -1, -1, 0
	c.killed = c.killed[:0]
	c.visits.Each(func(vi int32, v *visit) {
		if v.replica == id && v.refs > 0 {
			v.refs++ // stays until this is over
			c.killed = append(c.killed, vi)
		}
	})
	for _, vi := range c.killed {
		v := c.visits.At(vi)
		v.dead = true
		if v.answered {
			continue
		}
		v.failed = true
		if v.begun {
			v.refs++ // for the answer; the operation's own goes when its frame ends
		}
		c.answer(vi, v)
	}
	for {
		frame, ok := r.cpu.Drop()
		if !ok {
			break
		}
		if r.host >= 0 {
			c.hosts[r.host].End(&r.member)
		}
		if frame != background {
			c.proceed(frame) // it ends: its visit is dead
		}
	}
	c.watch(id, r)
	if r.odd {
		c.troubles.Heal(id)
	}
	c.retire(id, r)
	for _, vi := range c.killed {
		c.unref(vi, c.visits.At(vi))
	}
}

// retire takes a replica out of service for good. The snapshot of this beat still tells what it did.
func (c *Cluster) retire(id int32, r *replica) {
	if r.change != des.None {
		c.queue.Cancel(r.change)
		r.change = des.None
	}
	if r.cpu.Threads() > 0 { // reports, which nobody waits for
		r.cpu.Advance(c.queue.Now())
		for r.cpu.Threads() > 0 {
			r.cpu.Drop()
			if r.host >= 0 {
				c.hosts[r.host].End(&r.member)
			}
		}
		c.watch(id, r)
	}
	if r.odd {
		c.troubles.Heal(id)
	}
	r.phase = gone
	c.even(id)
	if r.host >= 0 {
		c.unhouse(r)
	}
	c.forget(id, r)
}

// emptied is called when the last record of a replica's work is gone.
func (c *Cluster) emptied(id int32, r *replica) {
	if r.phase == draining {
		c.retire(id, r)
	} else {
		c.forget(id, r)
	}
}

// forget gives the number of a replica free once nothing refers to it.
func (c *Cluster) forget(id int32, r *replica) {
	if r.phase == gone && r.open == 0 && r.told {
		c.replicas.Give(id)
	}
}
