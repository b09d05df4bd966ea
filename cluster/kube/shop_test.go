package kube_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/internal/kubetest"
)

// One API server for the tests of this package: each takes a namespace of its own.
var api struct {
	sync.Mutex
	n int
}

// shop is a namespace with workloads whose pods a test makes by hand, since no controller runs.
type shop struct {
	t         *testing.T
	client    *kubernetes.Clientset
	namespace string
}

func newShop(t *testing.T, cfg *rest.Config) *shop {
	t.Helper()
	api.Lock()
	api.n++
	s := &shop{t: t, client: kubernetes.NewForConfigOrDie(cfg), namespace: fmt.Sprintf("shop-%d", api.n)}
	api.Unlock()
	_, err := s.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}, metav1.CreateOptions{})
	s.must(err)
	return s
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// resources with a request and a limit of CPU; empty: none.
func resources(request, limit string) corev1.ResourceRequirements {
	r := corev1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	if request != "" {
		r.Requests[corev1.ResourceCPU] = resource.MustParse(request)
	}
	if limit != "" {
		r.Limits[corev1.ResourceCPU] = resource.MustParse(limit)
	}
	return r
}

func template(name string, r corev1.ResourceRequirements) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": name}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "server", Image: "server", Resources: r}}},
	}
}

// deployment with pods that run, as many as asked for.
func (s *shop) deployment(name string, replicas int32, r corev1.ResourceRequirements) {
	s.t.Helper()
	_, err := s.client.AppsV1().Deployments(s.namespace).Create(s.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template(name, r),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
	}, metav1.CreateOptions{})
	s.must(err)
	for i := range replicas {
		s.pod(name, int(i), r, true)
	}
}

// pod of a Deployment.
func (s *shop) pod(workload string, n int, r corev1.ResourceRequirements, ready bool) {
	s.t.Helper()
	yes := true
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", workload, n), Labels: map[string]string{"app": workload, "pod-template-hash": "5d8f"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: workload + "-5d8f", UID: "1", Controller: &yes}}},
		Spec: template(workload, r).Spec,
	}
	p.Spec.NodeName = "node"
	p, err := s.client.CoreV1().Pods(s.namespace).Create(s.t.Context(), p, metav1.CreateOptions{})
	s.must(err)
	s.status(p.Name, ready)
}

// status says that a pod runs, and whether it is ready.
func (s *shop) status(name string, ready bool, also ...corev1.PodCondition) {
	s.t.Helper()
	pods := s.client.CoreV1().Pods(s.namespace)
	p, err := pods.Get(s.t.Context(), name, metav1.GetOptions{})
	s.must(err)
	is := corev1.ConditionFalse
	if ready {
		is = corev1.ConditionTrue
	}
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = append([]corev1.PodCondition{{Type: corev1.PodReady, Status: is}}, also...)
	_, err = pods.UpdateStatus(s.t.Context(), p, metav1.UpdateOptions{})
	s.must(err)
}

// cpu is what a pod's container asks for: request and limit.
func (s *shop) cpu(pod string) string {
	s.t.Helper()
	p, err := s.client.CoreV1().Pods(s.namespace).Get(s.t.Context(), pod, metav1.GetOptions{})
	s.must(err)
	r := p.Spec.Containers[0].Resources
	return r.Requests.Cpu().String() + "/" + r.Limits.Cpu().String()
}

func (s *shop) replicas(deployment string) int {
	s.t.Helper()
	d, err := s.client.AppsV1().Deployments(s.namespace).Get(s.t.Context(), deployment, metav1.GetOptions{})
	s.must(err)
	return int(*d.Spec.Replicas)
}

// open watches some of its Deployments, each a service with generous bounds.
func (s *shop) open(names ...string) *kube.Cluster {
	s.t.Helper()
	app := &foresail.App{Name: s.namespace}
	spec := kube.Spec{App: app}
	for _, n := range names {
		app.Services = append(app.Services, foresail.Service{Name: n, Initial: foresail.Allocation{Replicas: 1, CPU: 0.1},
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 20, MinCPU: 0.01, MaxCPU: 8}})
		spec.Workloads = append(spec.Workloads, kube.Workload{Ref: kube.Ref{Namespace: s.namespace, Kind: kube.Deployment, Name: n}})
	}
	return s.watch(spec)
}

func (s *shop) watch(spec kube.Spec) *kube.Cluster {
	s.t.Helper()
	c, err := kube.Open(s.t.Context(), kube.Config{Client: s.client, Spec: spec, Every: 50 * time.Millisecond})
	s.must(err)
	s.t.Cleanup(c.Close)
	return c
}

// plan of one allocation for each service.
func plan(as ...foresail.Allocation) *foresail.Plan {
	p := &foresail.Plan{}
	for i, a := range as {
		p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i), To: a})
	}
	return p
}

// until polls until what is asked for holds, and reconciles in between; the deadline is a failure.
func (s *shop) until(c *kube.Cluster, what string, holds func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within 20 s: %s (%+v)", what, c.State())
		}
		if err := c.Reconcile(context.Background()); err != nil {
			s.t.Log(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// server has one node, on which no kubelet runs.
func server(t *testing.T) *rest.Config { return node(t, 500) }

// node is a server with a node that takes some pods.
func node(t testing.TB, pods int64) *rest.Config {
	t.Helper()
	cfg := kubetest.Server(t)
	has := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64"), corev1.ResourceMemory: resource.MustParse("64Gi"), corev1.ResourcePods: *resource.NewQuantity(pods, resource.DecimalSI)}
	nodes := kubernetes.NewForConfigOrDie(cfg).CoreV1().Nodes()
	n, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n.Status.Capacity, n.Status.Allocatable = has, has
	if _, err := nodes.UpdateStatus(t.Context(), n, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return cfg
}
