package disturb

import (
	"slices"

	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/fault"
)

// Harm is what faults do to one replica at present.
type Harm struct {
	CPU    float64 // how many times as much CPU its work takes
	Disk   float64 // how many times as long its disk takes
	Errors float64 // share of requests that fail
	loss   float64 // share of the messages to and from it that are lost
	link   float64 // share of its link that is left; 0: it has no link

	faults []int32 // that hit it; the above is what they come to together
	locks  []lock
	stuck  []stuck
	cycles []int32 // blocking cycles
	pause  des.Handle
	full   des.Handle // when its memory may be used up
	leaks  float64    // bytes per second
	since  int64
}

// NoHarm is what is done to a replica that nothing is done to.
func NoHarm() Harm { return Harm{CPU: 1, Disk: 1, pause: des.None, full: des.None} }

// Any reports whether a fault hits the replica.
func (h *Harm) Any() bool { return len(h.faults) > 0 }

// Needs is the CPU time that a thread needs, ns, where it would need so much without harm.
func (h *Harm) Needs(need int64) int64 {
	if h.CPU == 1 {
		return need
	}
	return max(int64(float64(need)*h.CPU), 1)
}

// Fails draws whether a request fails; rnd is where what it needs comes from.
func (h *Harm) Fails(rnd chance.Stream) bool {
	own := rnd ^ chance.Golden
	return own.Float() < h.Errors
}

// hit lets a fault hit a replica.
func (t *Troubles) hit(i, id int32) {
	f, h := &t.list[i], t.cfg.Simulation.Harm(id)
	h.faults = append(h.faults, i)
	f.hits = append(f.hits, id)
	switch f.Kind {
	case fault.Lock:
		h.locks = append(h.locks, lock{fault: i, holder: -1, free: des.None})
	case fault.Deadlock:
		h.stuck = append(h.stuck, stuck{fault: i})
	case fault.BlockingCycle:
		h.cycles = append(h.cycles, i)
	case fault.GCPause:
		r := t.cfg.Simulation.Replica(id)
		h.pause = t.at(t.now()+int64(f.pace(&r)*f.Period.Seconds()*1e9), onPause, id, i)
	case fault.BadRelease:
		if f.Leak > 0 {
			h.leaks, h.since = f.Leak, t.now()
			t.fillUp(id)
		}
	}
	t.Reckon(id)
}

// spare ends what a fault does to a replica.
func (t *Troubles) spare(i, id int32) {
	f, h := &t.list[i], t.cfg.Simulation.Harm(id)
	mine := func(k int32) bool { return k == i }
	f.hits = slices.DeleteFunc(f.hits, func(k int32) bool { return k == id })
	h.faults = slices.DeleteFunc(h.faults, mine)
	var waiting []int32
	switch f.Kind {
	case fault.Lock:
		at := slices.IndexFunc(h.locks, func(l lock) bool { return l.fault == i })
		waiting = t.unlock(&h.locks[at])
		h.locks = slices.Delete(h.locks, at, at+1)
	case fault.Deadlock:
		at := slices.IndexFunc(h.stuck, func(s stuck) bool { return s.fault == i })
		waiting = h.stuck[at].frames
		h.stuck = slices.Delete(h.stuck, at, at+1)
	case fault.BlockingCycle:
		h.cycles = slices.DeleteFunc(h.cycles, mine)
	case fault.GCPause:
		t.forgo(&h.pause)
		t.cfg.Simulation.Stop(id, false)
	case fault.BadRelease:
		t.forgo(&h.full)
		h.leaks = 0
	}
	t.Reckon(id)
	t.cfg.Simulation.Healed(id)
	for _, frame := range waiting {
		t.cfg.Simulation.Proceed(frame, f.Kind == fault.Deadlock)
	}
}

// forgo takes an event back, if there is one.
func (t *Troubles) forgo(h *des.Handle) {
	if *h != des.None {
		t.cfg.Queue.Cancel(*h)
		*h = des.None
	}
}

// Heal ends all that is done to a replica that goes, whose requests are to end: operations that were kept from beginning
// go on.
func (t *Troubles) Heal(id int32) {
	for {
		h := t.cfg.Simulation.Replica(id).Harm
		if h == nil || !h.Any() {
			return
		}
		t.spare(h.faults[0], id)
	}
}

// Reckon brings what all faults come to for a replica up to date: call it when its limit has changed. What contends for a
// machine that a replica has for itself slows it as on a node of its own that is as large as its limit, whose cache its
// footprint just fills.
func (t *Troubles) Reckon(id int32) {
	r := t.cfg.Simulation.Replica(id)
	h := r.Harm
	h.CPU, h.Disk, h.loss, h.link, h.Errors = 1, 1, 0, 0, 0
	var p node.Pressure
	for _, i := range h.faults {
		switch f := &t.list[i]; f.Kind {
		case fault.CPUContention, fault.CacheContention, fault.MemoryContention, fault.NetworkContention, fault.DiskContention:
			p.Add(pressed[f.Kind], f.Amount)
		case fault.SlowDisk:
			h.Disk *= f.Amount
		case fault.PacketLoss:
			h.loss = 1 - (1-h.loss)*(1-f.Amount)
		case fault.BadRelease:
			if f.Amount > 0 {
				h.CPU *= f.Amount
			}
			h.Errors = 1 - (1-h.Errors)*(1-f.Errors)
		}
	}
	h.Disk /= p.Left(node.Disk)
	if r.Host >= 0 {
		return
	}
	if p.Of(node.Network) > 0 {
		h.link = p.Left(node.Network)
	}
	cores, slow := int64(t.cfg.NodeCores)*cfs.Core, 0.0
	if p.Of(node.CPU) > 0 {
		cores = min(cores, int64(r.Cores*p.Left(node.CPU)*float64(cfs.Core))+1)
	}
	if cache, memory := p.Of(node.Cache), p.Of(node.MemoryBandwidth); cache > 0 || memory > 0 {
		crowded := node.Contention{Evicted: cache, Wait: memory / (2 * (1 - memory))}
		slow = 1 - 1/crowded.Slowdown(r.Interference)
	}
	t.cfg.Simulation.Bound(id, cores, slow)
}
