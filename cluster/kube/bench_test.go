package kube_test

import (
	"fmt"
	"net/http"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"foresail.dev"
	"foresail.dev/cluster/kube"
)

// counted counts requests to the API server.
type counted struct {
	http.RoundTripper
	n *atomic.Int64
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.RoundTripper.RoundTrip(r)
}

// BenchmarkCycle1000 is a cycle over 1,000 workloads with 10,000 pods in which nothing has to change: what Kubernetes knows is added
// to a snapshot, and a plan is stated. It takes a minute or two to make them.
//
//	go test -run '^$' -bench Cycle1000 -benchtime 20x ./cluster/kube
func BenchmarkCycle1000(b *testing.B) {
	const workloads, pods = 1000, 10
	cfg := node(b, 100_000)
	client := kubernetes.NewForConfigOrDie(cfg)
	res := resources("100m", "200m")
	yes, replicas := true, int32(pods)
	var g errgroup.Group
	g.SetLimit(32)
	app := &foresail.App{Name: "large"}
	spec := kube.Spec{App: app}
	p := &foresail.Plan{}
	for i := range workloads {
		name := fmt.Sprintf("s%04d", i)
		app.Services = append(app.Services, foresail.Service{Name: name, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 20, MinCPU: 0.01, MaxCPU: 8}})
		spec.Workloads = append(spec.Workloads, kube.Workload{Ref: kube.Ref{Namespace: "default", Kind: kube.Deployment, Name: name}})
		p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i), To: foresail.Allocation{Replicas: pods, CPU: 0.2}})
		g.Go(func() error {
			_, err := client.AppsV1().Deployments("default").Create(b.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: appsv1.DeploymentSpec{Replicas: &replicas, Template: template(name, res), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}}}, metav1.CreateOptions{})
			return err
		})
		for j := range pods {
			g.Go(func() error {
				pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("%s-%d", name, j), Labels: map[string]string{"app": name, "pod-template-hash": "5d8f"},
					OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: name + "-5d8f", UID: "1", Controller: &yes}}}, Spec: template(name, res).Spec}
				pod.Spec.NodeName = "node"
				pod, err := client.CoreV1().Pods("default").Create(b.Context(), pod, metav1.CreateOptions{})
				if err != nil {
					return err
				}
				pod.Status.Phase = corev1.PodRunning
				pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
				_, err = client.CoreV1().Pods("default").UpdateStatus(b.Context(), pod, metav1.UpdateOptions{})
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
	var requests atomic.Int64
	counting := rest.CopyConfig(cfg)
	counting.Wrap(func(rt http.RoundTripper) http.RoundTripper { return counted{rt, &requests} })
	before := heap()
	c, err := kube.Open(b.Context(), kube.Config{Client: kubernetes.NewForConfigOrDie(counting), Spec: spec, Every: time.Millisecond})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	held, opening := heap()-before, requests.Load()
	requests.Store(0)
	cpu := processor()
	for b.Loop() {
		s, err := c.Next(b.Context())
		if err != nil || s.Services[workloads-1].Ready != pods {
			b.Fatal(err, s)
		}
		if err := c.Apply(b.Context(), p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processor()-cpu).Microseconds())/1000/float64(b.N), "cpu_ms/op")
	b.ReportMetric(float64(requests.Load())/float64(b.N), "requests/op")
	b.ReportMetric(float64(opening), "requests_to_open")
	b.ReportMetric(float64(held)/(1<<20), "watched_MiB")
	if w := c.Writes(); w != (kube.Writes{}) {
		b.Errorf("nothing differs, and %+v", w)
	}
}

// heap is what is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// processor is the time that this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
