package send

import (
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/relay/wire"
)

// Bounds of what waits to be acknowledged.
const (
	maxBytes = 64 << 20
	maxAge   = foresail.RevisionLimit + time.Second // the daemon takes nothing older
)

// outbox holds the pieces of parts that the daemon does not have yet. It never grows past its bounds: the oldest are given up
// first, and counted. Any goroutine may use it.
type outbox struct {
	mu     sync.Mutex
	queue  []item // by number
	sent   uint64 // all up to this went out on the present stream
	bytes  int
	lost   float64 // requests given up
	unsure float64 // requests that another life of the daemon may have counted
	wake   chan struct{}
	max    int
}

type item struct {
	wire.Piece
	put    time.Time
	sentTo uint64 // the daemon's instance that it was last sent to; 0: none
}

func newOutbox() *outbox { return &outbox{wake: make(chan struct{}, 1), max: maxBytes} }

// put adds pieces, which are newer than what is there.
func (o *outbox) put(now time.Time, pieces []wire.Piece) {
	o.mu.Lock()
	for i := range pieces {
		o.queue = append(o.queue, item{Piece: pieces[i], put: now})
		o.bytes += len(pieces[i].Bytes)
	}
	for len(o.queue) > 0 && (o.bytes > o.max || now.Sub(o.queue[0].put) > maxAge) {
		o.lost += o.queue[0].Requests
		o.pop()
	}
	o.mu.Unlock()
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

func (o *outbox) pop() {
	o.bytes -= len(o.queue[0].Bytes)
	o.queue[0] = item{}
	if o.queue = o.queue[1:]; len(o.queue) == 0 {
		o.queue = nil
	}
}

// take is the oldest piece that was not sent on this stream, which goes to a life of the daemon.
func (o *outbox) take(to uint64) (wire.Piece, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return wire.Piece{}, false
	}
	at := 0
	if first := o.queue[0].Seq; o.sent >= first {
		at = int(o.sent-first) + 1 // numbers follow one another
	}
	if at >= len(o.queue) {
		return wire.Piece{}, false
	}
	x := &o.queue[at]
	x.sentTo, o.sent = to, x.Seq
	return x.Piece, true
}

// ack notes that the daemon has every piece up to a number.
func (o *outbox) ack(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if seq > o.sent {
		return // it can't have what was not sent
	}
	for len(o.queue) > 0 && o.queue[0].Seq <= seq {
		o.pop()
	}
}

// rewind begins a stream to a life of the daemon that has every piece up to seq: what else was sent to it goes out again.
// What was sent to another one, which did not say that it has it, may count already in what that one told: it is given up.
func (o *outbox) rewind(to, seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.queue) > 0 {
		switch x := &o.queue[0]; {
		case x.sentTo == 0 || x.sentTo == to && x.Seq > seq:
			o.sent = 0
			return
		case x.sentTo != to:
			o.unsure += x.Requests
		}
		o.pop()
	}
	o.sent = 0
}

// waiting is how many pieces are not acknowledged, and what was given up.
func (o *outbox) waiting() (pieces int, lost, unsure float64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue), o.lost, o.unsure
}
