package sim

import (
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/program"
)

// call is an RPC as its caller sees it, with all its attempts and repeats; or a user's request.
type call struct {
	rnd      chance.Stream
	asked    int64 // when this attempt was
	deadline int64
	sent     int64 // users: the intended instant of the request
	took     int64 // others: how long the callee took, as it saw it
	span     uint64
	gen      uint32 // grows with each attempt, so that what comes for an older one is known
	def      int32
	from     int32 // the visit that makes it; -1: users
	frame    int32 // that waits for it; -1: none
	visit    int32 // that works on it; -1: none
	attempt  int32
	left     int32 // repeats still to come
	depth    int32
	trace    int32 // -1: not sampled
	state    callState
	sampled  bool // users: each attempt is a trace
	closed   bool // users: of a closed load

	nextWaiting, prevWaiting   int32 // for a connection
	nextDeadline, prevDeadline int32
}

type callState uint8

const (
	idle    callState = iota
	pooled            // waits for a connection
	sending           // has one, or needs none
	taking            // its answer has come, and the caller's CPU is at work on it: patience is over
)

// deadlines are the calls with one timeout, in the order in which they are due: one event for all of them.
type deadlines struct {
	timeout     int64
	first, last int32
	armed       bool
}

// What a call draws numbers for; each repeat and attempt has its own.
const (
	ofWork uint64 = iota
	ofHit
	ofMiss
	ofBackoff
)

// derive gives a stream that depends on nothing but the call, the repeat, the attempt and the purpose.
func (k *call) derive(of uint64) chance.Stream {
	return chance.Stream(chance.Mix(uint64(k.rnd) ^ chance.Mix(uint64(k.left)<<34|uint64(k.attempt)<<2|of)))
}

func (k *call) chance(of uint64) float64 {
	s := k.derive(of)
	return s.Float()
}

func (c *Cluster) newCall(d int32, rnd chance.Stream) (int32, *call) {
	ci := c.calls.Take()
	k := c.calls.At(ci)
	*k = call{
		gen: k.gen + 1, def: d, rnd: rnd, from: -1, frame: -1, visit: -1, trace: -1,
		left:        c.program.Calls[d].Repeat - 1,
		nextWaiting: -1, prevWaiting: -1, nextDeadline: -1, prevDeadline: -1,
	}
	return ci, k
}

// ask makes an attempt: when a connection is free, the call goes out. A replica that is gone makes none any more.
func (c *Cluster) ask(ci int32, k *call) {
	if k.from >= 0 && c.visits.At(k.from).dead {
		c.callDone(ci, k, true)
		return
	}
	def := &c.program.Calls[k.def]
	k.asked = c.queue.Now()
	k.gen++
	if k.sampled {
		k.trace = c.traces.Begin()
	}
	if k.trace >= 0 {
		k.span = 0
		if k.from >= 0 {
			k.span = c.traces.NextSpan()
		}
	}
	if def.Deadline >= 0 {
		c.arm(ci, k, def.Deadline)
	}
	k.state = sending
	if k.from >= 0 {
		if def.Limit > 0 {
			p := &c.replicas.At(c.visits.At(k.from).replica).pools[def.Pool]
			if p.inUse >= def.Limit {
				c.wait(ci, k, p)
				return
			}
			p.inUse++
		}
	}
	c.send(ci, k)
}

// wait puts a call behind those that wait for a connection.
func (c *Cluster) wait(ci int32, k *call, p *pool) {
	k.state = pooled
	k.nextWaiting, k.prevWaiting = -1, p.last
	if p.last < 0 {
		p.first = ci
	} else {
		c.calls.At(p.last).nextWaiting = ci
	}
	p.last = ci
}

func (c *Cluster) unwait(k *call, p *pool) {
	if k.prevWaiting < 0 {
		p.first = k.nextWaiting
	} else {
		c.calls.At(k.prevWaiting).nextWaiting = k.nextWaiting
	}
	if k.nextWaiting < 0 {
		p.last = k.prevWaiting
	} else {
		c.calls.At(k.nextWaiting).prevWaiting = k.prevWaiting
	}
}

// arrive brings a call to its service.
func (c *Cluster) arrive(ci int32, gen uint32) {
	k := c.calls.At(ci)
	if k.gen != gen { // given up at this very instant
		return
	}
	if k.depth > MaxDepth || k.from >= 0 && c.visits.At(k.from).dead {
		c.attemptDone(ci, k, true)
		return
	}
	def := &c.program.Calls[k.def]
	id := c.route(def.Service)
	if id < 0 {
		c.services[def.Service].homeless++
		c.refused(ci, k)
		return
	}
	d := int64(0)
	if len(c.hosts) > 0 {
		d = c.carryRequest(k, id, def.Request)
	}
	if c.troubles.OnMessages() {
		d += c.astray(k, id, def.Request, ofRequest)
	}
	if d > 0 {
		c.underway(ci, k, id, d)
		return
	}
	if !c.accept(ci, k, def, id) {
		c.refused(ci, k)
	}
}

