package sim

import (
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/program"
)

// visit is one request in one replica, from its arrival until nothing refers to it any more.
type visit struct {
	rnd      chance.Stream
	arrived  int64
	memory   int64
	call     int32 // that waits for the answer; -1: nobody does
	replica  int32
	def      int32 // the call's
	refs     int32 // the operation itself, each call that it made, and an event that will look at it
	next     int32 // in the accept queue
	depth    int32 // calls above it
	trace    int32 // -1: not sampled
	span     uint64
	parent   uint64
	working  bool // holds a worker
	begun    bool // its operation has
	answered bool
	failed   bool
	dead     bool // its replica was taken away
}

// frame is a sequence of steps in progress: an operation's, or what follows a cache miss.
type frame struct {
	rnd     chance.Stream
	visit   int32
	call    int32 // whose miss it is; -1: the operation itself
	step    int32
	end     int32
	waiting int32  // calls of this step that have not ended
	gen     uint32 // of the call whose message it works on
	stage   stage
	failed  bool
}

// stage is what comes next within a step.
type stage uint8

const (
	toCompute stage = iota
	toDisk
	toCall
	toNext
	toSend   // a message leaves when the caller's CPU is done with it
	toTake   // an answer counts when the caller's CPU is done with it
	toAnswer // an operation ends when the callee's CPU is done with its answer
)

// MaxDepth is how deep calls may nest; a call beyond it fails. It ends declared cycles that would not end by
// themselves.
const MaxDepth = 256

// accept takes a call in at a replica, or refuses it. It reports whether it was taken.
func (c *Cluster) accept(ci int32, k *call, def *program.Call, id int32) bool {
	now := c.queue.Now()
	r := c.replicas.At(id)
	sv := &c.services[def.Service]
	r.asleep = false
	r.usage.arrivals++
	c.asks(k, r, def.Request)
	version := sv.def
	if r.odd {
		version = c.odd[id].def
	}
	full := version.Workers > 0 && r.busy >= version.Workers
	if full && r.waiting >= version.Queue {
		r.usage.completions++
		r.usage.errors++
		if k.trace >= 0 {
			c.refusalSpan(k, r)
		}
		return false
	}
	r.usage.inFlight.Add(now, 1)
	c.inFlight[id]++
	sv.inFlight.Add(now, 1)
	r.open++

	vi := c.visits.Take()
	v := c.visits.At(vi)
	*v = visit{
		rnd: k.derive(ofWork), arrived: now, call: ci, replica: id, def: k.def,
		refs: 1, next: -1, depth: k.depth, trace: -1,
	}
	if k.trace >= 0 {
		v.trace, v.parent, v.span = k.trace, k.span, c.traces.NextSpan()
		c.traces.Ref(k.trace)
	}
	k.visit = vi
	if full {
		if r.last < 0 {
			r.first = vi
		} else {
			c.visits.At(r.last).next = vi
		}
		r.last = vi
		r.waiting++
		r.usage.queue.Add(now, 1)
		sv.queue.Add(now, 1)
		return true
	}
	r.busy++
	v.working = true
	c.begin(vi, v, r)
	return true
}

// begin starts a visit's operation; its worker is taken. A request that nobody waits for any more is dropped.
func (c *Cluster) begin(vi int32, v *visit, r *replica) {
	v.begun = true
	if v.call < 0 {
		v.failed = true
		c.answer(vi, v)
		return
	}
	def, known := &c.program.Calls[v.def], true
	steps := def.Steps
	if c.updated {
		steps, known = c.stepsOf(v.replica, def)
	}
	fi := c.newFrame(vi, -1, v.rnd, steps)
	if !known {
		c.frames.At(fi).failed = true
	}
	if r.odd && c.hindered(fi, v) {
		return
	}
	c.enter(fi, v.replica, r)
}

// enter starts an operation that nothing hinders.
func (c *Cluster) enter(fi, id int32, r *replica) {
	if d := c.program.Overhead.Callee; d > 0 {
		c.compute(id, r, d, fi)
		return
	}
	c.proceed(fi)
}

func (c *Cluster) newFrame(vi, call int32, rnd chance.Stream, steps program.Extent) int32 {
	fi := c.frames.Take()
	*c.frames.At(fi) = frame{rnd: rnd, visit: vi, call: call, step: steps.From, end: steps.To}
	return fi
}

// proceed goes on with a frame until it has to wait, or ends.
func (c *Cluster) proceed(fi int32) {
	f := c.frames.At(fi)
	v := c.visits.At(f.visit)
	if f.stage == toSend || f.stage == toTake {
		c.burstDone(fi, f, v)
		return
	}
	for {
		if f.failed || v.dead || f.step == f.end {
			c.endFrame(fi, f, v)
			return
		}
		s := &c.program.Steps[f.step]
		switch f.stage {
		case toCompute:
			f.stage = toDisk
			if s.Memory > 0 {
				v.memory += s.Memory
				c.replicas.At(v.replica).memory += s.Memory
			}
			if s.Cpu.Any() {
				c.compute(v.replica, c.replicas.At(v.replica), c.draw.Draw(&f.rnd, &s.Cpu), fi)
				return
			}
		case toDisk:
			f.stage = toCall
			if s.Disk >= 0 {
				d := &c.program.Disks[s.Disk]
				r := c.replicas.At(v.replica)
				takes := c.draw.Draw(&f.rnd, &d.Takes)
				if r.odd {
					takes = int64(float64(takes) * c.odd[v.replica].harm.Disk)
				}
				c.queue.At(c.serve(r, d, takes), des.Event{Kind: onDisk, A: fi})
				return
			}
		case toCall:
			f.stage = toNext
			for d := s.Calls.From; d < s.Calls.To; d++ {
				if n := c.program.Calls[d].Either; n > 0 {
					c.fork(fi, f, v, d+int32(f.rnd.Float()*float64(n)))
					d += n - 1
					continue
				}
				c.fork(fi, f, v, d)
			}
			if f.waiting > 0 {
				return
			}
		case toNext:
			f.stage = toCompute
			f.step++
		}
	}
}

