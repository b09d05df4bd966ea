package sim

import (
	"math"
	"slices"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/program"
)

// What a rolling update may add to the replicas asked for, and take from those ready, as Kubernetes Deployments have it by
// default: shares of the replicas, the first rounded up and the second down.
const (
	maxSurge       = 0.25
	maxUnavailable = 0.25
)

// roll brings a service as near as may be now to having replicas of its present version alone; it is called again whenever
// one starts or the target changes. The rule is that of Kubernetes' rolling Deployments: at most so many starting and ready
// replicas more than asked for, at least so many ready, those that have not started go first. It reports whether there are
// replicas of another version left.
func (c *Cluster) roll(s int32) bool {
	sv := &c.services[s]
	want := sv.target.Replicas
	most := want + int(math.Ceil(maxSurge*float64(want)-1e-9))
	least := want - int(maxUnavailable*float64(want))
	for {
		total, fresh, coming, old := 0, 0, 0, int32(-1) // old: the one to go next
		for _, id := range slices.Backward(sv.replicas) {
			switch r := c.replicas.At(id); {
			case r.phase > ready:
				continue
			case c.defOf(id, r) != sv.def && (old < 0 || r.phase <= c.replicas.At(old).phase):
				old = id
			case c.defOf(id, r) == sv.def && r.phase == starting:
				coming++
			}
			if c.defOf(id, c.replicas.At(id)) == sv.def {
				fresh++
			}
			total++
		}
		switch {
		case old < 0:
			return false
		case fresh < want && total < most:
			if !c.start(s) {
				c.postpone(s)
				return true
			}
		case c.replicas.At(old).phase == starting:
			sv.starting--
			c.retire(old, c.replicas.At(old))
		case total-least-coming > 0 && len(sv.ready) > least:
			sv.ready = slices.DeleteFunc(sv.ready, func(id int32) bool { return id == old })
			c.drain(old)
		default:
			return true
		}
	}
}

// rollOut makes a definition the service's version.
func (c *Cluster) rollOut(s int32, def *program.Service) {
	sv := &c.services[s]
	for _, id := range sv.replicas {
		if c.replicas.At(id).phase != gone {
			c.oddOf(id) // which holds what has been its version so far
		}
	}
	sv.def, sv.rolling = def, true
	for _, id := range sv.replicas {
		c.even(id)
	}
	for _, h := range c.hosts {
		h.Forget(s) // another version is another image
	}
	c.reconcile(s)
}

// stepsOf is what a replica does for a call: what its own version says. ok is false where that has no such operation.
func (c *Cluster) stepsOf(id int32, def *program.Call) (steps program.Extent, ok bool) {
	index := c.program.Ops[def.Op].Index
	ops := c.defOf(id, c.replicas.At(id)).Ops
	switch {
	case index < 0: // a call back, which is of no version
		return def.Steps, true
	case ops.From+index >= ops.To:
		return program.Extent{}, false
	}
	return c.program.Ops[ops.From+index].Steps, true
}

// callBack has an operation make a call of no step before it begins.
func (c *Cluster) callBack(fi, def int32) {
	f := c.frames.At(fi)
	v := c.visits.At(f.visit)
	ci, k := c.newCall(def, v.rnd^chance.Golden)
	k.from, k.frame, k.depth = f.visit, fi, v.depth+1
	f.waiting++
	v.refs++
	if v.trace >= 0 {
		k.trace = v.trace
		c.traces.Ref(v.trace)
	}
	c.ask(ci, k)
}
