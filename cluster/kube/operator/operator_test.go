package operator_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/operator"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/internal/kubetest"
	"foresail.dev/sketch"
)

// site is a namespace of a real API server, with Deployments and no pods.
type site struct {
	t         *testing.T
	cfg       *rest.Config
	kube      kubernetes.Interface
	client    client.Client
	namespace string
	lease     string                      // namespace of the lease; empty: the same
	source    func(kube.Spec) kube.Source // nil: beats
}

func newSite(t *testing.T, cfg *rest.Config, namespace string, deployments ...string) *site {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, cfg: cfg, kube: kubernetes.NewForConfigOrDie(cfg), client: c, namespace: namespace}
	_, err = s.kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	s.must(err)
	for _, d := range deployments {
		s.deploy(d)
	}
	return s
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) deploy(name string) {
	s.t.Helper()
	one, labels := int32(1), map[string]string{"app": name}
	_, err := s.kube.AppsV1().Deployments(s.namespace).Create(s.t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
			Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}}}, metav1.CreateOptions{})
	s.must(err)
}

// create makes an Application of some workloads that may have one to nine replicas.
func (s *site) create(name string, mode v1alpha1.Mode, workloads ...string) {
	s.t.Helper()
	var b strings.Builder
	for _, w := range workloads {
		b.WriteString("  - {service: " + w + ", target: {name: " + w + "}, bounds: {replicas: {min: 1, max: 9}}}\n")
	}
	var a v1alpha1.Application
	s.must(yaml.UnmarshalStrict([]byte("metadata: {name: "+name+", namespace: "+s.namespace+"}\nspec:\n  mode: "+string(mode)+"\n  endpoints: [{name: index, service: "+workloads[0]+", objective: p99 < 100ms}]\n  workloads:\n"+b.String()), &a))
	s.must(s.client.Create(s.t.Context(), &a))
}

func (s *site) get(name string) *v1alpha1.Application {
	s.t.Helper()
	var a v1alpha1.Application
	s.must(s.client.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, &a))
	return &a
}

// edit changes a resource, again where its status was written in between.
func (s *site) edit(name string, change func(*v1alpha1.Application)) {
	s.t.Helper()
	s.must(retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		a := s.get(name)
		change(a)
		return s.client.Update(s.t.Context(), a)
	}))
}

func (s *site) replicas(name string) int {
	s.t.Helper()
	d, err := s.kube.AppsV1().Deployments(s.namespace).Get(s.t.Context(), name, metav1.GetOptions{})
	s.must(err)
	return int(*d.Spec.Replicas)
}

// condition reads like "True Managed".
func (s *site) condition(name, kind string) string {
	s.t.Helper()
	c := meta.FindStatusCondition(s.get(name).Status.Conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func (s *site) until(limit time.Duration, what string, holds func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(limit); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// wants decides that every service should have some replicas.
type wants struct{ replicas *atomic.Int64 }

func (w wants) Name() string { return "wants" }

func (w wants) Needs() foresail.Needs { return foresail.Needs{Every: 50 * time.Millisecond} }

func (w wants) Decide(h *foresail.History) (*foresail.Plan, error) {
	p := &foresail.Plan{At: h.Now(), Manager: "wants"}
	for i := range h.App().Services {
		p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i), To: foresail.Allocation{Replicas: int(w.replicas.Load())}, Reason: foresail.Reason{Rule: "wants", Text: "a test says so"}})
	}
	return p, nil
}

// beats tells every 50 ms of a service that uses half a core and of an endpoint with one late request in ten.
type beats struct{ services, endpoints int }

func (b beats) Next(ctx context.Context) (*foresail.Snapshot, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(50 * time.Millisecond):
	}
	now := time.Now()
	s := &foresail.Snapshot{Start: now.Add(-50 * time.Millisecond), End: now, Services: make([]foresail.ServiceStats, b.services), Endpoints: make([]foresail.EndpointStats, b.endpoints), Has: foresail.SignalEndpoints}
	for i := range s.Services {
		s.Services[i].Has, s.Services[i].CPU = foresail.SignalCPU, 0.025
	}
	for i := range s.Endpoints {
		l := sketch.New()
		l.AddN(0.01, 9)
		l.AddN(0.2, 1)
		s.Endpoints[i] = foresail.EndpointStats{Arrivals: 10, Requests: 10, Late: 1, Latency: l}
	}
	return s, nil
}

