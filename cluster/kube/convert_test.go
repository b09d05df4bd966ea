package kube_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
)

// shelf has every workload but "gone", and one that the label app=cart finds.
type shelf struct{}

func (shelf) Find(namespace string, by labels.Selector) (kube.Ref, error) {
	if by.Matches(labels.Set{"app": "cart"}) {
		return kube.Ref{Namespace: namespace, Kind: kube.StatefulSet, Name: "cart"}, nil
	}
	return kube.Ref{}, errors.New("no workload has these labels")
}

func (shelf) Has(w kube.Workload) (foresail.Allocation, bool) {
	return foresail.Allocation{Replicas: 3, CPU: 0.5, Memory: 1 << 28}, w.Name != "gone"
}

const shopText = `
metadata: {name: shop, namespace: default, generation: 4}
spec:
  mode: Auto
  workloads:
    - {service: front, target: {name: frontend}, bounds: {replicas: {min: 1, max: 8}, cpu: {min: 100m, max: "2"}, memory: {min: 64Mi, max: 1Gi}}}
    - {service: cart, selector: {matchLabels: {app: cart}}, mode: Observe, limits: Requests, autoscaler: Refuse, container: server}
  endpoints:
    - {name: index, service: front, operation: GET /, objective: p99.9 < 1.5s, window: 5s, minRequests: 20}
    - {name: list, service: cart}
`

func application(t *testing.T, text string) *v1alpha1.Application {
	t.Helper()
	var a v1alpha1.Application
	if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	return &a
}

func TestAnApplicationBecomesWhatIsManaged(t *testing.T) {
	spec, err := kube.FromApplication(application(t, shopText), shelf{})
	if err != nil {
		t.Fatal(err)
	}
	front, cart := spec.App.Services[0], spec.App.Services[1]
	if front.Bounds.MaxReplicas != 8 || front.Bounds.MinCPU != 0.1 || front.Bounds.MaxCPU != 2 || front.Bounds.MaxMemory != 1<<30 || front.Initial.Memory != 1<<28 {
		t.Errorf("front: %+v", front)
	}
	if b := cart.Bounds; b.MinReplicas != 3 || b.MaxReplicas != 3 || b.MinCPU != 0.5 || b.MaxCPU != 0.5 || b.MaxMemory != 0 || cart.Initial.Memory != 0 {
		t.Errorf("cart, which has no bounds, may move: %+v", cart)
	}
	if w := spec.Workloads[1]; w.Ref.String() != "StatefulSet default/cart" || w.Limits != kube.LimitsRequests || w.Autoscaler != kube.Refuse || w.Container != "server" {
		t.Errorf("%+v", w)
	}
	if e := spec.App.Endpoints[0]; e.Entry != 0 || e.Operation != "GET /" || e.Objective.String() != "p99.9 < 1.5s" || e.Objective.Window != 5*time.Second || e.Objective.MinRequests != 20 {
		t.Errorf("%+v", e)
	}
	if e := spec.App.Endpoints[1]; e.Entry != 1 || e.Operation != "list" || e.Objective != nil {
		t.Errorf("%+v", e)
	}
}

func TestEveryFaultOfAnApplicationIsTold(t *testing.T) {
	text := strings.NewReplacer("name: frontend", "name: gone", "app: cart", "app: none", "p99.9 < 1.5s", "p99 < 0s", "service: cart}", "service: cars}").Replace(shopText)
	_, err := kube.FromApplication(application(t, text), shelf{})
	for _, want := range []string{"workloads[front]: there is no Deployment default/gone", "workloads[cart]: no workload has these labels", "endpoints[index]: objective", "endpoints[list]: \"cars\" is none"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in %v", want, err)
		}
	}
	twice := strings.Replace(shopText, "selector: {matchLabels: {app: cart}}", "target: {name: frontend}", 1)
	if _, err := kube.FromApplication(application(t, twice), shelf{}); err == nil || !strings.Contains(err.Error(), "one owner") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsHeld(t *testing.T) {
	friday := time.Date(2026, 11, 27, 21, 30, 0, 0, time.UTC) // 22:30 in Berlin
	at := func(text string) *metav1.Time {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return &metav1.Time{Time: v}
	}
	sale := v1alpha1.FreezeWindow{From: at("2026-11-27T00:00:00Z"), To: at("2026-11-30T00:00:00Z"), Reason: "sale"}
	weekly := v1alpha1.FreezeWindow{Schedule: "0 22 * * 5", Duration: &metav1.Duration{Duration: time.Hour}, TimeZone: "Europe/Berlin"}
	broken := v1alpha1.FreezeWindow{Schedule: "0 99 * * 5", Duration: &metav1.Duration{Duration: time.Hour}}
	for name, c := range map[string]struct {
		change      func(*v1alpha1.ApplicationSpec)
		now         time.Time
		front, cart string
	}{
		"auto, but for one":                 {func(*v1alpha1.ApplicationSpec) {}, friday, "", "its own mode is Observe"},
		"no further than the whole":         {func(s *v1alpha1.ApplicationSpec) { s.Mode = v1alpha1.Recommend; s.Workloads[0].Mode = v1alpha1.Auto }, friday, "mode is Recommend", "its own mode is Observe"},
		"no mode":                           {func(s *v1alpha1.ApplicationSpec) { s.Mode = "" }, friday, "mode is Observe", "mode is Observe"},
		"paused":                            {func(s *v1alpha1.ApplicationSpec) { s.Paused = true }, friday, "the application is paused", "its own mode is Observe"},
		"once":                              {func(s *v1alpha1.ApplicationSpec) { s.FreezeWindows = append(s.FreezeWindows, sale) }, friday, "a freeze window (sale) until 2026-11-30T00:00:00Z", "its own mode is Observe"},
		"again and again":                   {func(s *v1alpha1.ApplicationSpec) { s.FreezeWindows = append(s.FreezeWindows, weekly) }, friday, "a freeze window until 2026-11-27T22:00:00Z", "its own mode is Observe"},
		"over":                              {func(s *v1alpha1.ApplicationSpec) { s.FreezeWindows = append(s.FreezeWindows, weekly) }, friday.Add(30 * time.Minute), "", "its own mode is Observe"},
		"one that can't be read may be now": {func(s *v1alpha1.ApplicationSpec) { s.FreezeWindows = append(s.FreezeWindows, broken) }, friday, "freezeWindows[0]: schedule", "its own mode is Observe"},
	} {
		a := application(t, shopText)
		c.change(&a.Spec)
		held, _ := kube.Held(a, c.now)
		if !strings.HasPrefix(held[0], c.front) || c.front == "" && held[0] != "" || held[1] != c.cart {
			t.Errorf("%s: %q", name, held)
		}
	}
}
