package managers_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/sketch"
)

// outcome is what one run cost, after its warm-up.
type outcome struct {
	cores    float64 // held, mean
	replicas float64
	violated float64 // share of windows in violation, over endpoints
	late     float64 // the percentile over the whole run against its objective, of the worst endpoint
	changes  int
	errs     int
	state    []byte
}

func (o outcome) String() string {
	return fmt.Sprintf("%6.2f cores %5.1f replicas  %5.2f %% of windows in violation  %5.2f of the objective  %5d plans", o.cores, o.replicas, o.violated*100, o.late, o.changes)
}

// simulate runs a manager over a simulated application. What happens before warm is not judged.
func simulate(t testing.TB, bp *foresail.Blueprint, m foresail.Manager, rps float64, seed uint64, warm, lasts time.Duration) outcome {
	t.Helper()
	return simulateLoad(t, bp, m, &load.Load{Curve: []load.Segment{{From: rps}}}, seed, warm, lasts)
}

func simulateLoad(t testing.TB, bp *foresail.Blueprint, m foresail.Manager, l *load.Load, seed uint64, warm, lasts time.Duration) outcome {
	t.Helper()
	c, err := sim.New(sim.Config{Blueprint: bp, Load: l, Seed: seed, Duration: warm + lasts})
	if err != nil {
		t.Fatal(err)
	}
	var out outcome
	judges := make([]*foresail.Judge, len(bp.App.Endpoints))
	all := make([]*sketch.Sketch, len(bp.App.Endpoints))
	for i := range judges {
		all[i] = sketch.New()
		if o := bp.App.Endpoints[i].Objective; o != nil {
			judges[i] = foresail.NewJudge(foresail.EndpointID(i), *o)
		}
	}
	var start time.Time
	beats := 0.0
	err = loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) {
			if start.IsZero() {
				start = s.Start
			}
			if s.Start.Sub(start) < warm {
				return
			}
			beats++
			for i := range s.Services {
				held, _ := s.Services[i].Held()
				out.cores += held
				out.replicas += float64(len(s.Services[i].Replicas))
			}
			for i, j := range judges {
				if j != nil {
					j.Add(s)
				}
				if l := s.Endpoints[i].Latency; l != nil {
					all[i].Merge(l)
				}
			}
		},
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				out.errs++
			}
			if d.Applied {
				out.changes++
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	out.cores /= beats
	out.replicas /= beats
	windows, violated := 0, 0
	for i, j := range judges {
		if j != nil {
			windows += j.Windows
			violated += j.Violated
			o := bp.App.Endpoints[i].Objective
			out.late = max(out.late, all[i].Quantile(o.Percentile/100)/o.Latency.Seconds())
		}
	}
	out.violated = float64(violated) / float64(max(windows, 1))
	if s, ok := m.(foresail.Stateful); ok {
		if out.state, err = s.Save(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func app(t testing.TB, name string) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ReadApp(name)
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

// TestTable prints what each manager costs; it is no test but the table's source, and runs only when asked:
//
//	FORESAIL_TABLE=hotel-reservation:1000 go test -run TestTable -v ./plan/managers
func TestTable(t *testing.T) {
	which := os.Getenv("FORESAIL_TABLE")
	if which == "" {
		t.Skip("set FORESAIL_TABLE to an application and a load, as in hotel-reservation:1000")
	}
	name, at, _ := strings.Cut(which, ":")
	rps := 0.0
	fmt.Sscan(at, &rps)
	bp := app(t, name)
	only := os.Getenv("FORESAIL_ONLY")
	for _, m := range managers.Names() {
		if only != "" && !strings.Contains(","+only+",", ","+m+",") {
			continue
		}
		mgr, err := managers.NewWith(m, bp.App, nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		o := simulate(t, bp, mgr, rps, 1, 5*time.Minute, 10*time.Minute)
		t.Logf("%-20s %v %v", m, o, time.Since(at).Round(time.Second))
	}
	m, _ := managers.NewWith("autothrottle", bp.App, nil, 1)
	if err := m.(foresail.Stateful).Restore(trained(t, bp, []float64{0.75 * rps, 1.25 * rps}, 20*time.Minute)); err != nil {
		t.Fatal(err)
	}
	t.Logf("%-20s %v", "autothrottle trained", simulate(t, bp, m, rps, 1, 5*time.Minute, 10*time.Minute))
}

// trained is what autothrottle learns in two turns of each at the loads, under another seed.
func trained(t *testing.T, bp *foresail.Blueprint, loads []float64, each time.Duration) []byte {
	t.Helper()
	m, err := managers.NewWith("autothrottle", bp.App, map[string]float64{"training_min": 2 * float64(len(loads)) * each.Minutes()}, 99)
	if err != nil {
		t.Fatal(err)
	}
	l := &load.Load{}
	for range 2 {
		for _, rps := range loads {
			l.Curve = append(l.Curve, load.Segment{From: rps, For: each})
		}
	}
	return simulateLoad(t, bp, m, l, 99, 0, 2*time.Duration(len(loads))*each).state
}

// What is published of the baselines, in small: ten minutes at two constant loads, after five to settle.
//   - autoscale-cons is never in violation, and spends most among those that adapt within minutes;
//   - powerchief and autothrottle hold the objective;
//   - autothrottle, trained, needs no more cores than any of the others that hold it too.
func TestTheOutcomeIsAsPublished(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates hours")
	}
	t.Parallel()
	bp := app(t, "social-network")
	loads, each, settle, judged := []float64{150, 300}, 20*time.Minute, 5*time.Minute, 10*time.Minute
	if raced { // a look at each is enough to find what races
		loads, each, settle, judged = loads[:1], 8*time.Minute, 2*time.Minute, 2*time.Minute
	}
	state := trained(t, bp, loads, each)
	for _, rps := range loads {
		got := map[string]outcome{}
		for _, name := range []string{"autoscale-cons", "autoscale-opt", "powerchief", "autothrottle"} {
			m, err := managers.NewWith(name, bp.App, nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			if name == "autothrottle" {
				if err := m.(foresail.Stateful).Restore(state); err != nil {
					t.Fatal(err)
				}
			}
			got[name] = simulate(t, bp, m, rps, 1, settle, judged)
			t.Logf("%g requests/s: %-16s %v", rps, name, got[name])
			if got[name].errs > 0 {
				t.Errorf("%s erred %d times", name, got[name].errs)
			}
		}
		if raced {
			continue // too short to say more
		}
		if v := got["autoscale-cons"].violated; v > 0 {
			t.Errorf("%g requests/s: autoscale-cons is in violation in %.2f %% of windows", rps, v*100)
		}
		for _, name := range []string{"powerchief", "autothrottle"} {
			if o := got[name]; o.late > 1 || o.violated > 0.02 {
				t.Errorf("%g requests/s: %s does not hold the objective: %v", rps, name, o)
			}
		}
		for _, name := range []string{"autoscale-cons", "autoscale-opt", "powerchief"} {
			if got[name].violated <= 0.02 && got["autothrottle"].cores >= got[name].cores*1.05 {
				t.Errorf("%g requests/s: autothrottle needs %.2f cores and %s %.2f", rps, got["autothrottle"].cores, name, got[name].cores)
			}
		}
		if got["autoscale-cons"].cores < got["autoscale-opt"].cores {
			t.Errorf("%g requests/s: autoscale-opt spends more than autoscale-cons", rps)
		}
	}
}

// Every manager runs within the guard on a real application's counters: nothing that it requires is missing, it never
// panics, and the guard falls back never.
func TestEveryManagerRunsGuarded(t *testing.T) {
	bp := app(t, "online-boutique")
	for _, name := range managers.Names() {
		if managers.UsesModel(name) {
			continue // it falls back, having none
		}
		t.Run(name, func(t *testing.T) {
			m, err := managers.GuardedWith(name, "hpa", bp.App, nil, 1)
			if err != nil {
				t.Fatal(err)
			}
			c, err := traced.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 50}}}, Seed: 1, Duration: 2 * time.Minute}, m.Needs())
			if err != nil {
				t.Fatal(err)
			}
			err = loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
				Missing: func(s foresail.Signals) { t.Errorf("missing: %v", s) },
				Decided: func(d loop.Decision) {
					if d.Err != nil || d.Plan != nil && d.Plan.Fallback != "" {
						t.Fatalf("%v: %v, %+v", d.At, d.Err, d.Plan)
					}
				},
			}})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}
