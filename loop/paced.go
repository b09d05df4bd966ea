package loop

import (
	"context"
	"sync"
	"time"

	"foresail.dev"
)

// Pacer is a simulated cluster whose intervals take time. See Paced.
type Pacer struct {
	speed float64
	mu    sync.Mutex // held while the cluster is used
	inner foresail.Cluster

	due  time.Time          // when the newest interval ends, by the wall clock
	held *foresail.Snapshot // produced, and not yet returned because a Next was cancelled
}

// Paced makes the intervals of a simulated cluster last as long as they claim, divided by speed: at 10 a simulated
// second takes a tenth of one. It panics unless speed is positive.
//
// Small delays are made up for, so that it keeps step with the wall clock; after a longer pause (the machine slept, the
// clock jumped, the simulation is slower than asked) it goes on at its pace from there, without a burst.
func Paced(c foresail.Cluster, speed float64) *Pacer {
	if !(speed > 0) {
		panic("loop.Paced: speed must be positive")
	}
	return &Pacer{speed: speed, inner: c}
}

// slack is how far it may be behind and still catch up.
const slack = 500 * time.Millisecond

// App is the application as it is now.
func (p *Pacer) App() *foresail.App {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inner.App()
}

// Next produces the next interval and waits until it has passed. When ctx ends first the interval is not lost: the next
// call returns it.
func (p *Pacer) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if p.held == nil {
		if p.due.IsZero() {
			p.due = time.Now()
		}
		p.mu.Lock()
		s, err := p.inner.Next(ctx)
		p.mu.Unlock()
		if err != nil {
			return nil, err
		}
		p.held = s
		p.due = p.due.Add(time.Duration(float64(s.Duration()) / p.speed))
		if now := time.Now(); now.Sub(p.due) > slack {
			p.due = now
		}
	}
	wait := time.NewTimer(time.Until(p.due))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-wait.C:
	}
	s := p.held
	p.held = nil
	return s, nil
}

// Apply states what should be; it takes effect from the next interval on.
func (p *Pacer) Apply(ctx context.Context, plan *foresail.Plan) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inner.Apply(ctx, plan)
}

// Do runs f while the cluster stands still, so that a person's hand on a simulation (another load, a fault) is safe from
// any goroutine.
func (p *Pacer) Do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}
