package hpa_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/plantest"
)

func manager(t testing.TB, app *foresail.App, c hpa.Config) *hpa.Manager {
	t.Helper()
	m, err := hpa.New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// drive runs the loop and writes down each change of service 0.
func drive(t *testing.T, c *plantest.Cluster, m foresail.Manager) []string {
	t.Helper()
	var lines []string
	err := loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				lines = append(lines, fmt.Sprintf("%v %v", c.Now(), d.Err))
			}
			if ch, ok := d.Plan.Change(0); ok {
				lines = append(lines, fmt.Sprintf("%v %d", c.Now(), ch.To.Replicas))
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(lines, "\n") {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}

// A step of load: 1 core, then 6 for two minutes, then 1 again. Up goes at once, by policy; down waits 300 s.
func TestAStepOfLoad(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 10 * time.Minute,
		Demand: func(_ foresail.ServiceID, at time.Duration) float64 {
			if at >= time.Minute && at < 3*time.Minute {
				return 6
			}
			return 1
		}}
	want(t, drive(t, c, manager(t, c.Application, hpa.Config{})),
		"15s 2",   // 100 % of one replica against 50 %
		"1m15s 4", // two replicas are saturated: 100 % doubles
		"1m30s 8",
		"1m45s 12", // 75 % of 8: ceil(8 × 1.5)
		"8m0s 2")   // the last recommendation of 12 was made at 3m0s
}

func TestOtherServicesAndTheCPUOfAReplicaAreLeftAlone(t *testing.T) {
	app := plantest.App(3)
	app.Services[1].Initial.CPU = 0.4
	c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, _ time.Duration) float64 {
		return []float64{0.5, 0.3, 0.5}[id]
	}}
	p, err := manager(t, app, hpa.Config{}).Decide(c.Filled(manager(t, app, hpa.Config{}).Needs(), 16*time.Second))
	if err != nil || len(p.Changes) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	ch := p.Changes[0]
	if ch.Service != 1 || ch.To.Replicas != 2 || ch.To.CPU != 0.4 {
		t.Errorf("%+v", ch)
	}
	if want := "CPU at 75 % of the request over 15s against a target of 50 %: from 1 to 2 replicas"; ch.Reason.Text != want {
		t.Errorf("reason %q, want %q", ch.Reason.Text, want)
	}
	if len(ch.Reason.Considered) == 0 {
		t.Error("nothing else was considered")
	}
}

// one is a history of 16 s of one service with the given replicas, at one core each.
func one(app *foresail.App, wanted int, replicas func(at time.Duration) []foresail.ReplicaStats) *foresail.History {
	h := foresail.NewHistory(app, foresail.Needs{Seconds: 20})
	for i := range 16 {
		at := time.Duration(i) * time.Second
		start := plantest.Epoch.Add(at)
		s := &foresail.Snapshot{Start: start, End: start.Add(time.Second), Services: []foresail.ServiceStats{{
			Usage:      foresail.Usage{Has: foresail.SignalAllocation},
			Allocation: foresail.Allocation{Replicas: wanted, CPU: 1},
			Replicas:   replicas(at),
		}}}
		h.Add(s)
	}
	return h
}

func replica(name string, started time.Duration, ready bool, cores float64) foresail.ReplicaStats {
	r := foresail.ReplicaStats{Name: name, Started: plantest.Epoch.Add(started)}
	r.Has = foresail.SignalReady
	if ready {
		r.Ready = 1
	}
	if cores >= 0 {
		r.Has |= foresail.SignalCPU
		r.CPU = cores
	}
	return r
}

func TestReadiness(t *testing.T) {
	old := -time.Hour
	cases := []struct {
		name     string
		wanted   int
		replicas func(at time.Duration) []foresail.ReplicaStats
		want     int // 0: no change
	}{
		{"a replica that burns CPU while it starts is not load", 2, func(time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.5), replica("b", -10*time.Second, false, 1)}
		}, 0},
		{"nor in the first window after it became ready", 2, func(at time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.5), replica("b", -10*time.Second, at >= 5*time.Second, 1)}
		}, 0},
		{"ready for a whole window it is", 2, func(time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.5), replica("b", -time.Minute, true, 1)}
		}, 3},
		{"past its initialisation the first window counts", 2, func(at time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.5), replica("b", old, at >= 5*time.Second, 1)}
		}, 3},
		{"a pending replica without CPU counts as idle on a scale-up", 2, func(time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.9), replica("b", -time.Second, false, -1)}
		}, 0}, // 0.9/2 = 45 %
		{"a ready replica without CPU counts as busy on a scale-down", 3, func(time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.2), replica("b", old, true, 0.2), replica("c", old, true, -1)}
		}, 0}, // 0.4+1 over 3 = 46 %
		{"one that is going does not count", 1, func(at time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", old, true, 0.9), replica("b", old, at < 8*time.Second, 0.9)}
		}, 2}, // ceil(1 × 1.8), and not ceil(2 × 1.8)
		{"one that has gone does not count", 1, func(at time.Duration) []foresail.ReplicaStats {
			rs := []foresail.ReplicaStats{replica("a", old, true, 0.5)}
			if at < 8*time.Second {
				rs = append(rs, replica("b", old, true, 1))
			}
			return rs
		}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			app := plantest.App(1)
			p, err := manager(t, app, hpa.Config{Down: &hpa.Behaviour{}}).Decide(one(app, c.wanted, c.replicas))
			if err != nil {
				t.Fatal(err)
			}
			ch, ok := p.Change(0)
			if ok != (c.want > 0) || ok && ch.To.Replicas != c.want {
				t.Errorf("change %v to %v, want %d", ok, ch.To, c.want)
			}
		})
	}
}

