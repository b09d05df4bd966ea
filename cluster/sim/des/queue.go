// Package des is the kernel of a discrete-event simulation: a virtual clock and the events that are still to happen.
//
// Events happen in the order of (time, sequence): of two at the same instant, the one scheduled first comes first.
// Moving an event schedules it anew, so that it comes after everything that was already scheduled for its new instant.
// This order is all that determinism rests on, and a test pins it.
//
// An event is three small numbers that its owner understands; there is no closure and no pointer in it. Events at a
// later instant live in a 4-ary heap that knows where each is, so that they can be moved and cancelled; events at the
// present instant that nobody will cancel take a first-in-first-out lane beside the heap. Nothing is allocated once the
// queue has grown to what the simulation needs.
package des

import "fmt"

// Event is something that will happen. Its owner gives the numbers their meaning.
type Event struct {
	Kind uint8
	A    int32
	B    uint32
}

// Handle names a scheduled event until it happens or is cancelled; after that the number may name another one, so
// whoever keeps a handle forgets it then.
type Handle int32

// None is no event.
const None Handle = -1

// Queue holds events and the clock. Times are nanoseconds since the simulation's start. The zero value is empty, at
// time 0. It is used by one goroutine at a time.
type Queue struct {
	now     int64
	seq     uint64
	handled uint64
	heap    []entry
	slots   []slot
	free    []Handle

	lane       []soon // a ring whose length is a power of two
	laneHead   uint32
	laneLength uint32
}

type entry struct {
	at   int64
	seq  uint64
	slot Handle
}

type slot struct {
	event Event
	pos   int32 // in the heap
}

type soon struct {
	seq   uint64
	event Event
}

// Now is the present instant.
func (q *Queue) Now() int64 { return q.now }

// Len is how many events are still to happen.
func (q *Queue) Len() int { return len(q.heap) + int(q.laneLength) }

// Handled is how many events have happened.
func (q *Queue) Handled() uint64 { return q.handled }

// At schedules an event. It panics when at lies in the past.
func (q *Queue) At(at int64, e Event) Handle {
	q.check(at)
	var h Handle
	if n := len(q.free); n > 0 {
		h = q.free[n-1]
		q.free = q.free[:n-1]
	} else {
		h = Handle(len(q.slots))
		q.slots = append(q.slots, slot{})
	}
	q.slots[h].event = e
	q.heap = append(q.heap, entry{})
	q.up(len(q.heap)-1, entry{at: at, seq: q.next(), slot: h})
	return h
}

// Soon schedules an event for the present instant, after all that is already scheduled for it. It can't be cancelled.
func (q *Queue) Soon(e Event) {
	if int(q.laneLength) == len(q.lane) {
		q.growLane()
	}
	q.lane[(q.laneHead+q.laneLength)&uint32(len(q.lane)-1)] = soon{seq: q.next(), event: e}
	q.laneLength++
}

// Time is when an event will happen.
func (q *Queue) Time(h Handle) int64 { return q.heap[q.slots[h].pos].at }

// Move schedules an event anew for another instant. It panics when at lies in the past.
func (q *Queue) Move(h Handle, at int64) {
	q.check(at)
	pos := int(q.slots[h].pos)
	was := q.heap[pos].at
	e := entry{at: at, seq: q.next(), slot: h}
	if at < was {
		q.up(pos, e)
	} else { // the sequence has grown, so it never rises
		q.down(pos, e)
	}
}

// Cancel takes an event back.
func (q *Queue) Cancel(h Handle) {
	q.remove(int(q.slots[h].pos))
	q.free = append(q.free, h)
}

// Next moves the clock to the next event before limit and returns it; ok is false when there is none, and the clock is
// then at limit.
func (q *Queue) Next(limit int64) (e Event, ok bool) {
	if q.laneLength > 0 {
		front := &q.lane[q.laneHead]
		if len(q.heap) == 0 || q.heap[0].at > q.now || q.heap[0].seq > front.seq {
			q.laneHead = (q.laneHead + 1) & uint32(len(q.lane)-1)
			q.laneLength--
			q.handled++
			return front.event, true
		}
	}
	if len(q.heap) == 0 || q.heap[0].at >= limit {
		q.now = max(q.now, limit)
		return Event{}, false
	}
	top := q.heap[0]
	q.now = top.at
	q.remove(0)
	q.free = append(q.free, top.slot)
	q.handled++
	return q.slots[top.slot].event, true
}

func (q *Queue) next() uint64 {
	q.seq++
	return q.seq
}

func (q *Queue) check(at int64) {
	if at < q.now {
		panic(fmt.Sprintf("des: event scheduled for %d ns, which is before now (%d ns)", at, q.now))
	}
}

func (q *Queue) growLane() {
	grown := make([]soon, max(16, 2*len(q.lane)))
	for i := range q.lane {
		grown[i] = q.lane[(q.laneHead+uint32(i))&uint32(len(q.lane)-1)]
	}
	q.lane, q.laneHead = grown, 0
}

func (e entry) before(f entry) bool { return e.at < f.at || e.at == f.at && e.seq < f.seq }

// remove takes an entry out of the heap.
func (q *Queue) remove(pos int) {
	last := len(q.heap) - 1
	e := q.heap[last]
	q.heap = q.heap[:last]
	if pos == last {
		return
	}
	if pos > 0 && e.before(q.heap[(pos-1)/4]) {
		q.up(pos, e)
	} else {
		q.down(pos, e)
	}
}

// up puts e at pos or nearer to the root.
func (q *Queue) up(pos int, e entry) {
	for pos > 0 {
		parent := (pos - 1) / 4
		if !e.before(q.heap[parent]) {
			break
		}
		q.place(pos, q.heap[parent])
		pos = parent
	}
	q.place(pos, e)
}

// down puts e at pos or further from the root.
func (q *Queue) down(pos int, e entry) {
	n := len(q.heap)
	for {
		child := 4*pos + 1
		if child >= n {
			break
		}
		least := child
		for i := child + 1; i < min(child+4, n); i++ {
			if q.heap[i].before(q.heap[least]) {
				least = i
			}
		}
		if !q.heap[least].before(e) {
			break
		}
		q.place(pos, q.heap[least])
		pos = least
	}
	q.place(pos, e)
}

func (q *Queue) place(pos int, e entry) {
	q.heap[pos] = e
	q.slots[e.slot].pos = int32(pos)
}
