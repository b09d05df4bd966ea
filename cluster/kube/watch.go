package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"foresail.dev"
)

// Names of indexes.
const (
	byOwner  = "owner"  // pods, by the workload that made them
	byTarget = "target" // autoscalers, by the workload that they scale
)

// Watch is what the API server tells of some namespaces, kept as it changes. Several clusters may share one. Its methods may be
// called from any goroutine.
type Watch struct {
	client kubernetes.Interface
	ctx    context.Context // ends all watching
	stop   context.CancelFunc

	mu    sync.RWMutex // of what follows
	every []informers.SharedInformerFactory
	by    map[string]*namespaceWatch
	last  error // of the last watch that broke
}

type namespaceWatch struct {
	pods, deployments, sets, scalers cache.SharedIndexInformer
}

// NewWatch watches nothing yet.
func NewWatch(client kubernetes.Interface) *Watch {
	w := &Watch{client: client, by: map[string]*namespaceWatch{}}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// Add begins to watch namespaces, if they are not watched already, and returns when all that is there has been read.
func (w *Watch) Add(ctx context.Context, namespaces ...string) error {
	var synced []cache.InformerSynced
	for _, ns := range namespaces {
		n, err := w.namespace(ns)
		if err != nil {
			return err
		}
		synced = append(synced, n.pods.HasSynced, n.deployments.HasSynced, n.sets.HasSynced, n.scalers.HasSynced)
	}
	if cache.WaitForCacheSync(ctx.Done(), synced...) {
		return nil
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	return fmt.Errorf("kubernetes: reading workloads and pods of %s: %w", strings.Join(namespaces, ", "), errors.Join(w.last, ctx.Err()))
}

// namespace is watched, from now on at least.
func (w *Watch) namespace(ns string) (*namespaceWatch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, ok := w.by[ns]; ok {
		return n, nil
	}
	f := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(ns), informers.WithTransform(slim))
	n := &namespaceWatch{
		pods:        f.Core().V1().Pods().Informer(),
		deployments: f.Apps().V1().Deployments().Informer(),
		sets:        f.Apps().V1().StatefulSets().Informer(),
		scalers:     f.Autoscaling().V2().HorizontalPodAutoscalers().Informer(),
	}
	err := errors.Join(n.pods.AddIndexers(cache.Indexers{byOwner: ownerOf}), n.scalers.AddIndexers(cache.Indexers{byTarget: targetOf}))
	for _, i := range []cache.SharedIndexInformer{n.pods, n.deployments, n.sets, n.scalers} {
		err = errors.Join(err, i.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.failed(err) }))
	}
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %w", err)
	}
	w.by[ns] = n
	w.every = append(w.every, f)
	f.Start(w.ctx.Done())
	return n, nil
}

// failed notes that a watch broke. Informers try again by themselves.
func (w *Watch) failed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = err
}

// in is what is watched of a namespace; nil: nothing.
func (w *Watch) in(ns string) *namespaceWatch {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.by[ns]
}

// Close ends all watching.
func (w *Watch) Close() {
	w.stop()
	w.mu.Lock()
	every := w.every
	w.mu.Unlock()
	for _, f := range every {
		f.Shutdown()
	}
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
func (w *Watch) pods(r Ref) []*corev1.Pod {
	n := w.in(r.Namespace)
	if n == nil {
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
func (w *Watch) scaler(r Ref) *autoscalingv2.HorizontalPodAutoscaler {
	n := w.in(r.Namespace)
	if n == nil {
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
func (w *Watch) workload(r Ref) (owner, bool) {
	n := w.in(r.Namespace)
	if n == nil {
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

// Find names the one workload of a namespace whose labels a selector matches.
func (w *Watch) Find(namespace string, by labels.Selector) (Ref, error) {
	n := w.in(namespace)
	if n == nil {
		return Ref{}, fmt.Errorf("namespace %s is not watched", namespace)
	}
	var found []string
	var ref Ref
	look := func(kind string, i cache.SharedIndexInformer) {
		for _, o := range i.GetIndexer().List() {
			if m, ok := o.(metav1.Object); ok && by.Matches(labels.Set(m.GetLabels())) {
				ref = Ref{namespace, kind, m.GetName()}
				found = append(found, kind+" "+m.GetName())
			}
		}
	}
	look(Deployment, n.deployments)
	look(StatefulSet, n.sets)
	slices.Sort(found)
	switch len(found) {
	case 1:
		return ref, nil
	case 0:
		return Ref{}, fmt.Errorf("selector %v matches no Deployment or StatefulSet", by)
	}
	return Ref{}, fmt.Errorf("selector %v matches %d workloads, and must match one: %s", by, len(found), strings.Join(found[:min(5, len(found))], ", "))
}

// Has is what each replica of a workload has.
func (w *Watch) Has(x Workload) (foresail.Allocation, bool) {
	st := w.state(&x)
	return st.Allocation, st.Found
}
