package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// DefaultQueueBytes bounds a Queue whose limit is 0.
const DefaultQueueBytes = 64 << 20

// Queue takes samples at once and sends them from a goroutine of its own, in order. When the server is away for longer than
// its bytes last, the oldest go first. Close ends it.
type Queue struct {
	client *Client
	limit  int
	told   func(error)

	mu      sync.Mutex
	batches [][]Sample
	bytes   int
	closed  bool

	wake   chan struct{}
	done   chan struct{}
	cancel context.CancelCauseFunc

	full, late atomic.Uint64
}

// QueueStats counts what a queue did.
type QueueStats struct {
	Stats
	Bytes       int    // that wait now
	DroppedFull uint64 // samples dropped since newer ones needed the room
	DroppedLate uint64 // samples not sent when the queue had to end
}

// NewQueue starts a queue of at most limit bytes before a client; 0: DefaultQueueBytes. told, which may be nil, is told each
// request that was refused, and is called from the queue's goroutine.
func NewQueue(c *Client, limit int, told func(error)) *Queue {
	if limit <= 0 {
		limit = DefaultQueueBytes
	}
	if told == nil {
		told = func(error) {}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	q := &Queue{client: c, limit: limit, told: told, wake: make(chan struct{}, 1), done: make(chan struct{}), cancel: cancel}
	go q.run(ctx)
	return q
}

// Add takes samples of one time or more, oldest first, and returns at once. The queue keeps the slice.
func (q *Queue) Add(samples []Sample) {
	if len(samples) == 0 {
		return
	}
	n := weighAll(samples)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.late.Add(uint64(len(samples)))
		return
	}
	for len(q.batches) > 0 && q.bytes+n > q.limit {
		q.full.Add(uint64(len(q.batches[0])))
		q.take()
	}
	if n > q.limit {
		q.full.Add(uint64(len(samples)))
		return
	}
	q.batches, q.bytes = append(q.batches, samples), q.bytes+n
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take removes the oldest batch; q.mu is held.
func (q *Queue) take() []Sample {
	first := q.batches[0]
	q.batches[0] = nil
	q.batches, q.bytes = q.batches[1:], q.bytes-weighAll(first)
	return first
}

// next joins waiting batches up to the size of one request. more is false once the queue is closed and empty.
func (q *Queue) next() (samples []Sample, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.batches) > 0 && (len(samples) == 0 || len(samples)+len(q.batches[0]) <= q.client.cfg.PerSend) {
		if samples == nil {
			samples = q.take()
		} else {
			samples = append(samples, q.take()...)
		}
	}
	return samples, len(samples) > 0 || !q.closed
}

func (q *Queue) run(ctx context.Context) {
	defer close(q.done)
	for {
		samples, more := q.next()
		if !more {
			return
		}
		if len(samples) == 0 {
			<-q.wake
			continue
		}
		err := q.client.Send(ctx, samples)
		var refused *Refused
		switch {
		case err == nil:
		case ctx.Err() != nil:
			q.late.Add(uint64(len(samples)))
			q.drain()
			return
		case errors.As(err, &refused):
			q.told(err)
		default: // retries are used up, where the client counts them
			q.late.Add(uint64(len(samples)))
			q.told(err)
		}
	}
}

// drain counts what is left as lost.
func (q *Queue) drain() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.batches) > 0 {
		q.late.Add(uint64(len(q.take())))
	}
}

// Close sends what waits until ctx ends, and then gives up. The error says how many samples were not sent. It may be called
// twice.
func (q *Queue) Close(ctx context.Context) error {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	select {
	case <-q.done:
	case <-ctx.Done():
		q.cancel(context.Cause(ctx))
		<-q.done
	}
	q.cancel(nil)
	if n := q.late.Load(); n > 0 {
		return fmt.Errorf("remote write: %d samples were not sent before the end", n)
	}
	return nil
}

// Stats counts so far.
func (q *Queue) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return QueueStats{Stats: q.client.Stats(), Bytes: q.bytes, DroppedFull: q.full.Load(), DroppedLate: q.late.Load()}
}

// Source tells the counts under the names that /metrics has for them (see package export), of a server that is called target.
func (q *Queue) Source(target string) func(emit func(name string, v float64, labels ...string)) {
	return func(emit func(name string, v float64, labels ...string)) {
		s := q.Stats()
		for outcome, n := range map[string]uint64{"sent": s.Sent, "refused": s.Refused, "dropped_full": s.DroppedFull, "dropped_late": s.DroppedLate} {
			emit("foresail_remote_write_samples_total", float64(n), outcome, target)
		}
		emit("foresail_remote_write_retries_total", float64(s.Retries), target)
		emit("foresail_remote_write_requests_total", float64(s.Requests), target)
		emit("foresail_remote_write_queue_bytes", float64(s.Bytes), target)
	}
}

func weighAll(samples []Sample) (n int) {
	for i := range samples {
		n += weigh(&samples[i])
	}
	return n
}
