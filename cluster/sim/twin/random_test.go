package twin_test

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/twin"
	"pgregory.net/rapid"
)

// anyApplication is a tree of three to seven services, each called in one place: in sequence, side by side, with a
// probability, or after a miss.
func anyApplication(t *rapid.T) *foresail.Blueprint {
	n := rapid.IntRange(3, 7).Draw(t, "services")
	children := make([][]int, n)
	for i := 1; i < n; i++ {
		p := rapid.IntRange(max(0, i-3), i-1).Draw(t, "parent")
		children[p] = append(children[p], i)
	}
	services := make([]foresail.ServiceBlueprint, n)
	for i := range services {
		var steps []foresail.Step
		left := children[i]
		for len(left) > 0 {
			steps = append(steps, foresail.Step{Work: anyWork(t)})
			st := &steps[len(steps)-1]
			k := min(rapid.IntRange(1, 2).Draw(t, "side by side"), len(left))
			for _, c := range left[:k] {
				x := call(c)
				x.Probability = rapid.SampledFrom([]float64{1, 1, 0.4}).Draw(t, "probability")
				st.Calls = append(st.Calls, x)
			}
			left = left[k:]
			if k == 1 && len(left) > 0 && st.Calls[0].Probability == 1 && rapid.Bool().Draw(t, "cached") {
				st.Calls[0].Cached, st.Calls[0].Hit = true, 0.7
				st.Calls[0].Miss = []foresail.Step{{Work: anyWork(t), Calls: []foresail.Call{call(left[0])}}}
				left = left[1:]
			}
		}
		services[i] = one(append(steps, foresail.Step{Work: anyWork(t)})...)
	}
	return application(services...)
}

func anyWork(t *rapid.T) foresail.Demand {
	return foresail.Demand{CPU: foresail.Dist{
		Shape: rapid.SampledFrom([]foresail.DistShape{foresail.LogNormal, foresail.Exponential, foresail.Constant}).Draw(t, "shape"),
		Mean:  rapid.Float64Range(0.2, 3).Draw(t, "ms") * ms, CV: 0.6,
	}}
}

// What a twin is for: of any small application, its users see the same latencies, and its services use the same CPU and
// get the same calls, within an eighth (p99: a quarter); two minutes of 40 requests/s differ by a few hundredths alone.
func TestTwinsOfRandomApplications(t *testing.T) {
	for seed := range 12 {
		real := rapid.Custom(anyApplication).Example(seed)
		fitted, _, err := twin.Fit(watch(t, real, 1))
		if err != nil {
			t.Fatal(err)
		}
		a, b := watch(t, real, 2).Snapshots, watch(t, fitted, 3).Snapshots
		x, y := foresail.Merge(a...), foresail.Merge(b...)
		alike := func(what string, got, want, relative, least float64) {
			if d := got - want; max(d, -d) > relative*want+least {
				t.Errorf("application %d: %s: %v, want %v within %v %%", seed, what, got, want, 100*relative)
			}
		}
		for _, q := range []float64{0.5, 0.9} {
			alike(fmt.Sprint("quantile ", q), y.Endpoints[0].Latency.Quantile(q), x.Endpoints[0].Latency.Quantile(q), 0.12, 0)
		}
		alike("p99", y.Endpoints[0].Latency.Quantile(0.99), x.Endpoints[0].Latency.Quantile(0.99), 0.25, 0)
		for i := range x.Services {
			alike(fmt.Sprint("calls of ", i), y.Services[i].Arrivals/y.Endpoints[0].Requests, x.Services[i].Arrivals/x.Endpoints[0].Requests, 0.12, 0.03)
			alike(fmt.Sprint("CPU of ", i), y.Services[i].CPU/y.Endpoints[0].Requests, x.Services[i].CPU/x.Endpoints[0].Requests, 0.12, 0.05*ms)
		}
	}
}

// watch observes a minute at 40 requests/s.
func watch(t *testing.T, bp *foresail.Blueprint, seed uint64) twin.Input {
	return observe(t, bp, 40, time.Minute, seed)
}
