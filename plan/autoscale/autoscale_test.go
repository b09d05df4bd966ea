package autoscale_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/autoscale"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

func manager(t testing.TB, app *foresail.App, c autoscale.Config) *autoscale.Manager {
	t.Helper()
	m, err := autoscale.New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The tables as baselines state them: what utilisation does to one core.
func TestTables(t *testing.T) {
	cases := []struct {
		c           autoscale.Config
		utilisation float64
		want        float64
	}{
		{autoscale.Config{}, 0.05, 0.9},
		{autoscale.Config{}, 0.0999, 0.9},
		{autoscale.Config{}, 0.1, 1},
		{autoscale.Config{}, 0.29, 1},
		{autoscale.Config{}, 0.3, 1.1},
		{autoscale.Config{}, 0.499, 1.1},
		{autoscale.Config{}, 0.5, 1.3},
		{autoscale.Config{}, 1, 1.3},
		{optimised(), 0.1, 0.7},
		{optimised(), 0.299, 0.7},
		{optimised(), 0.3, 0.9},
		{optimised(), 0.4, 1},
		{optimised(), 0.59, 1},
		{optimised(), 0.6, 1.1},
		{optimised(), 0.7, 1.3},
		{optimised(), 1, 1.3},
	}
	for _, c := range cases {
		app := plantest.App(1)
		m := manager(t, app, c.c)
		cl := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return c.utilisation }}
		p, err := m.Decide(cl.Filled(m.Needs(), 3*time.Second))
		got := 1.0
		if ch, ok := p.Change(0); ok {
			got = ch.To.CPU
		}
		if err != nil || math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s at %v: %v cores, want %v (%v)", m.Name(), c.utilisation, got, c.want, err)
		}
	}
}

func optimised() autoscale.Config {
	return autoscale.Config{Name: "autoscale-opt", Steps: autoscale.Optimised()}
}

func TestAReasonNamesTheStepAndTheOthers(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, autoscale.Config{})
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.42 }}
	p, err := m.Decide(c.Filled(m.Needs(), time.Second))
	if err != nil {
		t.Fatal(err)
	}
	r := p.Changes[0].Reason
	if r.Rule != "autoscale-cons/step" || r.Text != "CPU at 42 % of 1.00 cores, in [30, 50) %: +10 %" || len(r.Considered) != 2 {
		t.Errorf("%+v", r)
	}
}

func TestSpreadMovesCPUFirstAndThenReplicas(t *testing.T) {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: 0.5, MaxCPU: 2}
	cases := []struct {
		from  foresail.Allocation
		total float64
		want  string
		bound string
	}{
		{foresail.Allocation{Replicas: 1, CPU: 1}, 1.3, "1 × 1.30 cores", ""},
		{foresail.Allocation{Replicas: 2, CPU: 1}, 2.6, "2 × 1.30 cores", ""},
		{foresail.Allocation{Replicas: 1, CPU: 2}, 2.6, "2 × 1.30 cores", "max CPU per replica"},
		{foresail.Allocation{Replicas: 2, CPU: 2}, 5.2, "3 × 1.73 cores", "max CPU per replica"},
		{foresail.Allocation{Replicas: 4, CPU: 2}, 10.4, "4 × 2.00 cores", "max CPU per replica"},
		{foresail.Allocation{Replicas: 3, CPU: 0.5}, 1.35, "2 × 0.68 cores", "min CPU per replica"},
		{foresail.Allocation{Replicas: 1, CPU: 0.5}, 0.45, "1 × 0.50 cores", "min CPU per replica"},
	}
	for _, c := range cases {
		got, bound := autoscale.Spread(b, c.from, c.total)
		if got.String() != c.want || bound != c.bound {
			t.Errorf("%v to %v: %v (%s), want %s (%s)", c.from, c.total, got, bound, c.want, c.bound)
		}
	}
}

