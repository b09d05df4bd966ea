package plugin_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/cmd/foresail/plugin"
	"foresail.dev/internal/kubetest"
)

// What a person sees of an Application that an operator has written status of, and of one that nobody has looked at.
func TestPlugin(t *testing.T) {
	cfg := kubetest.Server(t)
	kubeconfig := kubetest.Kubeconfig(t, cfg, "default")
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) (string, error) {
		var out bytes.Buffer
		p := plugin.New()
		p.SilenceErrors, p.SilenceUsage = true, true
		p.SetOut(&out)
		p.SetErr(&out)
		p.SetArgs(append([]string{"--kubeconfig", kubeconfig}, args...))
		err := p.ExecuteContext(t.Context())
		return out.String(), err
	}
	says := func(wants []string, args ...string) {
		t.Helper()
		out, err := run(args...)
		for _, w := range wants {
			if err != nil || !strings.Contains(out, w) {
				t.Errorf("%v: no word of %q (%v) in\n%s", args, w, err, out)
			}
		}
	}
	says([]string{"there are no Applications in namespace default"}, "status")
	create := func(text string) *v1alpha1.Application {
		t.Helper()
		var a v1alpha1.Application
		if err := yaml.UnmarshalStrict([]byte(text), &a); err != nil {
			t.Fatal(err)
		}
		if err := c.Create(t.Context(), &a); err != nil {
			t.Fatal(err)
		}
		return &a
	}
	shop := create(`
metadata: {name: shop, namespace: default}
spec:
  mode: Recommend
  workloads:
    - {service: cart, target: {name: cart}, container: server}
    - {service: user, selector: {matchLabels: {app: user}}}
  endpoints: [{name: index, service: cart, objective: p99 < 100ms}]
`)
	no := false
	shop.Status = v1alpha1.ApplicationStatus{
		Cores: v1alpha1.Cores{Allocated: "1.2", Used: "0.4", Recommended: "0.9"},
		Conditions: []metav1.Condition{
			{Type: v1alpha1.Ready, Status: metav1.ConditionTrue, Reason: "Recommending", LastTransitionTime: metav1.Now()},
			{Type: v1alpha1.ObjectivesMet, Status: metav1.ConditionFalse, Reason: "Missed", Message: "index: 3.0 % of its requests in the last minute failed or took longer than 100ms", LastTransitionTime: metav1.Now()}},
		Recommendations: []v1alpha1.Recommendation{
			{Service: "cart", Now: v1alpha1.Size{Replicas: 2, CPU: "400m"}, Target: &v1alpha1.Size{Replicas: 3, CPU: "250m"}, Reason: "CPU at 80 %", Held: "mode is Recommend"},
			{Service: "user", Now: v1alpha1.Size{Replicas: 1, CPU: "400m"}, Target: &v1alpha1.Size{Replicas: 1, CPU: "150m"}}},
		Endpoints: []v1alpha1.EndpointStatus{{Name: "index", Objective: "p99 < 100ms", Latency: "212ms", Met: &no}},
		Decisions: []v1alpha1.Decision{{At: metav1.NewTime(time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)), Manager: "guard(hpa)", Changes: []string{"cart: more"}}},
	}
	if err := c.Status().Update(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	create("metadata: {name: new, namespace: default}\nspec: {workloads: [{service: cart, target: {name: cart}}]}\n")

	says([]string{"default/shop", "Recommend", "yes: Recommending", "no: Missed", "0.9", "3.0 % of its requests", "default/new", "is the operator running?"}, "status")
	says([]string{"cart has 2 replicas of 400m, and should have 3 replicas of 250m: CPU at 80 % (left as it is: mode is Recommend)", "index missed p99 < 100ms in the last minute, at 212ms", "2026-11-28T12:00:00Z guard(hpa)"}, "explain", "shop")
	if out, err := run("explain", "shop", "user"); err != nil || strings.Contains(out, "cart has") {
		t.Errorf("%v %s", err, out)
	}
	out, err := run("recommend", "shop")
	if err == nil || !strings.Contains(err.Error(), "user: name its workload in target") {
		t.Errorf("%v", err)
	}
	for _, w := range []string{"kind: Deployment", "name: cart", "replicas: 3", "cpu: 250m", "name: server"} {
		if !strings.Contains(out, w) {
			t.Errorf("no word of %q in\n%s", w, out)
		}
	}
	paused := func() bool {
		var a v1alpha1.Application
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(shop), &a); err != nil {
			t.Fatal(err)
		}
		return a.Spec.Paused
	}
	says([]string{"default/shop is paused"}, "pause", "shop")
	if !paused() {
		t.Error("it is not")
	}
	says([]string{"Recommend (paused)"}, "status", "shop")
	says([]string{"default/shop is resumed"}, "resume", "shop")
	if paused() {
		t.Error("it still is")
	}
	if _, err := run("explain", "nothing"); err == nil || !strings.Contains(err.Error(), "default/nothing") {
		t.Errorf("%v", err)
	}
}
