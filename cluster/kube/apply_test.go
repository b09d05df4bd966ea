package kube_test

import (
	"errors"
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foresail.dev"
	"foresail.dev/cluster/kube"
)

// What a plan says is written to a real API server, in place and in an order that never leaves a service with less than it has
// now before it has what replaces it.
func TestApply(t *testing.T) {
	cfg := server(t)

	t.Run("grows at once", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 2, resources("100m", "200m"))
		c := s.open("cart")
		if st := c.State()[0]; st.Ready != 2 || st.Replicas != 2 || st.Allocation.CPU != 0.2 || st.Limits != kube.LimitsBoth {
			t.Errorf("%+v", st)
		}
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 3, CPU: 0.5})))
		if n := s.replicas("cart"); n != 3 {
			t.Errorf("%d replicas", n)
		}
		for _, p := range []string{"cart-0", "cart-1"} {
			if got := s.cpu(p); got != "250m/500m" { // the request keeps its half
				t.Errorf("%s has %s", p, got)
			}
		}
	})

	t.Run("writes nothing where nothing differs", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 2, resources("100m", "200m"))
		c := s.open("cart")
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 2, CPU: 0.2})))
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 2, CPU: 0.4})))
		s.until(c, "0.4 cores are seen", func() bool { return c.State()[0].Allocation.CPU == 0.4 })
		first := c.Writes()
		if first.Scales != 0 || first.Resizes != 2 {
			t.Errorf("%+v", first)
		}
		for range 3 {
			s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 2, CPU: 0.4})))
			s.must(c.Reconcile(t.Context()))
		}
		if w := c.Writes(); w != first {
			t.Errorf("%+v after %+v", w, first)
		}
	})

	t.Run("shrinks CPU when the new replicas are ready", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 1, resources("", "400m"))
		c := s.open("cart")
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 2, CPU: 0.2})))
		if n, cpu := s.replicas("cart"), s.cpu("cart-0"); n != 2 || cpu != "400m/400m" {
			t.Errorf("%d replicas, %s", n, cpu)
		}
		s.pod("cart", 1, resources("", "400m"), false)
		s.until(c, "the new pod is seen", func() bool { return !strings.Contains(s.cpu("cart-1"), "x") && c.State()[0].Ready == 1 })
		if cpu := s.cpu("cart-0"); cpu != "400m/400m" {
			t.Errorf("shrunk to %s before the other is ready", cpu)
		}
		s.status("cart-1", true)
		s.until(c, "both are shrunk", func() bool { return s.cpu("cart-0") == "200m/200m" && s.cpu("cart-1") == "200m/200m" })
	})

	t.Run("lets replicas go when the others have grown", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 2, resources("", "200m"))
		c := s.open("cart")
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 1, CPU: 0.4})))
		if n, cpu := s.replicas("cart"), s.cpu("cart-0"); n != 2 || cpu != "400m/400m" {
			t.Errorf("%d replicas, %s", n, cpu)
		}
		s.until(c, "one replica", func() bool { return s.replicas("cart") == 1 })
	})

	t.Run("manages pods without CPU limits by requests", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 1, resources("100m", ""))
		c := s.open("cart")
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 1, CPU: 0.3})))
		if got := s.cpu("cart-0"); got != "300m/0" {
			t.Errorf("has %s", got)
		}
		if st := c.State()[0]; st.Limits != kube.LimitsRequests {
			t.Errorf("%+v", st)
		}
	})

	t.Run("keeps the quality-of-service class", func(t *testing.T) {
		s := newShop(t, cfg)
		guaranteed := resources("100m", "100m")
		guaranteed.Requests[corev1.ResourceMemory], guaranteed.Limits[corev1.ResourceMemory] = resource.MustParse("64Mi"), resource.MustParse("64Mi")
		s.deployment("cart", 1, guaranteed)
		burstable := resources("99m", "100m")
		burstable.Requests[corev1.ResourceMemory], burstable.Limits[corev1.ResourceMemory] = resource.MustParse("64Mi"), resource.MustParse("64Mi")
		s.deployment("user", 1, burstable)
		c := s.open("cart", "user")
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 1, CPU: 0.25}, foresail.Allocation{Replicas: 1, CPU: 0.02})))
		if got := s.cpu("cart-0"); got != "250m/250m" {
			t.Errorf("cart has %s", got)
		}
		if got := s.cpu("user-0"); got != "19m/20m" {
			t.Errorf("user has %s", got)
		}
	})

	t.Run("says which service failed, and does the others", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 1, resources("", "100m"))
		s.deployment("user", 1, resources("", "100m"))
		_, err := s.client.CoreV1().LimitRanges(s.namespace).Create(t.Context(), &corev1.LimitRange{ObjectMeta: metav1.ObjectMeta{Name: "small"},
			Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: resources("1", "").Requests}}}}, metav1.CreateOptions{})
		s.must(err)
		c := s.open("cart", "user")
		var failed *foresail.ApplyError
		s.until(c, "the API server knows of the LimitRange", func() bool { // its plugin reads it from a cache
			return errors.As(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 1, CPU: 4}, foresail.Allocation{Replicas: 1, CPU: 0.2})), &failed)
		})
		if len(failed.Failed) != 1 || !strings.Contains(failed.Failed[0].Error(), "maximum cpu usage per Container is 1") {
			t.Errorf("%v", failed)
		}
		if got := s.cpu("user-0"); got != "200m/200m" {
			t.Errorf("user has %s", got)
		}
	})

	t.Run("tells of a resize that its node can't give", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 1, resources("", "100m"))
		s.status("cart-0", true, corev1.PodCondition{Type: corev1.PodResizePending, Status: corev1.ConditionTrue, Reason: corev1.PodReasonInfeasible, Message: "the node has 2 cores"})
		c := s.open("cart")
		err := c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 1, CPU: 0.2}))
		if err == nil || !strings.Contains(err.Error(), "the node has 2 cores") {
			t.Errorf("%v", err)
		}
		if st := c.State()[0]; len(st.Waiting) != 1 || !strings.Contains(st.Waiting[0], "infeasible") {
			t.Errorf("%+v", st)
		}
	})

	t.Run("steers an autoscaler by its minimum", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 2, resources("", "100m"))
		two := int32(2)
		scalers := s.client.AutoscalingV2().HorizontalPodAutoscalers(s.namespace)
		_, err := scalers.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{ObjectMeta: metav1.ObjectMeta{Name: "cart"},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &two, MaxReplicas: 5, ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "cart"}}}, metav1.CreateOptions{})
		s.must(err)
		c := s.open("cart")
		least := func() int32 {
			h, err := scalers.Get(t.Context(), "cart", metav1.GetOptions{})
			s.must(err)
			return *h.Spec.MinReplicas
		}
		for _, step := range []struct {
			replicas int
			want     int32
		}{{4, 4}, {9, 5}, {3, 3}, {1, 2}} { // at most its maximum, at least what its owner said
			s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: step.replicas, CPU: 0.1})))
			s.until(c, "the minimum is written", func() bool { return least() == step.want })
		}
		if n := s.replicas("cart"); n != 2 {
			t.Errorf("the workload itself was scaled to %d", n)
		}
	})

	t.Run("leaves alone what is held, and what is gone is no zero", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 1, resources("", "100m"))
		ref := kube.Ref{Namespace: s.namespace, Kind: kube.Deployment, Name: "cart"}
		app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "cart", Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 9, MinCPU: 0.01, MaxCPU: 8}}}}
		c := s.watch(kube.Spec{App: app, Workloads: []kube.Workload{{Ref: ref, Hold: "a freeze window"}}})
		s.must(c.Apply(t.Context(), plan(foresail.Allocation{Replicas: 3, CPU: 2})))
		if n, cpu := s.replicas("cart"), s.cpu("cart-0"); n != 1 || cpu != "100m/100m" {
			t.Errorf("%d replicas, %s", n, cpu)
		}
		s.must(s.client.AppsV1().Deployments(s.namespace).Delete(t.Context(), "cart", metav1.DeleteOptions{}))
		s.until(c, "it is gone", func() bool { return !c.State()[0].Found })
		snap, err := c.Next(t.Context())
		s.must(err)
		if snap.Services[0].Has.Has(foresail.SignalReady) || snap.Services[0].Has.Has(foresail.SignalAllocation) {
			t.Errorf("%+v", snap.Services[0])
		}
	})

	t.Run("finds what there is", func(t *testing.T) {
		s := newShop(t, cfg)
		s.deployment("cart", 2, resources("100m", "200m"))
		s.deployment("none", 0, resources("100m", "200m"))
		s.deployment("free", 1, resources("", ""))
		spec, notes, err := kube.Discover(t.Context(), s.client, kube.Discovery{Namespace: s.namespace})
		s.must(err)
		if err := spec.Check(); err != nil || len(spec.Workloads) != 2 || len(notes) != 2 {
			t.Errorf("%v %+v %q", err, spec.Workloads, notes)
		}
		if b := spec.App.Services[0].Bounds; b.MaxReplicas != 8 || b.MaxCPU != 0.8 || b.MinCPU != 0.05 {
			t.Errorf("%+v", b)
		}
		if _, _, err := kube.Discover(t.Context(), s.client, kube.Discovery{Namespace: "nowhere"}); err == nil {
			t.Error("an empty namespace was taken")
		}
	})
}
