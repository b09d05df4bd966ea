package kube

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/sync/errgroup"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foresail.dev"
)

// Manager is the field manager that everything is written as.
const Manager = "foresail"

// atOnce is how many services are acted on side by side.
const atOnce = 8

// want is what a service should have.
type want struct {
	foresail.Allocation
	grew bool // there were fewer replicas when it was said
}

// Apply states what should be, and does what can be done of it now; Next and Reconcile do the rest.
func (c *Cluster) Apply(ctx context.Context, p *foresail.Plan) error {
	if p == nil {
		return nil
	}
	failed := map[foresail.ServiceID]error{}
	var ids []foresail.ServiceID
	c.mu.Lock()
	for _, ch := range p.Changes {
		if int(ch.Service) < 0 || int(ch.Service) >= len(c.spec.Workloads) {
			failed[ch.Service] = fmt.Errorf("kubernetes: there is no service %d", ch.Service)
			continue
		}
		to, _ := c.spec.App.Services[ch.Service].Bounds.Clamp(ch.To)
		o, _ := c.watch.workload(c.spec.Workloads[ch.Service].Ref)
		c.wanted[ch.Service] = want{Allocation: to, grew: to.Replicas > o.replicas}
		ids = append(ids, ch.Service)
	}
	c.mu.Unlock()
	c.reconcile(ctx, ids, failed)
	if len(failed) > 0 {
		return &foresail.ApplyError{Failed: failed}
	}
	return ctx.Err()
}

// Reconcile does what is not done yet of what was stated, where it can be done now. It writes nothing where nothing differs.
func (c *Cluster) Reconcile(ctx context.Context) error {
	var ids []foresail.ServiceID
	c.mu.Lock()
	for i := range c.spec.Workloads {
		if _, ok := c.wanted[foresail.ServiceID(i)]; ok {
			ids = append(ids, foresail.ServiceID(i))
		}
	}
	c.mu.Unlock()
	failed := map[foresail.ServiceID]error{}
	c.reconcile(ctx, ids, failed)
	if len(failed) > 0 {
		return &foresail.ApplyError{Failed: failed}
	}
	return ctx.Err()
}

// reconcile acts on some services and notes what failed.
func (c *Cluster) reconcile(ctx context.Context, ids []foresail.ServiceID, failed map[foresail.ServiceID]error) {
	c.acting.Lock() // Apply and Next may come at once
	defer c.acting.Unlock()
	errs := make([]error, len(ids))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, id := range ids {
		g.Go(func() error {
			errs[i] = c.service(ctx, id)
			return nil
		})
	}
	_ = g.Wait()
	for i, err := range errs {
		if err != nil {
			failed[ids[i]] = fmt.Errorf("%s: %w", c.spec.App.Services[ids[i]].Name, err)
		}
	}
}

// service does for one what can be done. What grows goes first; what shrinks waits until that is ready.
func (c *Cluster) service(ctx context.Context, id foresail.ServiceID) error {
	w := &c.spec.Workloads[id]
	c.mu.Lock()
	to := c.wanted[id]
	c.mu.Unlock()
	if c.held(id) != "" {
		return nil
	}
	o, ok := c.watch.workload(w.Ref)
	if !ok {
		return fmt.Errorf("there is no %v", w.Ref)
	}
	var errs []error
	scaler := c.watch.scaler(w.Ref)
	if scaler != nil {
		errs = append(errs, c.steer(ctx, w, scaler, to.Replicas))
		to.Replicas, to.grew = o.replicas, false
	}
	if to.Replicas > o.replicas {
		errs = append(errs, c.scale(ctx, w.Ref, o, to.Replicas))
	}
	grown, err := c.resize(ctx, w, o, to)
	errs = append(errs, err)
	if to.Replicas < o.replicas && grown {
		errs = append(errs, c.scale(ctx, w.Ref, o, to.Replicas))
	}
	return errors.Join(errs...)
}

// held says why a service is left as it is; empty: it may be changed.
func (c *Cluster) held(id foresail.ServiceID) string {
	if why := c.spec.Workloads[id].Hold; why != "" || c.cfg.Hold == nil {
		return why
	}
	return c.cfg.Hold(id)
}

// lead asks whether something may be written now.
func (c *Cluster) lead(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if c.cfg.Lead == nil {
		return ctx, func() {}, nil
	}
	return c.cfg.Lead(ctx)
}

// scale writes a number of replicas, on condition that the workload is as it was seen. If it has changed since, it is read once
// more.
func (c *Cluster) scale(ctx context.Context, r Ref, o owner, n int) error {
	s := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: r.Name, Namespace: r.Namespace, ResourceVersion: o.version}}
	for try := 0; ; try++ {
		s.Spec.Replicas = int32(min(n, math.MaxInt32))
		err := c.writeScale(ctx, r, s)
		if err == nil {
			c.count(func(w *Writes) { w.Scales++ })
			return nil
		}
		if !apierrors.IsConflict(err) || try > 0 {
			return c.refused(err, fmt.Sprintf("%d replicas", n))
		}
		c.count(func(w *Writes) { w.Conflicts++ })
		if s, err = c.readScale(ctx, r); err != nil {
			return c.refused(err, fmt.Sprintf("%d replicas", n))
		}
		if int(s.Spec.Replicas) == n {
			return nil
		}
	}
}

func (c *Cluster) writeScale(ctx context.Context, r Ref, s *autoscalingv1.Scale) error {
	opts := metav1.UpdateOptions{FieldManager: Manager}
	ctx, done, err := c.lead(ctx)
	if err != nil {
		return err
	}
	defer done()
	if r.Kind == StatefulSet {
		_, err = c.cfg.Client.AppsV1().StatefulSets(r.Namespace).UpdateScale(ctx, r.Name, s, opts)
	} else {
		_, err = c.cfg.Client.AppsV1().Deployments(r.Namespace).UpdateScale(ctx, r.Name, s, opts)
	}
	return err
}

func (c *Cluster) readScale(ctx context.Context, r Ref) (*autoscalingv1.Scale, error) {
	if r.Kind == StatefulSet {
		return c.cfg.Client.AppsV1().StatefulSets(r.Namespace).GetScale(ctx, r.Name, metav1.GetOptions{})
	}
	return c.cfg.Client.AppsV1().Deployments(r.Namespace).GetScale(ctx, r.Name, metav1.GetOptions{})
}

// count changes the counts of what was written.
func (c *Cluster) count(f func(*Writes)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.writes)
}

// refused counts a write that was refused and says what a person can do about it.
func (c *Cluster) refused(err error, what string) error {
	if apierrors.IsConflict(err) {
		c.count(func(w *Writes) { w.Conflicts++ })
		return fmt.Errorf("%s: somebody else changes it at the same time: tried again soon", what)
	}
	c.count(func(w *Writes) { w.Refused++ })
	switch {
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return fmt.Errorf("%s: the namespace's ResourceQuota forbids it: %w", what, err)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: not allowed: %w", what, err)
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%s: it is gone: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}
