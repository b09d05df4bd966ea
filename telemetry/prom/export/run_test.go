package export_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/telemetry/prom/export"
)

var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// run simulates the named application under a load that rises and falls again, managed by a guarded manager, and tells the
// exporter. No service may have more than one replica besides those it starts with. at is called once a simulated interval of every.
func run(t testing.TB, app, manager string, length, every time.Duration, cfg export.Config, at func(e *export.Exporter, now time.Time)) *export.Exporter {
	t.Helper()
	blueprint, err := appfile.ReadApp(app)
	if err != nil {
		t.Fatal(err)
	}
	for i := range blueprint.App.Services { // little room, so that plans meet a bound
		svc := &blueprint.App.Services[i]
		svc.Bounds.MaxReplicas = svc.Initial.Replicas + 1
	}
	m, err := managers.Guarded(manager, "hpa", blueprint.App)
	if err != nil {
		t.Fatal(err)
	}
	third := length / 3
	cluster, err := sim.New(sim.Config{Blueprint: blueprint, Seed: 7, Start: begin, Duration: length, Load: &load.Load{Curve: []load.Segment{
		{Shape: load.Constant, From: 20, For: third}, {Shape: load.Constant, From: 120, For: third}, {Shape: load.Constant, From: 20}}}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.App, cfg.Manager, cfg.Mode = blueprint.App, m.Name(), loop.Auto
	e := export.New(cfg)
	next := begin.Add(every)
	pace := loop.Events{Observed: func(_ *foresail.History, s *foresail.Snapshot) {
		if at != nil && !s.End.Before(next) {
			next = next.Add(every)
			at(e, s.End)
		}
	}}
	if err := loop.Run(t.Context(), cluster, m, loop.Options{Mode: loop.Auto, Events: loop.Join(e.Events(), pace)}); err != nil {
		t.Fatal(err)
	}
	return e
}