func TestReplicasOutsideTheBoundsAreBroughtInWithoutAMetric(t *testing.T) {
	app := plantest.App(1)
	for given, want := range map[int]int{25: 20, 30: 20} {
		h := one(app, given, func(time.Duration) []foresail.ReplicaStats {
			return []foresail.ReplicaStats{replica("a", -time.Hour, true, 0.5)}
		})
		p, err := manager(t, app, hpa.Config{}).Decide(h)
		if ch, ok := p.Change(0); err != nil || !ok || ch.To.Replicas != want || ch.Reason.Rule != "hpa/bounds" {
			t.Errorf("%d replicas: %+v, %v", given, p, err)
		}
	}
}

func TestZeroReplicasAreLeftAlone(t *testing.T) {
	app := plantest.App(1)
	h := one(app, 0, func(time.Duration) []foresail.ReplicaStats {
		return []foresail.ReplicaStats{replica("a", -time.Hour, true, 1)}
	})
	if p, err := manager(t, app, hpa.Config{}).Decide(h); p != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestASilentHalfIsNoIdleness(t *testing.T) {
	app := plantest.App(1)
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.5 },
		Silent: func(at time.Duration) bool { return at > 7*time.Second }}
	m := manager(t, app, hpa.Config{Down: &hpa.Behaviour{}})
	if p, err := m.Decide(c.Filled(m.Needs(), 15*time.Second)); p != nil || err != nil {
		t.Errorf("%+v, %v: 50 %% over what was observed is on target", p, err)
	}
	c.Silent = func(time.Duration) bool { return true }
	if _, err := m.Decide(c.Filled(m.Needs(), time.Minute)); !errors.Is(err, foresail.ErrStale) {
		t.Errorf("silence: %v, want %v", err, foresail.ErrStale)
	}
}

func TestAServiceThatIsOnlyKnownInTotalIsScaledOnThat(t *testing.T) {
	app := plantest.App(1)
	h := foresail.NewHistory(app, foresail.Needs{Seconds: 20})
	for i := range 4 { // a source that reports each 15 s
		start := plantest.Epoch.Add(time.Duration(i) * 15 * time.Second)
		h.Add(&foresail.Snapshot{Start: start, End: start.Add(15 * time.Second), Services: []foresail.ServiceStats{{
			Usage:      foresail.Usage{Has: foresail.SignalCPU | foresail.SignalAllocation, CPU: 2 * 0.9 * 15},
			Allocation: foresail.Allocation{Replicas: 2, CPU: 1},
		}}})
	}
	p, err := manager(t, app, hpa.Config{}).Decide(h)
	if ch, _ := p.Change(0); err != nil || ch.To.Replicas != 4 {
		t.Errorf("%+v, %v; want ceil(2 × 1.8) = 4", p, err)
	}
}

func TestARestartKeepsTheStabilisationWindow(t *testing.T) {
	run := func(restart bool) []string {
		c := &plantest.Cluster{Application: plantest.App(1), Until: 4 * time.Minute,
			Demand: func(_ foresail.ServiceID, at time.Duration) float64 {
				if at < time.Minute {
					return 2
				}
				return 0.2
			}}
		c.Put(0, foresail.Allocation{Replicas: 4, CPU: 1})
		m := manager(t, c.Application, hpa.Config{})
		lines := drive(t, c, m)
		if restart {
			b, err := m.Save()
			if err != nil {
				t.Fatal(err)
			}
			m = manager(t, c.Application, hpa.Config{})
			if err := m.Restore(b); err != nil {
				t.Fatal(err)
			}
		}
		c.Until = 8 * time.Minute
		return append(lines, drive(t, c, m)...)
	}
	whole, cut := run(false), run(true)
	want(t, cut, whole...)
	if len(whole) == 0 {
		t.Error("nothing was scaled down")
	}
	if err := manager(t, plantest.App(1), hpa.Config{}).Restore([]byte("{")); err == nil {
		t.Error("nonsense was restored")
	}
}

func TestAFreshStartShrinksNothingForOneWindow(t *testing.T) {
	c := &plantest.Cluster{Application: plantest.App(1), Until: 6 * time.Minute,
		Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.4 }}
	c.Put(0, foresail.Allocation{Replicas: 8, CPU: 1})
	want(t, drive(t, c, manager(t, c.Application, hpa.Config{})), "5m15s 1")
}

func TestEveryFaultOfAConfigIsTold(t *testing.T) {
	_, err := hpa.New(plantest.App(1), hpa.Config{Target: -1, Tolerance: -0.1, Sync: -1, Up: &hpa.Behaviour{Policies: []hpa.Policy{{Replicas: 1}}}})
	for _, s := range []string{"target -1", "tolerance -0.1", "durations", "policy period 0s"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%q is missing in: %v", s, err)
		}
	}
}

// benchstat: go test -bench DecideHPA -count 6 ./plan/hpa | tee new.txt; benchstat old.txt new.txt
func BenchmarkDecideHPA(b *testing.B) {
	for _, n := range []int{36, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			app := plantest.App(n)
			for i := range app.Services {
				app.Services[i].Initial.Replicas = 3
			}
			c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 2.4 }}
			m := manager(b, app, hpa.Config{})
			h := c.Filled(m.Needs(), 20*time.Second)
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
