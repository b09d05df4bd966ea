package v1alpha1_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/internal/kubetest"
)

// good is an application that every rule accepts.
const good = `
apiVersion: foresail.dev/v1alpha1
kind: Application
metadata: {name: shop, namespace: default}
spec:
  mode: Recommend
  workloads:
    - service: frontend
      target: {name: frontend}
      bounds: {replicas: {min: 1, max: 8}, cpu: {min: 100m, max: "2"}, memory: {min: 64Mi, max: 1Gi}}
    - service: cart
      selector: {matchLabels: {app: cart}}
      mode: Observe
      limits: Requests
  endpoints:
    - {name: index, service: frontend, operation: GET /, objective: p99 < 300ms, window: 5s}
    - {name: checkout, service: frontend, objective: "p99.9<1.5s"}
  telemetry: {prometheus: {url: "http://prometheus.monitoring:9090", every: 5s}}
  manager: {name: autothrottle, settings: {slo_factor: "0.9"}}
  freezeWindows:
    - {from: "2026-11-27T00:00:00Z", to: "2026-11-30T00:00:00Z", reason: sale}
    - {schedule: "0 22 * * 5", duration: 4h, timeZone: Europe/Berlin}
`

func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	cfg := kubetest.Server(t)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cfg, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	create := func(text string) error {
		var app v1alpha1.Application
		if err := yaml.UnmarshalStrict([]byte(text), &app); err != nil {
			return err
		}
		return client.NewDryRunClient(c).Create(context.Background(), &app)
	}
	if err := create(good); err != nil {
		t.Fatalf("a good one: %v", err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"no workloads":             {good[strings.Index(good, "  workloads:"):strings.Index(good, "  endpoints:")], "  workloads: []\n", "should have at least 1"},
		"a mode that is none":      {"mode: Recommend", "mode: Full", "Unsupported value"},
		"a service twice":          {"service: cart", "service: frontend", "Duplicate value"},
		"an unknown entry service": {"{name: index, service: frontend", "{name: index, service: front", "must be one of the workloads"},
		"no target":                {"selector: {matchLabels: {app: cart}}", "container: x", "exactly one"},
		"target and selector":      {"target: {name: frontend}", "target: {name: frontend}\n      selector: {}", "exactly one"},
		"replicas upside down":     {"min: 1, max: 8", "min: 9, max: 8", "above replicas.max"},
		"CPU upside down":          {"min: 100m, max: \"2\"", "min: \"3\", max: \"2\"", "above cpu.max"},
		"memory upside down":       {"min: 64Mi, max: 1Gi", "min: 2Gi, max: 1Gi", "above memory.max"},
		"an objective of p0":       {"p99 < 300ms", "p0 < 300ms", "should match"},
		"an objective of p100":     {"p99 < 300ms", "p100 < 300ms", "should match"},
		"a bound without a unit":   {"p99 < 300ms", "p99 < 300", "should match"},
		"no address":               {"http://prometheus.monitoring:9090", "prometheus:9090", "must begin with http"},
		"a manager without model":  {"name: autothrottle, settings: {slo_factor: \"0.9\"}", "name: sinan", "with a model"},
		"a window upside down":     {"to: \"2026-11-30T00:00:00Z\"", "to: \"2026-11-20T00:00:00Z\"", "not before"},
		"a window of both kinds":   {"duration: 4h", "duration: 4h, from: \"2026-11-27T00:00:00Z\"", "a freeze window is"},
		"a window without length":  {", duration: 4h", "", "a freeze window is"},
	} {
		if !strings.Contains(good, c.old) {
			t.Fatalf("%s: %q is not in the good one", name, c.old)
		}
		err := create(strings.Replace(good, c.old, c.new, 1))
		if err == nil {
			err = errors.New("it was taken")
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, and not %q", name, err, c.want)
		}
	}
}
