package kube

import (
	"context"
	"fmt"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"

	"foresail.dev"
)

// Source is where load and latency are observed: the observing half of a foresail.Cluster.
type Source interface {
	Next(ctx context.Context) (*foresail.Snapshot, error)
}

// Config says which workloads, and where.
type Config struct {
	Client kubernetes.Interface
	Spec   Spec
	Watch  *Watch        // shared with others; nil: one of its own
	Source Source        // nil: snapshots hold what Kubernetes knows alone, one each Every
	Every  time.Duration // of snapshots without a source, and of Reconcile; default 5 s
	// Hold says why a service is left as it is, besides Workload.Hold; empty: it may be changed. nil: nothing else holds.
	Hold func(foresail.ServiceID) string
	// Lead gives the context that a write is made in, which ends when the right to write does, or says why nothing may be written
	// now. nil: this process is alone.
	Lead func(context.Context) (context.Context, context.CancelFunc, error)
	Log  func(string)     // is told what a person should know; nil: nobody
	Now  func() time.Time // nil: time.Now
}

// Cluster is an application that runs in Kubernetes. It implements foresail.Cluster.
type Cluster struct {
	cfg   Config
	spec  Spec
	watch *Watch
	own   bool // the watch is its own

	acting sync.Mutex // held by who writes

	mu     sync.Mutex // of what follows
	wanted map[foresail.ServiceID]want
	at     time.Time // the end of the last snapshot
	writes Writes
	told   map[string]time.Time
}

// Writes counts what was written to the API server.
type Writes struct {
	Scales    int // replicas
	Resizes   int // of pods
	Scalers   int // minima of autoscalers
	Conflicts int // refused, since something had changed in between
	Refused   int // for another reason
}

// Open begins to watch. Every workload must be there, with a container that can be managed.
func Open(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.Spec.Check(); err != nil {
		return nil, err
	}
	if cfg.Every <= 0 {
		cfg.Every = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Cluster{cfg: cfg, spec: cfg.Spec, watch: cfg.Watch, wanted: map[foresail.ServiceID]want{}, told: map[string]time.Time{}}
	if c.watch == nil {
		c.watch, c.own = NewWatch(cfg.Client), true
	}
	if err := c.open(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// open waits for what is watched, and looks for the workloads.
func (c *Cluster) open(ctx context.Context) error {
	if err := c.watch.Add(ctx, c.spec.namespaces()...); err != nil {
		return err
	}
	for i := range c.spec.Workloads {
		x := &c.spec.Workloads[i]
		o, ok := c.watch.workload(x.Ref)
		if !ok {
			return fmt.Errorf("kubernetes: service %s: there is no %v", c.spec.App.Services[i].Name, x.Ref)
		}
		if containerOf(o.template.Spec.Containers, x.Container) == nil {
			return fmt.Errorf("kubernetes: service %s: %v has no container %q", c.spec.App.Services[i].Name, x.Ref, x.Container)
		}
	}
	return nil
}

// Close ends watching, unless others watch too.
func (c *Cluster) Close() {
	if c.own {
		c.watch.Close()
	}
}

// App is the application.
func (c *Cluster) App() *foresail.App { return c.spec.App }

// Writes so far.
func (c *Cluster) Writes() Writes {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes
}

// Next waits for the source's next snapshot and adds what Kubernetes knows: allocations and ready replicas. What was left
// undone of the last plan is tried again.
func (c *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	var s *foresail.Snapshot
	var err error
	if c.cfg.Source != nil {
		s, err = c.cfg.Source.Next(ctx)
	} else {
		s, err = c.tick(ctx)
	}
	if err != nil {
		return nil, err
	}
	c.fill(s)
	if _, done, err := c.lead(ctx); err != nil {
		c.Forget() // whoever leads states it
	} else {
		done()
		if err := c.Reconcile(ctx); err != nil && ctx.Err() == nil {
			c.tell(err.Error())
		}
	}
	return s, ctx.Err()
}

// tick waits for the end of an interval in which nothing but Kubernetes is observed.
func (c *Cluster) tick(ctx context.Context) (*foresail.Snapshot, error) {
	c.mu.Lock()
	start := c.at
	c.mu.Unlock()
	now := c.cfg.Now()
	if start.IsZero() || now.Sub(start) > 10*c.cfg.Every {
		start = now.Truncate(c.cfg.Every)
	}
	end := start.Add(c.cfg.Every)
	if err := sleep(ctx, end.Sub(now)); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.at = end
	c.mu.Unlock()
	app := c.spec.App
	return &foresail.Snapshot{Start: start.UTC(), End: end.UTC(), Generation: app.Generation,
		Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints))}, nil
}

// fill adds to a snapshot what Kubernetes knows better than any metric of it.
func (c *Cluster) fill(s *foresail.Snapshot) {
	for i := range min(len(s.Services), len(c.spec.Workloads)) {
		st := c.watch.state(&c.spec.Workloads[i])
		if !st.Found {
			continue // what is gone is not zero
		}
		svc := &s.Services[i]
		if b := c.spec.App.Services[i].Bounds; b.MinMemory == 0 && b.MaxMemory == 0 {
			st.Allocation.Memory = 0 // it is not managed
		}
		svc.Ready, svc.Allocation = st.Ready, st.Allocation
		svc.Has |= foresail.SignalReady | foresail.SignalAllocation
		c.mu.Lock()
		to, ok := c.wanted[foresail.ServiceID(i)]
		c.mu.Unlock()
		if ok && !to.Equal(st.Allocation) {
			pending := to.Allocation
			svc.Pending = &pending
		}
	}
}

// tell tells a person, the same thing at most each ten minutes.
func (c *Cluster) tell(what string) {
	if c.cfg.Log == nil {
		return
	}
	now := c.cfg.Now()
	c.mu.Lock()
	t, ok := c.told[what]
	if quiet := ok && now.Sub(t) < 10*time.Minute || len(c.told) > 1000; quiet {
		c.mu.Unlock()
		return
	}
	c.told[what] = now
	c.mu.Unlock()
	c.cfg.Log("kubernetes: " + what)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(max(d, 0))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Forget drops what was stated and is not done: somebody else states it now.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.wanted)
}
