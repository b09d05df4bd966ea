package managers_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
)

// updated is the hotel without its recommendations, with a copy of geo that search asks as well, and with a rate that
// needs more.
func updated(t testing.TB) *foresail.Blueprint {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	out := foresail.Align(bp, bp)
	gone, _ := out.App.ServiceByName("recommendation")
	out.App.Services[gone] = foresail.Service{Name: "recommendation", Gone: true}
	out.Services[gone].Operations[0].Steps = nil
	for i := range out.App.Endpoints {
		if out.App.Endpoints[i].Name == "recommend" {
			out.App.Endpoints[i] = foresail.Endpoint{Name: "recommend", Gone: true}
			out.Entries[i] = foresail.Target{}
		}
	}
	geo, _ := out.App.ServiceByName("geo")
	search, _ := out.App.ServiceByName("search")
	rate, _ := out.App.ServiceByName("rate")
	second := out.App.Services[geo]
	second.Name = "geo-two"
	out.App.Services = append(out.App.Services, second)
	out.Services = append(out.Services, out.Services[geo])
	ops := out.Services[search].Operations
	ops[0].Steps = append(ops[0].Steps, foresail.Step{Calls: []foresail.Call{{Probability: 1, Repeat: 1,
		Target: foresail.Target{Service: foresail.ServiceID(len(out.Services) - 1)}}}})
	for i := range out.Services[rate].Operations {
		for k := range out.Services[rate].Operations[i].Steps {
			out.Services[rate].Operations[i].Steps[k].Work.CPU.Mean *= 2
		}
	}
	return out
}

// An application that is updated in mid-run breaks no manager, whether it is built anew for the new generation or goes on:
// it neither panics nor plans for a service that has gone, and one that is built anew knows the service that has come.
func TestManagersOutliveAnUpdate(t *testing.T) {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	next := updated(t)
	fresh := foresail.ServiceID(len(next.Services) - 1)
	gone, _ := next.App.ServiceByName("recommendation")
	for _, name := range managers.Names() {
		for _, rebuilt := range []bool{true, false} {
			for _, guarded := range []bool{false, true} {
				build := func(app *foresail.App) (foresail.Manager, error) {
					if guarded {
						return managers.Guarded(name, "hpa", app)
					}
					return managers.New(name, app)
				}
				m, err := build(bp.App)
				if err != nil {
					t.Fatal(err)
				}
				c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: 100}}}, Seed: 1, Duration: 130 * time.Second,
					Updates: []sim.Update{{At: 61 * time.Second, Blueprint: next}}})
				if err != nil {
					t.Fatal(err)
				}
				o := loop.Options{Mode: loop.Auto, Events: loop.Events{Decided: func(d loop.Decision) {
					if d.Err != nil && !(managers.UsesModel(name) && errors.Is(d.Err, foresail.ErrNoModel)) {
						t.Errorf("%s, guarded %v, rebuilt %v: %v at %v", name, guarded, rebuilt, d.Err, d.At)
					}
					if _, ok := d.Plan.Change(gone); ok && d.At.Sub(c.Now().Add(-c.Offset())) > 62*time.Second {
						t.Errorf("%s, guarded %v, rebuilt %v: a plan for a service that has gone", name, guarded, rebuilt)
					}
				}, Trouble: func(err error) { t.Logf("%s: %v", name, err) }}}
				if rebuilt {
					o.Rebuild = build
				}
				before := c.App()
				if err := loop.Run(context.Background(), c, m, o); err != nil {
					t.Fatal(err)
				}
				s, _ := c.Next(context.Background())
				if c.App() == before || s != nil {
					t.Errorf("%s: no update, or no end", name)
				}
			}
		}
	}
	if next.App.Services[fresh].Name != "geo-two" || strings.Contains(bp.App.Name, "two") {
		t.Error("the test's own update is not what it says")
	}
}
