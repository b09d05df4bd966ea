// Package report carries an agent's beats to the daemon, and holds up nothing while the daemon is slow, gone or not yet
// there: beats go into a ring that never grows, the oldest give way to the newest, and how many did is told to the
// daemon when it is back.
package report

import (
	"sync"

	"foresail.dev/telemetry/agent/wire"
)

// Kept is how many beats wait at most. The daemon takes none that is older than foresail.RevisionLimit, fifty beats.
const Kept = 64

// Table is a table as it is sent. It is not changed once made.
type Table struct {
	Of    *wire.Table
	bytes []byte
}

// NewTable writes a table.
func NewTable(t *wire.Table) *Table {
	return &Table{t, t.Append(nil)}
}

// Ring holds the beats that the daemon does not have yet. Any goroutine may use it.
type Ring struct {
	mu      sync.Mutex
	slots   [Kept]slot
	next    uint64 // the number that the next beat gets; numbers begin at 1
	acked   uint64 // the daemon has all up to this
	sent    uint64 // all up to this went out on the present stream
	dropped uint64
	wake    chan struct{}
}

type slot struct {
	seq   uint64
	table *Table
	beat  []byte
}

// NewRing is an empty ring.
func NewRing() *Ring { return &Ring{next: 1, wake: make(chan struct{}, 1)} }

// Put adds a beat, whose number and count of dropped ones it sets, with the table that its samples refer to. It never
// waits, and allocates nothing once the ring has gone round.
func (r *Ring) Put(b *wire.Beat, t *Table) {
	r.mu.Lock()
	s := &r.slots[r.next%Kept]
	if s.seq != 0 && s.seq > r.acked && s.seq > r.sent {
		r.dropped++
	}
	b.Seq, b.Dropped = r.next, r.dropped
	s.seq, s.table, s.beat = r.next, t, b.Append(s.beat[:0])
	r.next++
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Dropped is how many beats gave way before they were sent.
func (r *Ring) Dropped() uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.dropped
}

// Waiting is how many beats the daemon does not have yet.
func (r *Ring) Waiting() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return int(min(r.next-1-r.acked, Kept))
}

// take copies the oldest beat that was not sent on this stream into buf; ok is false when there is none.
func (r *Ring) take(buf []byte) (beat []byte, t *Table, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seq := max(r.sent, r.acked) + 1
	if r.next > Kept {
		seq = max(seq, r.next-Kept)
	}
	if seq >= r.next {
		return buf[:0], nil, false
	}
	s := &r.slots[seq%Kept]
	r.sent = seq
	return append(buf[:0], s.beat...), s.table, true
}

// ack notes that the daemon has all beats up to a number.
func (r *Ring) ack(seq uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if seq < r.next {
		r.acked = max(r.acked, seq)
	}
}

// rewind begins a new stream: what went out on the last one and was not acknowledged goes out again.
func (r *Ring) rewind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = r.acked
}
