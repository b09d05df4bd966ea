package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// Names of indexes.
const (
	byOwner  = "owner"  // pods, by the workload that made them
	byTarget = "target" // autoscalers, by the workload that they scale
)

// watched is what the API server tells of some namespaces, kept as it changes.
type watched struct {
	stop      context.CancelFunc
	every     []informers.SharedInformerFactory
	by        map[string]*namespaceWatch
	troubleMu sync.Mutex
	trouble   error
	since     time.Time // of trouble
}

type namespaceWatch struct {
	pods, deployments, sets, scalers cache.SharedIndexInformer
}

// watch begins to watch, and returns when everything there is has been read.
func watch(ctx context.Context, client kubernetes.Interface, namespaces []string, now func() time.Time) (*watched, error) {
	ctx2, stop := context.WithCancel(context.WithoutCancel(ctx))
	w := &watched{stop: stop, by: map[string]*namespaceWatch{}}
	var synced []cache.InformerSynced
	for _, ns := range namespaces {
		f := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithNamespace(ns), informers.WithTransform(slim))
		n := &namespaceWatch{
			pods:        f.Core().V1().Pods().Informer(),
			deployments: f.Apps().V1().Deployments().Informer(),
			sets:        f.Apps().V1().StatefulSets().Informer(),
			scalers:     f.Autoscaling().V2().HorizontalPodAutoscalers().Informer(),
		}
		if err := n.pods.AddIndexers(cache.Indexers{byOwner: ownerOf}); err != nil {
			stop()
			return nil, fmt.Errorf("kubernetes: %w", err)
		}
		if err := n.scalers.AddIndexers(cache.Indexers{byTarget: targetOf}); err != nil {
			stop()
			return nil, fmt.Errorf("kubernetes: %w", err)
		}
		for _, i := range []cache.SharedIndexInformer{n.pods, n.deployments, n.sets, n.scalers} {
			if err := i.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.failed(err, now()) }); err != nil {
				stop()
				return nil, fmt.Errorf("kubernetes: %w", err)
			}
			synced = append(synced, i.HasSynced)
		}
		w.by[ns] = n
		f.Start(ctx2.Done())
		w.every = append(w.every, f)
	}
	if !cache.WaitForCacheSync(ctx.Done(), synced...) {
		w.close()
		if err, _ := w.lost(); err != nil {
			return nil, fmt.Errorf("kubernetes: reading workloads and pods of %s: %w", strings.Join(namespaces, ", "), err)
		}
		return nil, fmt.Errorf("kubernetes: reading workloads and pods of %s: %w", strings.Join(namespaces, ", "), ctx.Err())
	}
	w.troubleMu.Lock()
	w.trouble = nil
	w.troubleMu.Unlock()
	return w, nil
}

// slim drops what is never read and fills memory.
func slim(obj any) (any, error) {
	if m, ok := obj.(metav1.Object); ok {
		m.SetManagedFields(nil)
	}
	if p, ok := obj.(*corev1.Pod); ok {
		p.Spec.Volumes, p.Spec.Tolerations, p.Annotations = nil, nil, nil
		for i := range p.Spec.Containers {
			c := &p.Spec.Containers[i]
			c.Env, c.EnvFrom, c.VolumeMounts, c.Command, c.Args = nil, nil, nil, nil, nil
			c.LivenessProbe, c.ReadinessProbe, c.StartupProbe = nil, nil, nil
		}
	}
	return obj, nil
}

// failed notes that a watch broke. Informers try again by themselves.
func (w *watched) failed(err error, now time.Time) {
	w.troubleMu.Lock()
	defer w.troubleMu.Unlock()
	if w.trouble == nil {
		w.since = now
	}
	w.trouble = err
}

// lost is the last error of a watch since it was asked last, and when the first came. A watch that ended and goes on
// is none.
func (w *watched) lost() (error, time.Time) {
	w.troubleMu.Lock()
	defer w.troubleMu.Unlock()
	err, since := w.trouble, w.since
	w.trouble = nil
	return err, since
}

func (w *watched) close() {
	w.stop()
	for _, f := range w.every {
		f.Shutdown()
	}
}

// ownerOf names the workload that a pod belongs to. A ReplicaSet's name is its Deployment's and the hash of its template,
// which its pods carry as a label.
func ownerOf(obj any) ([]string, error) {
	p, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	o := metav1.GetControllerOf(p)
	switch {
	case o == nil:
		return nil, nil
	case o.Kind == StatefulSet:
		return []string{Ref{p.Namespace, StatefulSet, o.Name}.String()}, nil
	case o.Kind == "ReplicaSet":
		if name, ok := strings.CutSuffix(o.Name, "-"+p.Labels[appsv1.DefaultDeploymentUniqueLabelKey]); ok {
			return []string{Ref{p.Namespace, Deployment, name}.String()}, nil
		}
	}
	return nil, nil
}

func targetOf(obj any) ([]string, error) {
	h, ok := obj.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil, nil
	}
	t := h.Spec.ScaleTargetRef
	return []string{Ref{h.Namespace, t.Kind, t.Name}.String()}, nil
}

// pods of a workload that are not about to go.
func (w *watched) pods(r Ref) []*corev1.Pod {
	n, ok := w.by[r.Namespace]
	if !ok {
		return nil
	}
	objs, err := n.pods.GetIndexer().ByIndex(byOwner, r.String())
	if err != nil {
		return nil
	}
	out := make([]*corev1.Pod, 0, len(objs))
	for _, o := range objs {
		p, ok := o.(*corev1.Pod)
		if ok && p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// scaler is the autoscaler of a workload; nil: there is none.
func (w *watched) scaler(r Ref) *autoscalingv2.HorizontalPodAutoscaler {
	n, ok := w.by[r.Namespace]
	if !ok {
		return nil
	}
	objs, err := n.scalers.GetIndexer().ByIndex(byTarget, r.String())
	if err != nil {
		return nil
	}
	var first *autoscalingv2.HorizontalPodAutoscaler
	for _, o := range objs { // there should be one; of several the first by name, so that it is always the same
		if h, ok := o.(*autoscalingv2.HorizontalPodAutoscaler); ok && (first == nil || h.Name < first.Name) {
			first = h
		}
	}
	return first
}

// owner is a workload as it is: how many replicas it asks for, and the template of its pods.
type owner struct {
	replicas int
	template *corev1.PodTemplateSpec
	settled  bool   // no rollout is under way
	version  string // resourceVersion
}

// workload is what is known of one; false: there is none of that name.
func (w *watched) workload(r Ref) (owner, bool) {
	n, ok := w.by[r.Namespace]
	if !ok {
		return owner{}, false
	}
	informer := n.deployments
	if r.Kind == StatefulSet {
		informer = n.sets
	}
	obj, ok, err := informer.GetIndexer().GetByKey(r.Namespace + "/" + r.Name)
	if err != nil || !ok {
		return owner{}, false
	}
	switch o := obj.(type) {
	case *appsv1.Deployment:
		return owner{replicas: count(o.Spec.Replicas), template: &o.Spec.Template, version: o.ResourceVersion,
			settled: o.Status.ObservedGeneration >= o.Generation && o.Status.UpdatedReplicas == o.Status.Replicas}, true
	case *appsv1.StatefulSet:
		return owner{replicas: count(o.Spec.Replicas), template: &o.Spec.Template, version: o.ResourceVersion,
			settled: o.Status.ObservedGeneration >= o.Generation && o.Status.UpdatedReplicas == o.Status.Replicas}, true
	}
	return owner{}, false
}

// count is what a missing number of replicas means.
func count(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}