// Whatever the bounds, a spread stays in them, and gives the total wherever they allow it.
func TestSpreadLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := foresail.Bounds{
			MinReplicas: rapid.IntRange(1, 3).Draw(t, "minReplicas"),
			MinCPU:      rapid.Float64Range(0.01, 2).Draw(t, "minCPU"),
		}
		b.MaxReplicas = b.MinReplicas + rapid.IntRange(0, 10).Draw(t, "more")
		b.MaxCPU = b.MinCPU * rapid.Float64Range(1, 8).Draw(t, "wider")
		from := foresail.Allocation{
			Replicas: rapid.IntRange(b.MinReplicas, b.MaxReplicas).Draw(t, "replicas"),
			CPU:      rapid.Float64Range(b.MinCPU, b.MaxCPU).Draw(t, "cpu"),
		}
		total := from.Cores() * rapid.Float64Range(0.3, 3).Draw(t, "factor")
		to, _ := autoscale.Spread(b, from, total)
		if in, bound := b.Clamp(to); bound != "" {
			t.Fatalf("%v leaves the bounds (%s), which allow %v", to, bound, in)
		}
		// A total that some number of replicas can hold within the bounds is given, to a thousandth per replica.
		for n := b.MinReplicas; n <= b.MaxReplicas; n++ {
			each := total / float64(n)
			if each >= b.MinCPU && each <= b.MaxCPU {
				if math.Abs(to.Cores()-total) > 0.001*float64(to.Replicas)+1e-9 {
					t.Fatalf("%v is %v cores, and %d × %v would give %v", to, to.Cores(), n, each, total)
				}
				return
			}
		}
	})
}

func TestSmallServicesMoveToo(t *testing.T) {
	app := plantest.App(1)
	app.Services[0].Bounds.MinCPU = 0.001
	app.Services[0].Initial.CPU = 0.002
	m := manager(t, app, autoscale.Config{})
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.0008 }}
	p, err := m.Decide(c.Filled(m.Needs(), time.Second))
	if ch, ok := p.Change(0); err != nil || !ok || ch.To.CPU != 0.003 {
		t.Errorf("%+v, %v", p, err)
	}
}

// With replicas that take 30 s to come, thirty raises must not add up.
func TestARaiseThatIsPendingDoesNotAddUp(t *testing.T) {
	app := plantest.App(1)
	app.Services[0].Bounds.MaxCPU = 1
	c := &plantest.Cluster{Application: app, Delay: 30 * time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 100 }}
	m := manager(t, app, autoscale.Config{})
	h := foresail.NewHistory(app, m.Needs())
	for range 29 {
		for range 10 {
			h.Add(c.Step())
		}
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		if p != nil {
			_ = c.Apply(t.Context(), p)
		}
	}
	if len(c.Plans) != 1 || c.Plans[0].Changes[0].To.Replicas != 2 {
		t.Errorf("%d plans, the first %+v", len(c.Plans), c.Plans[0])
	}
}

func TestNothingIsLoweredWhileARaiseIsPending(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, autoscale.Config{})
	c := &plantest.Cluster{Application: app, Delay: time.Minute, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.05 }}
	_ = c.Apply(t.Context(), &foresail.Plan{Changes: []foresail.Change{{To: foresail.Allocation{Replicas: 4, CPU: 1}}}})
	if p, err := m.Decide(c.Filled(m.Needs(), time.Second)); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestWhatIsNotObservedIsLeftAloneAndSilenceIsAnError(t *testing.T) {
	app := plantest.App(2)
	m := manager(t, app, autoscale.Config{})
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
	h := c.Filled(m.Needs(), time.Second)
	for _, s := range h.Beats(10) {
		s.Services[1].Has &^= foresail.SignalCPU
	}
	p, err := m.Decide(h)
	if err != nil || len(p.Changes) != 1 || p.Note != "s1: kept, its CPU or its allocation was not observed" {
		t.Errorf("%+v, %v", p, err)
	}
	c.Silent = func(time.Duration) bool { return true }
	if _, err := m.Decide(c.Filled(m.Needs(), time.Second)); !errors.Is(err, foresail.ErrStale) {
		t.Errorf("got %v", err)
	}
}

func TestEveryFaultOfATableIsTold(t *testing.T) {
	_, err := autoscale.New(plantest.App(1), autoscale.Config{Steps: []autoscale.Step{{0.5, 0.4, 1}, {0.1, 0.3, -1}, {0.2, 0.6, 1.1}}})
	for _, s := range []string{"step 1: [0.5, 0.4)", "step 2: factor -1", "steps 2 and 3 overlap"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
}

// benchstat: go test -bench DecideAutoscaleCons -count 6 ./plan/autoscale | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideAutoscaleCons(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.4 }}
			m := manager(b, app, autoscale.Config{})
			h := c.Filled(m.Needs(), 2*time.Second)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Decide(h); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
		})
	}
}
