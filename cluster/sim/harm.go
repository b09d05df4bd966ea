package sim

import (
	"math"
	"slices"

	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
)

// odd is what a replica has that most have not: another version than its service, and what faults do to it at present.
type odd struct {
	def    *program.Service // its version
	faults []int32          // that hit it
	// What they come to together.
	cpu    float64 // how many times as much CPU its work takes
	disk   float64 // how many times as long its disk takes
	loss   float64 // share of the messages to and from it that are lost
	link   float64 // share of its link that is left; 0: it has no link
	errors float64 // share of requests that fail

	locks  []lock
	stuck  []stuck
	cycles []int32 // blocking cycles
	pause  des.Handle
	full   des.Handle // when its memory may be used up
	leaks  float64    // bytes per second
	since  int64
}

// lock is one that is held too long.
type lock struct {
	fault  int32
	holder int32      // a frame; -1: none
	free   des.Handle // when the holder gives it back
	queue  []int32    // frames, in their order
}

// stuck is frames that wait for each other.
type stuck struct {
	fault  int32
	frames []int32
}

// linkRate is the link of a replica that has a machine for itself while a neighbour contends for it: 1 Gbit/s, in bytes/s.
const linkRate = 125e6

// leastMessage is the bytes of a message whose size is not known: one packet.
const leastMessage = 1500

// oddOf is what is odd about a replica.
func (c *Cluster) oddOf(id int32) *odd {
	r := c.replicas.At(id)
	if !r.odd {
		r.odd = true
		c.odd[id] = &odd{def: c.services[r.service].def, cpu: 1, disk: 1, pause: des.None, full: des.None}
	}
	return c.odd[id]
}