// attemptDone ends an attempt as its caller sees it: answered, refused or given up.
func (c *Cluster) attemptDone(ci int32, k *call, failed bool) {
	def := &c.program.Calls[k.def]
	if def.Deadline >= 0 && k.state != taking {
		c.disarm(k, def.Deadline)
	}
	k.gen++
	if k.from < 0 {
		if k.sampled {
			c.traces.Unref(k.trace)
			k.trace = -1
		}
	} else {
		c.leave(k, def)
		c.edges[def.Edge].calls++
		if failed {
			c.edges[def.Edge].errors++
		} else {
			c.edgesTook.Add(def.Edge, k.took)
		}
		if k.trace >= 0 {
			c.clientSpan(k, failed)
		}
	}
	k.state = idle
	switch {
	case failed && k.attempt < def.Retries:
		c.later(ci, k, def)
	case !failed && def.Cached && k.chance(ofHit) >= def.Hit:
		c.proceed(c.newFrame(k.from, ci, k.derive(ofMiss), def.Miss))
	default:
		c.callDone(ci, k, failed)
	}
}

// leave gives an attempt's connection to the call that has waited longest, or leaves the queue for one.
func (c *Cluster) leave(k *call, def *program.Call) {
	if def.Limit == 0 {
		return
	}
	p := &c.replicas.At(c.visits.At(k.from).replica).pools[def.Pool]
	if k.state == pooled {
		c.unwait(k, p)
		return
	}
	ci := p.first
	if ci < 0 {
		p.inUse--
		return
	}
	next := c.calls.At(ci)
	c.unwait(next, p)
	next.state = sending
	c.send(ci, next)
}

// later tries again after a wait that doubles with each attempt, times a number drawn between a half and one and a half.
func (c *Cluster) later(ci int32, k *call, def *program.Call) {
	wait := def.Backoff * float64(uint64(1)<<min(k.attempt, 30)) * (0.5 + k.chance(ofBackoff))
	k.attempt++
	c.queue.At(c.queue.Now()+int64(wait), des.Event{Kind: onRetry, A: ci})
}

// callDone ends one round of a call, all attempts and what follows a cache miss included; the last ends the call.
func (c *Cluster) callDone(ci int32, k *call, failed bool) {
	if !failed && k.left > 0 {
		k.left--
		k.attempt = 0
		c.ask(ci, k)
		return
	}
	if k.from < 0 {
		c.requestDone(ci, k, failed)
		return
	}
	vi, fi, trace := k.from, k.frame, k.trace
	c.calls.Give(ci)
	if trace >= 0 {
		c.traces.Unref(trace)
	}
	if fi >= 0 {
		f := c.frames.At(fi)
		f.failed = f.failed || failed
		if f.waiting--; f.waiting == 0 {
			c.proceed(fi)
		}
	}
	c.unref(vi, c.visits.At(vi))
}

// arm puts a call behind all others with the same timeout.
func (c *Cluster) arm(ci int32, k *call, list int32) {
	d := &c.deadlines[list]
	k.deadline = k.asked + d.timeout
	k.nextDeadline, k.prevDeadline = -1, d.last
	if d.last < 0 {
		d.first = ci
	} else {
		c.calls.At(d.last).nextDeadline = ci
	}
	d.last = ci
	if !d.armed {
		d.armed = true
		c.queue.At(k.deadline, des.Event{Kind: onDeadline, A: list})
	}
}

func (c *Cluster) disarm(k *call, list int32) {
	d := &c.deadlines[list]
	if k.prevDeadline < 0 {
		d.first = k.nextDeadline
	} else {
		c.calls.At(k.prevDeadline).nextDeadline = k.nextDeadline
	}
	if k.nextDeadline < 0 {
		d.last = k.prevDeadline
	} else {
		c.calls.At(k.nextDeadline).prevDeadline = k.prevDeadline
	}
}

// due gives up the calls whose deadline has come.
func (c *Cluster) due(list int32) {
	d := &c.deadlines[list]
	for d.first >= 0 {
		ci := d.first
		k := c.calls.At(ci)
		if k.deadline > c.queue.Now() {
			c.queue.At(k.deadline, des.Event{Kind: onDeadline, A: list})
			return
		}
		c.giveUp(ci, k)
	}
	d.armed = false
}

// giveUp ends an attempt for its caller; the callee goes on working for nobody.
func (c *Cluster) giveUp(ci int32, k *call) {
	if k.visit >= 0 {
		c.visits.At(k.visit).call = -1
		k.visit = -1
	}
	c.attemptDone(ci, k, true)
}
