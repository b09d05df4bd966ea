package replica

import "sync/atomic"

// gate admits requests: so many are worked on at once, so many wait in the order of their coming, and the others are
// refused.
type gate struct {
	workers chan struct{} // nil: no limit
	waiting atomic.Int64
	queue   int64
}

func newGate(workers, queue int) *gate {
	g := &gate{queue: int64(queue)}
	if workers > 0 {
		g.workers = make(chan struct{}, workers)
	}
	return g
}

// enter waits for a worker; false means refused.
func (g *gate) enter() bool {
	if g.workers == nil {
		return true
	}
	select {
	case g.workers <- struct{}{}: // never overtakes: a freed place goes straight to the first that waits
		return true
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return false
	}
	g.workers <- struct{}{}
	g.waiting.Add(-1)
	return true
}

func (g *gate) leave() {
	if g.workers != nil {
		<-g.workers
	}
}
