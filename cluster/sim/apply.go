package sim

import (
	"context"
	"fmt"
	"maps"

	"foresail.dev"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/program"
)

// Apply states what should be, from the present instant on. See the package comment for how it comes about. What can't
// be done for a service (it is not known, or the allocation is no allocation or outside the service's bounds) is told in
// a *foresail.ApplyError; all other changes of the plan take effect. A Memory of 0 and nil Settings keep what is.
func (c *Cluster) Apply(ctx context.Context, p *foresail.Plan) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if p == nil {
		return nil
	}
	failed := map[foresail.ServiceID]error{}
	for _, ch := range p.Changes {
		if err := c.change(ch.Service, ch.To); err != nil {
			failed[ch.Service] = err
		}
	}
	if len(failed) > 0 {
		return &foresail.ApplyError{Failed: failed}
	}
	return nil
}

func (c *Cluster) change(id foresail.ServiceID, to foresail.Allocation) error {
	if id < 0 || int(id) >= len(c.services) {
		return fmt.Errorf("no service has the number %d: there are %d", id, len(c.services))
	}
	if err := program.CheckNumbers(to); err != nil {
		return err
	}
	sv := &c.services[id]
	if sv.gone {
		return fmt.Errorf("%s is no longer part of the application", sv.name)
	}
	if to.Memory == 0 {
		to.Memory = sv.target.Memory
	}
	if to.Settings == nil {
		to.Settings = sv.target.Settings
	}
	if in, bound := c.app.Services[id].Bounds.Clamp(to); bound != "" || !in.Equal(to) {
		if bound == "" {
			bound = "settings"
		}
		return fmt.Errorf("%s is outside the service's bounds (%s): ask for %s", to, bound, in)
	}
	to.Settings = maps.Clone(to.Settings)
	sv.target = to
	c.reconcile(int32(id))
	return nil
}

// reconcile brings a service as near to its target as may be now: what is added comes at once, what is taken away goes
// when enough replicas are ready.
func (c *Cluster) reconcile(s int32) {
	sv := &c.services[s]
	if sv.target.CPU > sv.now.CPU {
		c.setCPU(sv, sv.target.CPU)
	}
	if sv.rolling {
		if sv.rolling = c.roll(s); sv.rolling {
			c.resize(sv)
			return
		}
	}
	for len(sv.ready)+sv.starting+sv.lost < sv.target.Replicas {
		if !c.start(s) {
			c.postpone(s)
			break
		}
	}
	for i := len(sv.replicas) - 1; i >= 0 && sv.starting > 0 && len(sv.ready)+sv.starting > sv.target.Replicas; i-- {
		if id := sv.replicas[i]; c.replicas.At(id).phase == starting {
			sv.starting--
			c.retire(id, c.replicas.At(id))
		}
	}
	if len(sv.ready) < sv.target.Replicas {
		sv.now.Memory = max(sv.now.Memory, sv.target.Memory)
		c.resize(sv)
		return
	}
	for len(sv.ready) > sv.target.Replicas {
		id := sv.ready[len(sv.ready)-1] // the newest
		sv.ready = sv.ready[:len(sv.ready)-1]
		c.drain(id)
	}
	if sv.target.CPU < sv.now.CPU {
		c.setCPU(sv, sv.target.CPU)
	}
	sv.now.Memory, sv.now.Settings = sv.target.Memory, sv.target.Settings
	c.resize(sv)
}

// setCPU changes the limit of all replicas but those that drain; it acts at once.
func (c *Cluster) setCPU(sv *service, cores float64) {
	sv.now.CPU = cores
	for _, id := range sv.replicas {
		r := c.replicas.At(id)
		if r.phase == starting || r.phase == ready {
			r.cpu.Advance(c.queue.Now())
			r.cpu.Limit(cores)
			if r.odd {
				c.troubles.Reckon(id)
			}
			c.watch(id, r)
		}
	}
}

// start begins to start a replica; false: it fits on no node.
func (c *Cluster) start(s int32) bool {
	host, ok := c.place(s)
	if !ok {
		return false
	}
	sv := &c.services[s]
	id := c.newReplica(s, starting, host)
	sv.starting++
	c.replicas.At(id).change = c.queue.At(c.imageThere(s, host)+sv.def.Start, des.Event{Kind: onReady, A: id})
	return true
}

// started makes a replica ready: it takes requests, cold at first.
func (c *Cluster) started(id int32) {
	r := c.replicas.At(id)
	sv := &c.services[r.service]
	r.change, r.phase, r.readySince = des.None, ready, c.queue.Now()
	sv.starting--
	sv.ready = append(sv.ready, id)
	c.reconcile(r.service)
}

// drain lets a replica finish what it has, for as long as the limit allows.
func (c *Cluster) drain(id int32) {
	r := c.replicas.At(id)
	r.phase = draining
	if r.open == 0 {
		c.retire(id, r)
		return
	}
	r.change = c.queue.At(c.queue.Now()+int64(c.cfg.DrainLimit), des.Event{Kind: onKill, A: id})
}

// pending is what was asked for and is not yet in effect; nil: nothing.
func (sv *service) pending() *foresail.Allocation {
	if sv.effective().Equal(sv.target) {
		return nil
	}
	p := sv.target
	p.Settings = maps.Clone(p.Settings)
	return &p
}

// effective is the allocation in effect: the replicas that take requests, and what each has.
func (sv *service) effective() foresail.Allocation {
	a := sv.now
	a.Replicas = len(sv.ready)
	a.Settings = maps.Clone(a.Settings)
	return a
}
