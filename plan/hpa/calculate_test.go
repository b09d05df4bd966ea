package hpa

import (
	"testing"

	"foresail.dev/plan/plantest"
)

// Each case names what upstream's replica calculator does; target 50 %, request one core. Where upstream has a test of
// that name (replica_calculator_test.go), its figures are used, scaled to this target.
func TestCalculateFollowsUpstream(t *testing.T) {
	rep := func(n int, cores float64) []float64 {
		out := make([]float64, n)
		for i := range out {
			out[i] = cores
		}
		return out
	}
	cases := []struct {
		name    string
		current int
		v       view
		want    int
	}{
		{"scale up: ceil(3 × 1.56) = 5", 3, view{metrics: rep(3, 0.78), request: 1}, 5},
		{"scale down: ceil(5 × 0.4) = 2", 5, view{metrics: rep(5, 0.20), request: 1}, 2},
		{"on target", 4, view{metrics: rep(4, 0.5), request: 1}, 4},
		{"tolerance: 55 % is 1.1 times the target and stays", 10, view{metrics: rep(10, 0.55), request: 1}, 10},
		{"tolerance: 56 % is beyond", 10, view{metrics: rep(10, 0.56), request: 1}, 12},
		{"tolerance: 45 % is 0.9 times the target and stays", 10, view{metrics: rep(10, 0.45), request: 1}, 10},
		{"tolerance: 44 % is beyond", 10, view{metrics: rep(10, 0.44), request: 1}, 9},
		{"whole per cent: 55.9 % counts as 55 and stays", 10, view{metrics: rep(10, 0.559), request: 1}, 10},
		{"the request is the unit", 2, view{metrics: rep(2, 0.2), request: 0.2}, 4},
		{"nothing used scales to zero, which the bounds then forbid", 3, view{metrics: rep(3, 0), request: 1}, 0},

		{"scale up, unready count as 0 %: (0.6+0.8)/3 → 46 % is within the tolerance", 3,
			view{metrics: []float64{0.6, 0.8}, unready: 1, request: 1}, 3},
		{"scale up less with unready: 2×0.9/3 → 60 %, ceil(1.2 × 3) = 4", 3,
			view{metrics: rep(2, 0.9), unready: 1, request: 1}, 4},
		{"scale up turned around by unready: nothing changes", 3, view{metrics: rep(1, 0.6), unready: 2, request: 1}, 3},
		{"scale down leaves unready out: ceil(0.4 × 2) = 1", 3, view{metrics: rep(2, 0.2), unready: 1, request: 1}, 1},

		{"scale up, missing count as 0 %: 2×0.9/3 → 60 %, ceil(1.2 × 3) = 4", 3,
			view{metrics: rep(2, 0.9), missing: 1, request: 1}, 4},
		{"scale down, missing count as 100 %: (3×0.1+1)/4 → 32 %, ceil(0.64 × 4) = 3", 4,
			view{metrics: rep(3, 0.1), missing: 1, request: 1}, 3},
		{"scale down turned around by missing: nothing changes", 4, view{metrics: rep(2, 0.2), missing: 2, request: 1}, 4},
		{"scale up turned around by missing: nothing changes", 4, view{metrics: rep(2, 0.6), missing: 2, request: 1}, 4},
		{"scale up, unready and missing both count as 0 %: 4×1/6 → 66 %, ceil(1.32 × 6) = 8", 6,
			view{metrics: rep(4, 1), unready: 1, missing: 1, request: 1}, 8},
		{"on target with missing ones", 3, view{metrics: rep(2, 0.5), missing: 1, request: 1}, 3},
		{"more replicas than wanted still report: no growth on a scale-down", 2, view{metrics: rep(5, 0.3), missing: 1, request: 1}, 2},

		{"no metric at all", 3, view{unready: 3, request: 1}, 3},
		{"no request", 3, view{metrics: rep(3, 0.9)}, 3},
	}
	m, err := New(plantest.App(1), Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := m.calculate(c.current, c.v); got.replicas != c.want {
				t.Errorf("%+v: %d replicas, want %d (%s)", c.v, got.replicas, c.want, got.why)
			}
		})
	}
}

