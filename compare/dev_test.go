package compare

import (
	"fmt"
	"os"
	"testing"
	"time"
	"context"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/cluster/sim"
)

func TestDev(t *testing.T) {
	e, err := Read(os.Getenv("EXP"))
	if err != nil { t.Fatal(err) }
	g, err := Prepare(e)
	if err != nil { t.Fatal(err) }
	at := g.conditions[0]
	app := at.blueprint.App
	in := &Inputs{Manager: "madu", Settings: e.Managers[len(e.Managers)-1].Settings}
	m, err := build(in, app, 1)
	if err != nil { t.Fatal(err) }
	cfg := sim.Config{Blueprint: at.blueprint, Load: at.curve, Seed: 1, Start: origin, Duration: e.Warmup+e.Duration}
	c, err := newTraced(cfg, 0.1)
	if err != nil { t.Fatal(err) }
	next := origin
	err = loop.Run(context.Background(), c, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			if s.End.Before(next.Add(time.Minute)) { return }
			next = s.End
			p := h.Minutes(1)[0]
			tot := 0
			line := ""
			for i := range p.Services {
				st := &p.Services[i]
				u, _ := st.Utilisation(time.Minute)
				tot += st.Allocation.Replicas
				if i < 60 && (u > 0.7 || st.Errors > 10) {
					line += fmt.Sprintf("   %s n=%d u=%.2f calls=%.0f err=%.0f cpu/call=%.2fms\n", app.Services[i].Name, st.Allocation.Replicas, u, st.Arrivals, st.Errors, st.CPU/st.Arrivals*1000)
				}
			}
			fmt.Printf("%s rate %.0f total %d\n%s", s.End.Format("15:04"), p.Endpoints[0].Requests, tot, line)
		},
		Decided: func(d loop.Decision) {
			if d.Plan == nil { return }
			for _, ch := range d.Plan.Changes {
				if os.Getenv("V") != "" { fmt.Println("  ", app.Services[ch.Service].Name, ch.To, ch.Reason.Text) }
			}
			if d.Plan.Note != "" { fmt.Println("NOTE", d.Plan.Note) }
		},
	}})
	if err != nil { t.Fatal(err) }
}
