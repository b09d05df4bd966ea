package kube_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
)

// Whatever a resource of a schema that is older, newer or missing holds, it is refused or becomes something that holds together.
//
// It is no fuzz target: those build every package with counters, and Kubernetes' are many. Lines are exchanged, dropped and cut at random.
func TestWhateverAResourceHolds(t *testing.T) {
	lines := strings.SplitAfter(shopText+"  freezeWindows:\n    - {from: \"2026-11-27T00:00:00Z\", to: \"2026-11-30T00:00:00Z\"}\n    - {schedule: \"0 22 * * 5\", duration: 4h, timeZone: Europe/Berlin}\n", "\n")
	odd := []string{"-1", "1e9", "1e-9", "null", "{}", "[]", "\"\"", "NaN", "99999999999999999999", "p99 < 0s", "p0.0001 < 1s", "@every 1ns", "1000000h", "Nor", "Auto", "\u00e9", "front", "2", "100m"}
	rapid.Check(t, func(r *rapid.T) {
		text := slices.Clone(lines)
		for range rapid.IntRange(0, 4).Draw(r, "changes") {
			i := rapid.IntRange(2, len(text)-1).Draw(r, "line")
			switch rapid.IntRange(0, 2).Draw(r, "how") {
			case 0:
				text[i] = ""
			case 1:
				text[i] = text[rapid.IntRange(2, len(text)-1).Draw(r, "other")]
			default: // a value
				if at := strings.Index(text[i], ": "); at > 0 {
					end := strings.IndexAny(text[i][at+2:], ",}\n")
					text[i] = text[i][:at+2] + rapid.SampledFrom(odd).Draw(r, "odd") + text[i][at+2+max(end, 0):]
				}
			}
		}
		holds(r, []byte(strings.Join(text, "")))
	})
	for _, text := range []string{
		"spec:\n  workloads: [{service: a, target: {name: b}, bounds: {cpu: {min: 1e9, max: -1}}}]\n",
		"spec:\n  mode: Auto\n  workloads: [{service: a, selector: {matchExpressions: [{key: x, operator: Nor}]}}]\n  freezeWindows: [{schedule: '@every 1ns', duration: 1000000h}]\n",
	} {
		holds(t, []byte(text))
	}
}

func holds(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, text []byte) {
	var a v1alpha1.Application
	if yaml.Unmarshal(text, &a) != nil {
		return
	}
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	held, _ := kube.Held(&a, now)
	if len(held) != len(a.Spec.Workloads) {
		t.Fatalf("%d of %d workloads", len(held), len(a.Spec.Workloads))
	}
	spec, err := kube.FromApplication(&a, shelf{})
	if err != nil {
		return
	}
	if err := spec.Check(); err != nil {
		t.Fatal(err)
	}
	for _, s := range spec.App.Services {
		b := s.Bounds
		if b.MinReplicas > b.MaxReplicas || b.MinCPU > b.MaxCPU || b.MinMemory > b.MaxMemory && b.MaxMemory > 0 {
			t.Fatalf("%+v", b)
		}
		if got, why := b.Clamp(s.Initial); !got.Equal(s.Initial) {
			t.Fatalf("%+v lies outside of %+v: %s", s.Initial, b, why)
		}
	}
	for _, e := range spec.App.Endpoints {
		if int(e.Entry) >= len(spec.App.Services) || e.Objective != nil && (e.Objective.Latency <= 0 || e.Objective.Allowed() <= 0) {
			t.Fatalf("%+v", e)
		}
	}
}
