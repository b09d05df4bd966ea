package demos

import (
	"context"
	"io"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/loop"
)

// twin is the same application under the same requests and faults a second time, with a manager of its own. It goes one beat ahead
// of the cluster that is shown, in its own goroutine, which works while the other waits for it: so what either is told needs no lock.
type twin struct {
	*sim.Cluster
	tick, done chan struct{}
	begun      bool
	over       chan struct{} // closed when the loop has ended
	err        error         // of the loop; read once over is closed
}

// Next tells that the beat before has been seen to, and waits for the next.
func (t *twin) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if t.begun {
		select {
		case t.done <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	t.begun = true
	select {
	case <-t.tick:
		return t.Cluster.Next(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// step lets it go on by one beat, and waits until that has been seen to.
func (t *twin) step(ctx context.Context) {
	for _, at := range []struct{ to, from chan struct{} }{{to: t.tick}, {from: t.done}} {
		select {
		case at.to <- struct{}{}:
		case <-at.from:
		case <-t.over:
			return
		case <-ctx.Done():
			return
		}
	}
}

// Alone is the demo without foresight, beside the demo with it.
type Alone struct {
	Name    string // what the page calls it
	story   *Story
	cluster *Cluster
	cfg     sim.Config
	manager foresail.Manager
	tell    io.Writer
}

// Alone makes a second simulation of what cfg says, under a manager of its own. What becomes of cfg's faults in both is told to a person.
func (d *Cluster) Alone(cfg sim.Config, m foresail.Manager, tell io.Writer) *Alone {
	return &Alone{Name: "without foresight", cluster: d, cfg: cfg, manager: m, tell: tell}
}

// Start lets it run in step with the cluster that is shown, until ctx is done or that one ends, and adds to o what tells of both; page is told of
// the second alone. end ends it. A nil Alone does nothing.
func (a *Alone) Start(ctx context.Context, page loop.Events, o *loop.Options) (end func() error, err error) {
	if a == nil {
		return func() error { return nil }, nil
	}
	c, err := sim.New(a.cfg)
	if err != nil {
		return nil, err
	}
	a.story = NewStory(c.App(), a.cfg.Faults.Fixed, a.Name, a.tell)
	o.Events = loop.Join(o.Events, a.story.Events())
	ctx, cancel := context.WithCancel(ctx)
	t := &twin{Cluster: c, tick: make(chan struct{}), done: make(chan struct{}), over: make(chan struct{})}
	a.cluster.twin = t
	go func() {
		defer close(t.over)
		t.err = loop.Run(ctx, t, a.manager, loop.Options{Mode: loop.Auto, Events: loop.Join(a.story.Beside(), page), History: foresail.Needs{Seconds: 1}})
	}()
	return func() error {
		cancel()
		<-t.over
		return t.err
	}, nil
}

// Detail is what became of each fault, for the result as JSON.
func (a *Alone) Detail() any {
	return struct {
		Beside string    `json:"beside"`
		Faults []Outcome `json:"faults"`
	}{a.Name, a.story.Outcomes}
}

// Faults are what goes wrong in the demo: one after the other, each when what came before is over.
func (d *Demo) Faults(duration time.Duration) *fault.Schedule {
	s := &fault.Schedule{Name: "demo"}
	for at := firstFault; len(s.Fixed) < mostFaults && (duration == 0 || at+faultLasts+faultOver <= duration); at += faultEvery {
		f := d.troubles[len(s.Fixed)%len(d.troubles)]
		f.At, f.For = at, faultLasts
		s.Fixed = append(s.Fixed, f)
	}
	return s
}

const (
	firstFault = 40 * time.Second
	faultEvery = 80 * time.Second
	faultLasts = 12 * time.Second
	faultOver  = 8 * time.Second // later its queues are gone, and its windows judged
	mostFaults = fault.MaxFixed
)