// operate runs an operator until the test ends, or until stop.
func (s *site) operate(cfg *rest.Config, identity string, replicas *atomic.Int64) (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- operator.Run(ctx, operator.Config{
			Rest: cfg, Namespace: s.namespace, StatusEvery: 100 * time.Millisecond,
			Lease: operator.Lease{Namespace: cmp.Or(s.lease, s.namespace), Identity: identity, Duration: 5 * time.Second},
			Source: func(_ context.Context, a *v1alpha1.Application, spec kube.Spec) (kube.Source, error) {
				if s.source != nil {
					return s.source(spec), nil
				}
				return beats{len(spec.App.Services), len(spec.App.Endpoints)}, nil
			},
			Manager: func(a *v1alpha1.Application, _ *foresail.App) (foresail.Manager, error) {
				if a.Spec.Manager.Name == "sinan" {
					return nil, errors.New("there is no such model")
				}
				return wants{replicas}, nil
			},
		})
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				s.t.Error(err)
			}
		})
	}
	s.t.Cleanup(stop)
	return stop
}

func want(n int64) *atomic.Int64 {
	var v atomic.Int64
	v.Store(n)
	return &v
}

func TestApplicationsAreManaged(t *testing.T) {
	cfg := kubetest.Server(t)

	t.Run("as their mode says", func(t *testing.T) {
		s := newSite(t, cfg, "modes", "cart", "user")
		s.operate(cfg, "a", want(4))
		s.create("auto", v1alpha1.Auto, "cart")
		s.create("recommend", v1alpha1.Recommend, "user")
		s.until(20*time.Second, "cart has four replicas", func() bool { return s.replicas("cart") == 4 })
		s.until(20*time.Second, "status", func() bool {
			return s.condition("auto", v1alpha1.Ready) == "True Managed" && s.condition("recommend", v1alpha1.Ready) == "True Recommending" &&
				s.condition("auto", v1alpha1.ObjectivesMet) == "False Missed" && s.condition("auto", v1alpha1.TelemetryFresh) == "True Fresh"
		})
		if n := s.replicas("user"); n != 1 {
			t.Errorf("%d replicas of what is only recommended", n)
		}
		s.until(20*time.Second, "a recommendation", func() bool { return s.get("recommend").Status.Recommendations[0].Target != nil })
		r := s.get("recommend").Status.Recommendations[0]
		if r.Target.Replicas != 4 || r.Now.Replicas != 1 || r.Held != "mode is Recommend" || r.Reason == "" {
			t.Errorf("%+v", r)
		}
		e := s.get("auto").Status.Endpoints[0]
		if e.Met == nil || *e.Met || !strings.HasPrefix(e.Latency, "20") {
			t.Errorf("%+v", e)
		}

		// It follows what changes, and lets go of what is deleted.
		s.edit("recommend", func(a *v1alpha1.Application) { a.Spec.Mode = v1alpha1.Auto })
		s.until(20*time.Second, "user has four replicas", func() bool { return s.replicas("user") == 4 })
		s.must(s.client.Delete(t.Context(), s.get("auto")))
		s.must(s.scale("cart", 2))
		s.edit("recommend", func(a *v1alpha1.Application) { a.Spec.Paused = true })
		s.until(20*time.Second, "the pause is told", func() bool { return s.get("recommend").Status.Recommendations[0].Held == "the application is paused" })
		s.must(s.scale("user", 3))
		s.until(20*time.Second, "the hand's change is seen", func() bool { return s.get("recommend").Status.Recommendations[0].Now.Replicas == 3 })
		if c, u := s.replicas("cart"), s.replicas("user"); c != 2 || u != 3 {
			t.Errorf("changed by hand to 2 and 3, and back to %d and %d", c, u)
		}
	})

	t.Run("or say why they are not", func(t *testing.T) {
		s := newSite(t, cfg, "faults", "cart")
		s.create("first", v1alpha1.Auto, "cart")
		time.Sleep(1100 * time.Millisecond) // creation has whole seconds, and the older one owns
		s.create("second", v1alpha1.Auto, "cart")
		s.create("missing", v1alpha1.Auto, "nothing")
		m := &v1alpha1.Application{}
		s.must(yaml.UnmarshalStrict([]byte("metadata: {name: modelless, namespace: faults}\nspec:\n  manager: {name: sinan, model: x}\n  workloads: [{service: user, target: {name: user}}]\n"), m))
		s.must(s.client.Create(t.Context(), m))
		s.deploy("user")
		s.operate(cfg, "a", want(2))
		s.until(20*time.Second, "reasons", func() bool {
			return s.condition("first", v1alpha1.Ready) == "True Managed" && s.condition("second", v1alpha1.Ready) == "False OwnedByAnother" &&
				s.condition("missing", v1alpha1.Ready) == "False Invalid" && s.condition("modelless", v1alpha1.ModelReady) == "False ModelMissing"
		})
		if c := meta.FindStatusCondition(s.get("second").Status.Conditions, v1alpha1.Ready); !strings.Contains(c.Message, "Application faults/first, which is older") {
			t.Error(c.Message)
		}
	})
}