// fork makes one call of a step, if chance has it.
func (c *Cluster) fork(fi int32, f *frame, v *visit, d int32) {
	def := &c.program.Calls[d]
	rnd := f.rnd.Split() // drawn always, so that each call has its own for ever
	if def.Probability < 1 && rnd.Float() >= def.Probability {
		return
	}
	ci, k := c.newCall(d, rnd)
	k.from, k.frame, k.depth = f.visit, -1, v.depth+1
	if !def.Async {
		k.frame = fi
		f.waiting++
	}
	v.refs++
	if v.trace >= 0 {
		k.trace = v.trace
		c.traces.Ref(v.trace)
	}
	c.ask(ci, k)
}

// endFrame ends an operation, or what followed a cache miss.
func (c *Cluster) endFrame(fi int32, f *frame, v *visit) {
	vi, ci, failed := f.visit, f.call, f.failed || v.dead
	if d := c.program.Overhead.Callee; d > 0 && ci < 0 && !v.dead && f.stage != toAnswer {
		f.stage = toAnswer
		c.compute(v.replica, c.replicas.At(v.replica), d, fi)
		return
	}
	c.frames.Give(fi)
	if ci >= 0 {
		c.callDone(ci, c.calls.At(ci), failed)
		return
	}
	if v.answered { // its replica was taken away meanwhile
		c.unref(vi, v)
		return
	}
	v.failed = failed
	c.answer(vi, v)
}

// answer ends a visit as its server sees it.
func (c *Cluster) answer(vi int32, v *visit) {
	now := c.queue.Now()
	r := c.replicas.At(v.replica)
	v.answered = true
	r.usage.inFlight.Add(now, -1)
	c.inFlight[v.replica]--
	c.services[r.service].inFlight.Add(now, -1)
	r.usage.completions++
	if v.failed {
		r.usage.errors++
	} else {
		c.took.Add(v.replica, now-v.arrived)
	}
	c.release(r, v)
	if v.trace >= 0 {
		c.visitSpan(v)
	}
	if v.working {
		c.freeWorker(r)
	}
	c.tell(v.replica, r)
	if v.call >= 0 {
		k := c.calls.At(v.call)
		k.took = now - v.arrived
		d := c.transit(k, ofAnswer)
		if r.host >= 0 {
			d += c.carryAnswer(k, v, r)
		}
		if c.troubles.OnMessages() {
			d += c.astray(k, v.replica, c.program.Calls[k.def].Response, ofAnswer)
		}
		c.after(d, des.Event{Kind: onAnswer, A: vi})
		return
	}
	c.unref(vi, v)
}

func (c *Cluster) release(r *replica, v *visit) {
	r.memory -= v.memory
	v.memory = 0
}

// freeWorker gives a worker to the request that has waited longest.
func (c *Cluster) freeWorker(r *replica) {
	if r.first < 0 {
		r.busy--
		return
	}
	vi := r.first
	v := c.visits.At(vi)
	r.first = v.next
	if r.first < 0 {
		r.last = -1
	}
	r.waiting--
	now := c.queue.Now()
	r.usage.queue.Add(now, -1)
	c.services[r.service].queue.Add(now, -1)
	v.working = true
	v.refs++
	c.queue.Soon(des.Event{Kind: onBegin, A: vi})
}

// dequeued starts a visit that has waited for a worker.
func (c *Cluster) dequeued(vi int32) {
	v := c.visits.At(vi)
	if v.answered { // its replica was taken away at this very instant
		c.unref(vi, v)
		return
	}
	v.refs--
	c.begin(vi, v, c.replicas.At(v.replica))
}

// answered brings a visit's answer to its caller.
func (c *Cluster) answered(vi int32) {
	v := c.visits.At(vi)
	if ci := v.call; ci >= 0 {
		v.call = -1
		k := c.calls.At(ci)
		k.visit = -1
		if !v.failed {
			c.answers(k, c.replicas.At(v.replica))
		}
		c.returned(ci, k, v.failed)
	}
	c.unref(vi, v)
}

// unref forgets a visit once its operation and all its calls have ended.
func (c *Cluster) unref(vi int32, v *visit) {
	if v.refs--; v.refs > 0 {
		return
	}
	r := c.replicas.At(v.replica)
	c.release(r, v)
	if v.trace >= 0 {
		c.traces.Unref(v.trace)
	}
	c.visits.Give(vi)
	if r.open--; r.open == 0 {
		c.emptied(v.replica, r)
	}
}
