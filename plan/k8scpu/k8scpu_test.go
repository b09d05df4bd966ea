package k8scpu_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/k8scpu"
	"foresail.dev/plan/plantest"
)

func manager(t testing.TB, app *foresail.App, c k8scpu.Config) *k8scpu.Manager {
	t.Helper()
	m, err := k8scpu.New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// drive runs the loop and writes down each change of service 0.
func drive(t *testing.T, c *plantest.Cluster, m foresail.Manager) string {
	t.Helper()
	var lines []string
	if err := loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{Decided: func(d loop.Decision) {
		if ch, ok := d.Plan.Change(0); ok {
			lines = append(lines, fmt.Sprintf("%v %v", c.Now(), ch.To))
			if ch.Reason.Rule != m.Name()+"/usage" || ch.Reason.Text == "" || len(ch.Reason.Considered) == 0 {
				t.Errorf("%+v", ch)
			}
		}
	}}}); err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, ", ")
}

// pulse is a demand of half a core, and of 0.8 in the second minute.
func pulse(_ foresail.ServiceID, at time.Duration) float64 {
	if at >= time.Minute && at < 2*time.Minute {
		return 0.8
	}
	return 0.5
}

// The limit is usage over target at once on the way up, and on the way down when the window has forgotten.
func TestTheLargestOfTheWindowCounts(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 8 * time.Minute, Demand: pulse}
	if got, want := drive(t, c, manager(t, c.Application, k8scpu.Config{})), "1m15s 1 × 1.60 cores, 7m0s 1 × 1.00 cores"; got != want {
		t.Errorf("k8s-cpu: %s, want %s", got, want)
	}
	c = &plantest.Cluster{Application: plantest.App(1), Until: 8 * time.Minute, Demand: pulse}
	if got, want := drive(t, c, manager(t, c.Application, k8scpu.Config{Fast: true, Target: 0.8})),
		"1s 1 × 0.62 cores, 1m1s 1 × 0.78 cores, 1m2s 1 × 0.98 cores, 1m3s 1 × 1.00 cores, 2m20s 1 × 0.62 cores"; got != want {
		t.Errorf("k8s-cpu-fast: %s, want %s", got, want)
	}
}

func TestSilenceIsAnError(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Silent: func(at time.Duration) bool { return at >= time.Second }}
	m := manager(t, c.Application, k8scpu.Config{})
	if _, err := m.Decide(c.Filled(m.Needs(), time.Minute)); !errors.Is(err, foresail.ErrStale) {
		t.Error(err)
	}
}

func TestFaultsOfAConfig(t *testing.T) {
	if _, err := k8scpu.New(plantest.App(1), k8scpu.Config{Target: -1}); err == nil {
		t.Error("a negative target was taken")
	}
	if _, err := k8scpu.New(nil, k8scpu.Config{}); err == nil {
		t.Error("no application was taken")
	}
	if manager(t, plantest.App(1), k8scpu.Config{}).Restore([]byte("{")) == nil {
		t.Error("nonsense was restored")
	}
}

// benchstat: go test -bench DecideK8sCPU -count 6 ./plan/k8scpu | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideK8sCPU(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.8 }}
			m := manager(b, app, k8scpu.Config{Fast: true})
			h := c.Filled(m.Needs(), 3*time.Second)
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