func (s *site) scale(name string, n int32) error {
	d := s.kube.AppsV1().Deployments(s.namespace)
	sc, err := d.GetScale(s.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	sc.Spec.Replicas = n
	_, err = d.UpdateScale(s.t.Context(), name, sc, metav1.UpdateOptions{})
	return err
}

// frozen lets no request through while it is on, as if the process were stopped or cut off.
type frozen struct {
	http.RoundTripper
	on *atomic.Bool
}

func (f frozen) RoundTrip(r *http.Request) (*http.Response, error) {
	for f.on.Load() {
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return f.RoundTripper.RoundTrip(r)
}

// A leader that is cut off loses the right to act before another has it. The other acts within two seconds of the lease's end,
// shrinks nothing at first, and the first, when it is back, changes nothing.
func TestAnotherTakesOver(t *testing.T) {
	cfg := kubetest.Server(t)
	s := newSite(t, cfg, "two", "cart")
	var cut atomic.Bool
	first := rest.CopyConfig(cfg)
	first.Wrap(func(rt http.RoundTripper) http.RoundTripper { return frozen{rt, &cut} })
	one, two := want(4), want(3)
	s.create("shop", v1alpha1.Auto, "cart")
	s.operate(first, "one", one)
	s.until(20*time.Second, "one acts", func() bool { return s.replicas("cart") == 4 })
	s.operate(cfg, "two", two)
	holder := func() string {
		l, err := s.kube.CoordinationV1().Leases(s.namespace).Get(t.Context(), "foresail", metav1.GetOptions{})
		s.must(err)
		return *l.Spec.HolderIdentity
	}
	time.Sleep(300 * time.Millisecond) // six decisions of the stand-by
	if n, h := s.replicas("cart"), holder(); n != 4 || h != "one" {
		t.Fatalf("%d replicas, %s leads", n, h)
	}
	cut.Store(true)
	began := time.Now()
	two.Store(6)
	s.until(15*time.Second, "two acts", func() bool { return s.replicas("cart") == 6 })
	if took := time.Since(began); took > 5*time.Second+2*time.Second {
		t.Errorf("it took %v with a lease of 5 s", took)
	}
	if h := holder(); h != "two" {
		t.Errorf("%s leads", h)
	}
	one.Store(9)
	cut.Store(false)
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if n, h := s.replicas("cart"), holder(); n != 6 || h != "two" {
			t.Fatalf("who had been cut off wrote %d replicas; %s leads", n, h)
		}
	}
}

// Nothing is scaled down by the change of hands: the first plan only grows.
func TestTheFirstPlanOnlyGrows(t *testing.T) {
	cfg := kubetest.Server(t)
	s := newSite(t, cfg, "first", "cart")
	s.must(s.scale("cart", 5))
	s.create("shop", v1alpha1.Auto, "cart")
	var least atomic.Int64
	least.Store(5)
	var writes []int
	w, err := s.kube.AppsV1().Deployments(s.namespace).Watch(t.Context(), metav1.ListOptions{})
	s.must(err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			if d, ok := e.Object.(*appsv1.Deployment); ok && (len(writes) == 0 || writes[len(writes)-1] != int(*d.Spec.Replicas)) {
				writes = append(writes, int(*d.Spec.Replicas))
			}
		}
	}()
	n := want(7)
	s.operate(cfg, "one", n)
	s.until(20*time.Second, "it grows", func() bool { return s.replicas("cart") == 7 })
	n.Store(2)
	s.until(20*time.Second, "it shrinks later", func() bool { return s.replicas("cart") == 2 })
	w.Stop()
	<-done
	if len(writes) != 3 || writes[0] != 5 || writes[1] != 7 || writes[2] != 2 {
		t.Errorf("%v", writes)
	}
}