// The tests of upstream's replica_calculator_test.go, by name and with its own figures: requests of a core, levels in
// cores, a target of its own. "Hot CPU" is a replica that is starting, which is told apart in measure.
func TestUpstreamsOwnCases(t *testing.T) {
	for _, c := range []struct {
		name    string
		target  float64
		current int
		v       view
		want    int
	}{
		{"ScaleUp", 0.3, 3, view{metrics: []float64{0.3, 0.5, 0.7}}, 5},
		{"ScaleUpUnreadyLessScale", 0.3, 3, view{metrics: []float64{0.5, 0.7}, unready: 1}, 4},
		{"ScaleUpHotCpuLessScale", 0.3, 3, view{metrics: []float64{0.5, 0.7}, unready: 1}, 4},
		{"ScaleUpUnreadyNoScale", 0.3, 3, view{metrics: []float64{0.4}, unready: 2}, 3},
		{"ScaleUpIgnoresFailedPods", 0.3, 2, view{metrics: []float64{0.5, 0.7}}, 4},
		{"ScaleDown", 0.5, 5, view{metrics: []float64{0.1, 0.3, 0.5, 0.25, 0.25}}, 3},
		{"ScaleDownIgnoresUnreadyPods", 0.5, 5, view{metrics: []float64{0.1, 0.3, 0.5}, unready: 2}, 2},
		{"Tolerance", 1, 3, view{metrics: []float64{1.01, 1.03, 1.02}}, 3},
		{"SuperfluousMetrics", 1, 4, view{metrics: []float64{4, 9.5, 3, 7}}, 24},
		{"MissingMetrics", 1, 4, view{metrics: []float64{0.4, 0.095}, missing: 2}, 3},
		{"EmptyMetrics", 1, 4, view{missing: 4}, 4},
		{"MissingMetricsNoChangeEq", 1, 2, view{metrics: []float64{1}, missing: 1}, 2},
		{"MissingMetricsNoChangeGt", 1, 2, view{metrics: []float64{1.9}, missing: 1}, 2},
		{"MissingMetricsNoChangeLt", 1, 2, view{metrics: []float64{0.6}, missing: 1}, 2},
		{"MissingMetricsUnreadyNoChange", 0.5, 3, view{metrics: []float64{0.45}, unready: 1, missing: 1}, 3},
		{"MissingMetricsUnreadyScaleUp", 0.5, 3, view{metrics: []float64{2}, unready: 1, missing: 1}, 4},
		{"MissingMetricsUnreadyScaleDown", 0.5, 4, view{metrics: []float64{0.1, 0.1}, unready: 1, missing: 1}, 3},
		{"DuringRollingUpdateWithMaxSurge", 0.5, 2, view{metrics: []float64{0.1, 0.1}, missing: 1}, 2},
	} {
		m, err := New(plantest.App(1), Config{Target: c.target})
		if err != nil {
			t.Fatal(err)
		}
		c.v.request = 1
		if got := m.calculate(c.current, c.v); got.replicas != c.want {
			t.Errorf("%s: %d replicas, want %d (%s)", c.name, got.replicas, c.want, got.why)
		}
	}
}

func TestATargetAbove100IsWhatMissingReplicasCountAs(t *testing.T) {
	m, err := New(plantest.App(1), Config{Target: 1.5})
	if err != nil {
		t.Fatal(err)
	}
	// (0.6+0.6+1.5)/3 = 0.9 of the request is 60 % of the target: ceil(0.6 × 3) = 2. At 100 % it would be 48 %: also 2.
	if got := m.calculate(3, view{metrics: []float64{0.6, 0.6}, missing: 1, request: 1}); got.replicas != 2 || got.ratio != 0.6 {
		t.Errorf("%d replicas at ratio %v, want 2 at 0.6", got.replicas, got.ratio)
	}
}
