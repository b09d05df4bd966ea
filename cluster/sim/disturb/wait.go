package disturb

import (
	"slices"

	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/program"
)

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

// Hinders reports whether a fault keeps an operation of a replica, which a call asks for, from beginning; it begins, or
// ends, later.
func (t *Troubles) Hinders(id int32, h *Harm, frame int32, call *program.Call) bool {
	for _, i := range h.cycles {
		if f := &t.list[i]; f.edge == call.Edge {
			t.cfg.Simulation.CallBack(frame, f.call)
			return true
		}
	}
	index := t.program.Ops[call.Op].Index
	needs := func(i int32) bool { return t.list[i].op < 0 || t.list[i].op == index }
	for k := range h.stuck {
		if s := &h.stuck[k]; needs(s.fault) && float64(len(s.frames)) < t.list[s.fault].Amount {
			s.frames = append(s.frames, frame)
			return true
		}
	}
	for k := range h.locks {
		if l := &h.locks[k]; needs(l.fault) {
			l.queue = append(l.queue, frame)
			if l.holder < 0 {
				t.pass(id, l)
			}
			return true
		}
	}
	return false
}

// pass gives a lock that is free to the frame that has waited longest.
func (t *Troubles) pass(id int32, l *lock) {
	l.holder, l.free = -1, des.None
	if len(l.queue) == 0 {
		return
	}
	l.holder, l.queue = l.queue[0], l.queue[1:]
	l.free = t.at(t.now()+int64(t.list[l.fault].Length), onUnlock, id, l.fault)
}

// unlocked is called when the holder of a lock gives it back.
func (t *Troubles) unlocked(id, i int32) {
	h := t.cfg.Simulation.Harm(id)
	l := &h.locks[slices.IndexFunc(h.locks, func(l lock) bool { return l.fault == i })]
	frame := l.holder
	t.pass(id, l)
	t.cfg.Simulation.Enter(frame, id)
}

// unlock takes a lock away from whoever has it or waits for it, and lists them.
func (t *Troubles) unlock(l *lock) []int32 {
	t.forgo(&l.free)
	if l.holder < 0 {
		return nil
	}
	return append([]int32{l.holder}, l.queue...)
}
