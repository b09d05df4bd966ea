package operator

import (
	"context"
	"errors"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/loop"
)

// reason is an error with the word that a condition gives for it.
type reason struct {
	word string
	error
}

// Unwrap is the error itself.
func (r reason) Unwrap() error { return r.error }

func because(word string, err error) error { return reason{word, err} }

// runner manages one generation of one Application.
type runner struct {
	o       *operator
	app     *v1alpha1.Application
	spec    kube.Spec
	cluster *kube.Cluster
	manager foresail.Manager
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex // of what follows
	plan  *foresail.Plan
	epoch int // the last in which a plan was applied
	found findings
}

// open makes everything that it takes.
func (o *operator) open(ctx context.Context, a *v1alpha1.Application, spec kube.Spec) (*runner, error) {
	m, err := o.cfg.Manager(a, spec.App)
	if err != nil {
		return nil, because("ModelMissing", err)
	}
	var source kube.Source
	if o.cfg.Source != nil {
		if source, err = o.cfg.Source(ctx, a, spec); err != nil {
			return nil, because("NoTelemetry", err)
		}
	}
	r := &runner{o: o, app: a.DeepCopy(), spec: spec, manager: m, done: make(chan struct{})}
	r.found.begin(spec)
	r.cluster, err = kube.Open(ctx, kube.Config{Client: o.kube, Watch: o.watch, Spec: spec, Source: source, Every: o.cfg.Every, Lead: o.leader.lead, Now: o.cfg.Now,
		Hold: r.hold, Log: func(what string) { o.cfg.Log.Info(what, "application", spec.App.Name) }})
	if err != nil {
		return nil, because("Invalid", err)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// hold says why a service is left as it is.
func (r *runner) hold(id foresail.ServiceID) string {
	held, _ := kube.Held(r.app, r.o.cfg.Now())
	return held[id]
}

func (r *runner) stop() {
	r.cancel()
	<-r.done
}

// run turns the loop until it is stopped.
func (r *runner) run() {
	defer close(r.done)
	defer r.cluster.Close()
	var group sync.WaitGroup
	group.Go(r.report)
	err := loop.Run(r.ctx, acting{r}, r.manager, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) { r.observed(s) },
		Decided:  r.decided,
		Trouble:  func(err error) { r.o.cfg.Log.Warn(err.Error(), "application", r.spec.App.Name) },
	}})
	if err != nil {
		r.mu.Lock()
		r.found.broken = err
		r.mu.Unlock()
		r.o.cfg.Log.Error("an Application is not managed any more", "application", r.spec.App.Name, "why", err)
	}
	<-r.ctx.Done()
	group.Wait()
}

// acting is the cluster as the loop sees it: who does not lead decides as the leader does, and writes nothing.
type acting struct{ r *runner }

// App is the application.
func (a acting) App() *foresail.App { return a.r.cluster.App() }

// Next is the cluster's.
func (a acting) Next(ctx context.Context) (*foresail.Snapshot, error) { return a.r.cluster.Next(ctx) }

// Apply keeps the plan, and does what it says where this process leads.
func (a acting) Apply(ctx context.Context, p *foresail.Plan) error {
	a.r.mu.Lock()
	a.r.plan = p
	a.r.mu.Unlock()
	return a.r.apply(ctx, p)
}

// apply does what a plan says, if this process leads. The first plan after it has begun to lead shrinks nothing: another may have
// known better why there is more.
func (r *runner) apply(ctx context.Context, p *foresail.Plan) error {
	leads, epoch, _ := r.o.leader.leads()
	if !leads {
		r.cluster.Forget()
		return nil
	}
	r.mu.Lock()
	first := r.epoch != epoch
	r.epoch = epoch
	r.mu.Unlock()
	if first {
		r.cluster.Forget()
		p = onlyMore(p, r.cluster.State())
	}
	err := r.cluster.Apply(ctx, p)
	if errors.Is(err, errNotLeading) {
		return nil
	}
	return err
}

// onlyMore is a plan without what it takes away.
func onlyMore(p *foresail.Plan, has []kube.State) *foresail.Plan {
	out := *p
	out.Changes = nil
	for _, ch := range p.Changes {
		if int(ch.Service) >= len(has) || !has[ch.Service].Found {
			continue
		}
		now := has[ch.Service].Allocation
		ch.To.Replicas = max(ch.To.Replicas, now.Replicas)
		ch.To.CPU = max(ch.To.CPU, now.CPU)
		if ch.To.Memory > 0 {
			ch.To.Memory = max(ch.To.Memory, now.Memory)
		}
		out.Changes = append(out.Changes, ch)
	}
	return &out
}

// observed takes a snapshot.
func (r *runner) observed(s *foresail.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.observed(s, r.o.cfg.Now())
}

// decided takes a decision.
func (r *runner) decided(d loop.Decision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found.decided(d, r.cluster.App())
}

// report writes status as long as this process leads, and acts at once when it begins to.
func (r *runner) report() {
	tick := time.NewTicker(r.o.cfg.StatusEvery)
	defer tick.Stop()
	for {
		leads, epoch, begins := r.o.leader.leads()
		r.mu.Lock()
		plan, behind := r.plan, leads && r.epoch != epoch
		r.mu.Unlock()
		if behind && plan != nil {
			if err := r.apply(r.ctx, plan); err != nil && r.ctx.Err() == nil {
				r.o.cfg.Log.Warn("taking over", "application", r.spec.App.Name, "why", err)
			}
		}
		if leads {
			if err := r.write(r.ctx); err != nil && r.ctx.Err() == nil {
				r.o.cfg.Log.Warn("status was not written", "application", r.spec.App.Name, "why", err)
			}
		}
		select {
		case <-r.ctx.Done():
			return
		case <-begins:
		case <-tick.C:
		}
	}
}
