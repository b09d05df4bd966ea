package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// resize gives the pods of a workload what they should have, and reports whether nothing that grows is left undone. A pod's CPU
// and memory shrink only when it is ready, since it needs more to start, and when the replicas that make up for it are ready.
func (c *Cluster) resize(ctx context.Context, w *Workload, o owner, to want) (grown bool, err error) {
	limits := w.limits(o.template)
	t := containerOf(o.template.Spec.Containers, w.Container)
	if t == nil {
		return false, fmt.Errorf("%v has no container %q", w.Ref, w.Container)
	}
	pods := c.watch.pods(w.Ref)
	isReady := 0
	for _, p := range pods {
		if ready(p) {
			isReady++
		}
	}
	mayShrink := !to.grew || isReady >= to.Replicas
	goal := target(limits, t.Resources, to)
	grown = true
	var errs []error
	for _, p := range pods {
		spec, status := w.container(p)
		if spec == nil || p.Status.Phase == corev1.PodPending && p.Spec.NodeName == "" {
			continue // what has no node yet can't be resized
		}
		now := limits.of(spec.Resources)
		more, less := compare(now, limits.of(goal))
		switch {
		case less && !more && (!mayShrink || !ready(p)):
			// later
		case more || less:
			errs = append(errs, c.resizePod(ctx, p, spec, goal))
		}
		if more, _ := compare(limits.of(actual(spec, status)), limits.of(goal)); more {
			grown = false
		}
		for _, cond := range p.Status.Conditions {
			if cond.Type == corev1.PodResizePending && cond.Status == corev1.ConditionTrue && cond.Reason == corev1.PodReasonInfeasible {
				errs = append(errs, fmt.Errorf("pod %s can't be resized where it runs: %s", p.Name, cond.Message))
			}
		}
	}
	return grown, errors.Join(errs...)
}

// target is a container's resources with what a plan says of them. Under LimitsBoth requests keep the share of limits that the
// template gives them, so that the pod keeps its quality-of-service class: Kubernetes refuses a resize that changes it.
func target(l Limits, template corev1.ResourceRequirements, to want) corev1.ResourceRequirements {
	out := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	set := func(name corev1.ResourceName, value int64, quantity func(int64) resource.Quantity, get func(*resource.Quantity) int64) {
		if value <= 0 {
			return
		}
		request, hasRequest := template.Requests[name]
		limit, hasLimit := template.Limits[name]
		if l == LimitsRequests {
			if hasLimit {
				value = min(value, get(&limit))
			}
			out.Requests[name] = quantity(value)
			return
		}
		out.Limits[name] = quantity(value)
		switch r, m := get(&request), get(&limit); {
		case !hasRequest || !hasLimit || r >= m:
			out.Requests[name] = quantity(value)
		default:
			share := int64(math.Round(float64(value) * float64(r) / float64(m)))
			out.Requests[name] = quantity(max(min(share, value-1), 0))
		}
	}
	set(corev1.ResourceCPU, int64(math.Round(to.CPU*1000)),
		func(v int64) resource.Quantity { return *resource.NewMilliQuantity(v, resource.DecimalSI) },
		func(q *resource.Quantity) int64 { return q.MilliValue() })
	set(corev1.ResourceMemory, to.Memory,
		func(v int64) resource.Quantity { return *resource.NewQuantity(v, resource.BinarySI) },
		func(q *resource.Quantity) int64 { return q.Value() })
	return out
}

// compare says whether a goal has more of something, and less of something, than what is. What the goal does not name is not
// compared.
func compare(now, goal corev1.ResourceList) (more, less bool) {
	for name, g := range goal {
		n := now[name]
		switch g.Cmp(n) {
		case 1:
			more = true
		case -1:
			less = true
		}
	}
	return more, less
}

// same reports whether a container has what a goal names already.
func same(now, goal corev1.ResourceRequirements) bool {
	more, less := compare(now.Limits, goal.Limits)
	m, l := compare(now.Requests, goal.Requests)
	return !more && !less && !m && !l
}

// resizePod writes a pod's resources through its resize subresource, on condition that the pod is as it was seen. If it has
// changed since, which its status does all the time, it is read once more.
func (c *Cluster) resizePod(ctx context.Context, p *corev1.Pod, container *corev1.Container, to corev1.ResourceRequirements) error {
	what := fmt.Sprintf("pod %s: %s", p.Name, sizes(to))
	pods := c.cfg.Client.CoreV1().Pods(p.Namespace)
	for version, try := p.ResourceVersion, 0; ; try++ {
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": version, "uid": p.UID},
			"spec":     map[string]any{"containers": []any{map[string]any{"name": container.Name, "resources": to}}},
		})
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		leading, done, err := c.lead(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		_, err = pods.Patch(leading, p.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: Manager}, "resize")
		done()
		switch {
		case err == nil:
			c.count(func(w *Writes) { w.Resizes++ })
			return nil
		case apierrors.IsNotFound(err):
			return nil // it has gone in between
		case !apierrors.IsConflict(err) || try > 0:
			return c.refused(err, what)
		}
		c.count(func(w *Writes) { w.Conflicts++ })
		fresh, err := pods.Get(ctx, p.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && fresh.UID != p.UID {
			return nil
		}
		if err != nil {
			return c.refused(err, what)
		}
		if f := containerOf(fresh.Spec.Containers, container.Name); f != nil && same(f.Resources, to) {
			return nil
		}
		version = fresh.ResourceVersion
	}
}

// sizes reads like "CPU 250m, memory 64Mi".
func sizes(r corev1.ResourceRequirements) string {
	list := r.Limits
	if len(list) == 0 {
		list = r.Requests
	}
	s := "CPU " + list.Cpu().String()
	if m, ok := list[corev1.ResourceMemory]; ok {
		s += ", memory " + m.String()
	}
	return s
}
