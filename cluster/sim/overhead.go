package sim

import (
	"math"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
)

// background is the thread of no request: nothing goes on when it is done.
const background = int32(-1)

// send brings a call that has its connection to its service: the caller's CPU first, then the network.
func (c *Cluster) send(ci int32, k *call) {
	o := &c.program.Overhead
	if k.from >= 0 && o.Caller > 0 && !c.visits.At(k.from).dead {
		c.burst(ci, k, toSend, false)
		return
	}
	c.travel(ci, k)
}

// travel sends a call over the network.
func (c *Cluster) travel(ci int32, k *call) {
	c.after(c.transit(k, ofRequest), des.Event{Kind: onArrive, A: ci, B: k.gen})
}

// transit is how long a message between a call's caller and its callee is on its way, until the one that it comes to has
// noticed.
func (c *Cluster) transit(k *call, of uint64) int64 {
	o := &c.program.Overhead
	d := o.Network
	if k.from < 0 {
		d += o.Users
	}
	if o.Late > 0 {
		own := chance.Stream(chance.Mix(uint64(k.derive(ofWork)) ^ (of+ofLate)*chance.Golden))
		if u := own.Float(); u < o.Late { // and u/Late is uniform again
			d -= int64(o.LateBy * math.Log(max(u/o.Late, 1e-9)))
		}
	}
	return d
}

func (c *Cluster) after(d int64, e des.Event) {
	if d <= 0 {
		c.queue.Soon(e)
		return
	}
	c.queue.At(c.queue.Now()+d, e)
}

// burst has the caller's CPU work on a message of a call; stage says on which.
func (c *Cluster) burst(ci int32, k *call, of stage, failed bool) {
	v := c.visits.At(k.from)
	v.refs++
	fi := c.frames.Take()
	*c.frames.At(fi) = frame{visit: k.from, call: ci, stage: of, gen: k.gen, failed: failed}
	c.compute(v.replica, c.replicas.At(v.replica), c.program.Overhead.Caller, fi)
}

// burstDone goes on with a call when its caller's CPU is done with the message, unless it was given up before it left.
func (c *Cluster) burstDone(fi int32, f *frame, v *visit) {
	vi, ci, failed, of, gen := f.visit, f.call, f.failed, f.stage, f.gen
	c.frames.Give(fi)
	if k := c.calls.At(ci); k.gen == gen {
		switch {
		case of == toSend && !v.dead:
			c.travel(ci, k)
		default:
			c.attemptDone(ci, k, failed || v.dead)
		}
	}
	c.unref(vi, v)
}

// returned is called when an answer, or a refusal, has come back to its caller.
func (c *Cluster) returned(ci int32, k *call, failed bool) {
	if k.from >= 0 && c.program.Overhead.Caller > 0 && !c.visits.At(k.from).dead {
		if d := c.program.Calls[k.def].Deadline; d >= 0 {
			c.disarm(k, d)
		}
		k.state = taking
		c.burst(ci, k, toTake, failed)
		return
	}
	c.attemptDone(ci, k, failed)
}

// refused sends a call back that no replica takes.
func (c *Cluster) refused(ci int32, k *call) {
	if d := c.transit(k, ofAnswer); d > 0 {
		c.queue.At(c.queue.Now()+d, des.Event{Kind: onRefused, A: ci, B: k.gen})
		return
	}
	c.returned(ci, k, true)
}

// refusal is a refusal that has come back.
func (c *Cluster) refusal(ci int32, gen uint32) {
	if k := c.calls.At(ci); k.gen == gen {
		c.returned(ci, k, true)
	}
}

// tell has a replica report on what it did, some time after the first request since its last report.
func (c *Cluster) tell(id int32, r *replica) {
	if c.program.Overhead.Report > 0 && !r.reports {
		r.reports = true
		c.queue.At(c.queue.Now()+c.program.Overhead.Every, des.Event{Kind: onReport, A: id})
	}
}

// report is the CPU of one.
func (c *Cluster) report(id int32) {
	r := c.replicas.At(id)
	if !r.reports || r.phase == gone {
		return
	}
	r.reports, r.asleep = false, false
	c.compute(id, r, c.program.Overhead.Report, background)
}
