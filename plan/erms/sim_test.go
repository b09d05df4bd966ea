package erms_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/traced"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/plan/erms"
)

// After some minutes of exploring it knows how latency hangs on load, and holds the objectives of a real application with fewer
// replicas than it began with, each change with a reason.
func TestItHoldsObjectivesAfterExploring(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates half an hour")
	}
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	for i := range bp.App.Services { // many small containers
		svc := &bp.App.Services[i]
		svc.Initial.Replicas, svc.Initial.CPU = 5, 0.2
		svc.Bounds.MinReplicas, svc.Bounds.MaxReplicas, svc.Bounds.MinCPU, svc.Bounds.MaxCPU = 1, 60, 0.2, 0.2
	}
	const explored, settled, lasts = 16, 18, 22 // minutes
	m, err := erms.New(bp.App, erms.Config{Explore: explored, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 150}}}, Seed: 7, Duration: lasts * time.Minute}
	c, err := traced.New(cfg, m.Needs())
	if err != nil {
		t.Fatal(err)
	}
	var start time.Time
	judges := make([]*foresail.Judge, len(bp.App.Endpoints))
	for i := range judges {
		if o := bp.App.Endpoints[i].Objective; o != nil {
			judges[i] = foresail.NewJudge(foresail.EndpointID(i), *o)
		}
	}
	rules := map[string]int{}
	err = loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Missing: func(s foresail.Signals) { t.Errorf("missing: %v", s) },
		Observed: func(_ *foresail.History, s *foresail.Snapshot) {
			if start.IsZero() {
				start = s.Start
			}
			if s.Start.Sub(start) >= settled*time.Minute {
				for _, j := range judges {
					if j != nil {
						j.Add(s)
					}
				}
			}
		},
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				t.Errorf("%v: %v", d.At, d.Err)
			}
			if d.Plan == nil {
				return
			}
			for _, ch := range d.Plan.Changes {
				rules[ch.Reason.Rule]++
				t.Logf("%v %s: %v: %+v", d.At.Sub(start), bp.App.Services[ch.Service].Name, ch.To, ch.Reason)
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	windows, violated := 0, 0
	for _, j := range judges {
		if j != nil {
			windows, violated = windows+j.Windows, violated+j.Violated
		}
	}
	t.Logf("%d of %d windows violated, rules %v", violated, windows, rules)
	if windows == 0 || float64(violated) > 0.02*float64(windows) {
		t.Errorf("%d of %d windows violated", violated, windows)
	}
	if rules["erms/target"]+rules["erms/full"] == 0 || rules["erms/explore"] == 0 {
		t.Errorf("by rules %v", rules)
	}
}