// even forgets what is odd about a replica where nothing is any more.
func (c *Cluster) even(id int32) {
	r := c.replicas.At(id)
	if r.odd && len(c.odd[id].faults) == 0 && (r.phase == gone || c.odd[id].def == c.services[r.service].def) {
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

// needs is the CPU time of a thread.
func (h *odd) needs(need int64) int64 {
	if h.cpu == 1 {
		return need
	}
	return max(int64(float64(need)*h.cpu), 1)
}

// hit lets a fault hit a replica.
func (c *Cluster) hit(i, id int32) {
	r, t := c.replicas.At(id), &c.troubles.list[i]
	h := c.oddOf(id)
	h.faults = append(h.faults, i)
	t.hits = append(t.hits, id)
	switch t.Kind {
	case fault.Lock:
		h.locks = append(h.locks, lock{fault: i, holder: -1, free: des.None})
	case fault.Deadlock:
		h.stuck = append(h.stuck, stuck{fault: i})
	case fault.BlockingCycle:
		h.cycles = append(h.cycles, i)
	case fault.GCPause:
		h.pause = c.queue.At(c.queue.Now()+int64(c.paces(t, id)*t.Period.Seconds()*1e9), des.Event{Kind: onPause, A: id, B: uint32(i)})
	case fault.BadRelease:
		if t.Leak > 0 {
			h.leaks, h.since = t.Leak, c.queue.Now()
			c.fillUp(id, r)
		}
	}
	c.reckon(id, r)
}

// spare ends what a fault does to a replica.
func (c *Cluster) spare(i, id int32) {
	r, t := c.replicas.At(id), &c.troubles.list[i]
	h := c.odd[id]
	mine := func(k int32) bool { return k == i }
	t.hits = slices.DeleteFunc(t.hits, func(k int32) bool { return k == id })
	h.faults = slices.DeleteFunc(h.faults, mine)
	var waiting []int32
	switch t.Kind {
	case fault.Lock:
		at := slices.IndexFunc(h.locks, func(l lock) bool { return l.fault == i })
		waiting = c.unlock(&h.locks[at])
		h.locks = slices.Delete(h.locks, at, at+1)
	case fault.Deadlock:
		at := slices.IndexFunc(h.stuck, func(s stuck) bool { return s.fault == i })
		for _, fi := range h.stuck[at].frames {
			c.frames.At(fi).failed = true
		}
		waiting = h.stuck[at].frames
		h.stuck = slices.Delete(h.stuck, at, at+1)
	case fault.BlockingCycle:
		h.cycles = slices.DeleteFunc(h.cycles, mine)
	case fault.GCPause:
		c.forgo(&h.pause)
		c.stop(id, r, false)
	case fault.BadRelease:
		c.forgo(&h.full)
		h.leaks = 0
	}
	c.reckon(id, r)
	c.even(id)
	for _, fi := range waiting {
		c.proceed(fi)
	}
}

// forgo takes an event back, if there is one.
func (c *Cluster) forgo(h *des.Handle) {
	if *h != des.None {
		c.queue.Cancel(*h)
		*h = des.None
	}
}

// heal ends all that is done to a replica that goes. Its visits are dead, so that frames that go on end.
func (c *Cluster) heal(id int32) {
	for c.replicas.At(id).odd && len(c.odd[id].faults) > 0 {
		c.spare(c.odd[id].faults[0], id)
	}
}

// reckon brings what all faults come to up to date. What contends for a machine that a replica has for itself slows it as
// on a node of its own that is as large as its limit, whose cache its footprint just fills.
func (c *Cluster) reckon(id int32, r *replica) {
	h := c.odd[id]
	h.cpu, h.disk, h.loss, h.link, h.errors = 1, 1, 0, 0, 0
	var p node.Pressure
	for _, i := range h.faults {
		switch t := &c.troubles.list[i]; t.Kind {
		case fault.CPUContention, fault.CacheContention, fault.MemoryContention, fault.NetworkContention, fault.DiskContention:
			p.Add(pressed[t.Kind], t.Amount)
		case fault.SlowDisk:
			h.disk *= t.Amount
		case fault.PacketLoss:
			h.loss = 1 - (1-h.loss)*(1-t.Amount)
		case fault.BadRelease:
			if t.Amount > 0 {
				h.cpu *= t.Amount
			}
			h.errors = 1 - (1-h.errors)*(1-t.Errors)
		}
	}
	h.disk /= p.Left(node.Disk)
	if p.Of(node.Network) > 0 {
		h.link = p.Left(node.Network)
	}
	if r.host >= 0 {
		return
	}
	r.cpu.Advance(c.queue.Now())
	r.cpu.Cores, r.cpu.Slow = int64(c.cfg.NodeCores)*cfs.Core, 0
	if p.Of(node.CPU) > 0 {
		r.cpu.Cores = min(r.cpu.Cores, int64(c.services[r.service].now.CPU*p.Left(node.CPU)*float64(cfs.Core))+1)
	}
	if cache, memory := p.Of(node.Cache), p.Of(node.MemoryBandwidth); cache > 0 || memory > 0 {
		crowded := node.Contention{Evicted: cache, Wait: memory / (2 * (1 - memory))}
		r.cpu.Slow = 1 - 1/crowded.Slowdown(h.def.Interference)
	}
	c.watch(id, r)
}

// hindered reports whether a fault keeps an operation from beginning; it begins, or ends, later.
func (c *Cluster) hindered(h *odd, fi int32, v *visit) bool {
	if h.errors > 0 {
		own := v.rnd ^ chance.Golden
		c.frames.At(fi).failed = own.Float() < h.errors
	}
	def := &c.program.Calls[v.def]
	for _, i := range h.cycles {
		if t := &c.troubles.list[i]; t.edge == def.Edge {
			c.callsBack(t, fi, v)
			return true
		}
	}
	index := c.program.Ops[def.Op].Index
	needs := func(i int32) bool { return c.troubles.list[i].op < 0 || c.troubles.list[i].op == index }
	for k := range h.stuck {
		if s := &h.stuck[k]; needs(s.fault) && float64(len(s.frames)) < c.troubles.list[s.fault].Amount {
			s.frames = append(s.frames, fi)
			return true
		}
	}
	for k := range h.locks {
		if l := &h.locks[k]; needs(l.fault) {
			l.queue = append(l.queue, fi)
			if l.holder < 0 {
				c.pass(v.replica, l)
			}
			return true
		}
	}
	return false
}

// pass gives a lock that is free to the frame that has waited longest.
func (c *Cluster) pass(id int32, l *lock) {
	l.holder, l.free = -1, des.None
	if len(l.queue) == 0 {
		return
	}
	l.holder, l.queue = l.queue[0], l.queue[1:]
	l.free = c.queue.At(c.queue.Now()+int64(c.troubles.list[l.fault].Length), des.Event{Kind: onUnlock, A: id, B: uint32(l.fault)})
}

// unlocked is called when the holder of a lock gives it back.
func (c *Cluster) unlocked(id int32, i uint32) {
	h := c.odd[id]
	l := &h.locks[slices.IndexFunc(h.locks, func(l lock) bool { return l.fault == int32(i) })]
	fi := l.holder
	c.pass(id, l)
	c.enter(fi, id, c.replicas.At(id))
}

// unlock takes a lock away from whoever has it or waits for it, and lists them.
func (c *Cluster) unlock(l *lock) []int32 {
	c.forgo(&l.free)
	if l.holder < 0 {
		return nil
	}
	return append([]int32{l.holder}, l.queue...)
}

// paces draws how long a pause, or the time to the next, is, in times of its mean; the first is a part of one.
func (c *Cluster) paces(t *trouble, id int32) float64 {
	if r := c.replicas.At(id); c.odd[id].pause == des.None && !r.cpu.Stopped() {
		own := chance.Stream(chance.Mix(uint64(t.rnd) ^ uint64(r.asked) ^ uint64(len(t.hits))*chance.Golden))
		return own.Float()
	}
	return 1 + t.Jitter*(2*t.rnd.Float()-1)
}

// pauses begins or ends a pause of a replica's threads.
func (c *Cluster) pauses(id int32, i uint32) {
	r, t := c.replicas.At(id), &c.troubles.list[i]
	wait := t.Length
	if r.cpu.Stopped() {
		wait = t.Period - t.Length
	}
	c.stop(id, r, !r.cpu.Stopped())
	c.odd[id].pause = c.queue.At(c.queue.Now()+max(int64(float64(wait)*c.paces(t, id)), 1), des.Event{Kind: onPause, A: id, B: i})
}

func (c *Cluster) stop(id int32, r *replica, stopped bool) {
	r.cpu.Advance(c.queue.Now())
	r.asleep = false
	if stopped {
		r.cpu.Stop()
	} else {
		r.cpu.Go()
	}
	c.watch(id, r)
}

// leaked is what a replica has lost by now, in bytes.
func (c *Cluster) leaked(id int32, r *replica) int64 {
	if !r.odd || c.odd[id].leaks == 0 {
		return 0
	}
	return int64(c.odd[id].leaks * float64(c.queue.Now()-c.odd[id].since) * 1e-9)
}

// fillUp looks again when a replica's memory may be used up.
func (c *Cluster) fillUp(id int32, r *replica) {
	h := c.odd[id]
	left := float64(c.services[r.service].now.Memory-r.memory-c.leaked(id, r)) / h.leaks // seconds
	wait := max(int64(math.Min(left, 1e6)*1e9), int64(1e6))
	h.full = c.queue.At(c.queue.Now()+wait, des.Event{Kind: onFull, A: id})
}

// filled restarts a replica whose memory is used up: it ends with all it has, and another starts in its place.
func (c *Cluster) filled(id int32) {
	r := c.replicas.At(id)
	c.odd[id].full = des.None
	sv := &c.services[r.service]
	if r.memory+c.leaked(id, r) < sv.now.Memory {
		c.fillUp(id, r)
		return
	}
	switch r.phase {
	case starting:
		c.fillUp(id, r)
		return
	case ready:
		sv.ready = slices.DeleteFunc(sv.ready, func(k int32) bool { return k == id })
	}
	s := r.service
	c.kill(id)
	c.reconcile(s)
}

func ceil(v float64) float64 { return math.Ceil(v - 1e-9) }
