package derm_test

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
	"foresail.dev/compare/expected"
	"foresail.dev/compare/traced"
	"foresail.dev/loop"
	"foresail.dev/plan/derm"
	"foresail.dev/sketch"
)

func TestTry(t *testing.T) {
	name := os.Getenv("DERM_TRY")
	if name == "" {
		t.Skip()
	}
	bp, err := appfile.ReadApp(name)
	if err != nil {
		t.Fatal(err)
	}
	cpu := 0.2
	if name == "media" {
		cpu = 0.5
	}
	for i := range bp.Services {
		s := &bp.App.Services[i]
		bp.Services[i].Start = 5 * time.Second
		s.Initial.CPU, s.Bounds.MinCPU, s.Bounds.MaxCPU = cpu, cpu, cpu
		s.Bounds.MinReplicas, s.Bounds.MaxReplicas = 1, 60
		s.Initial.Replicas = 9
	}
	l, err := appfile.ReadLoad("../../examples/loads/"+name+"/"+os.Getenv("DERM_LOAD")+".yaml", bp.App)
	if err != nil {
		t.Fatal(err)
	}
	m, err := derm.New(bp.App, derm.Config{})
	if err != nil {
		t.Fatal(err)
	}
	warm, lasts := 4*time.Minute, 8*time.Minute
	c, err := traced.New(sim.Config{Blueprint: bp, Load: l, Seed: 31, Duration: runs(warm + lasts)}, m.Needs())
	if err != nil {
		t.Fatal(err)
	}
	judges := make([]*foresail.Judge, len(bp.App.Endpoints))
	all := make([]*sketch.Sketch, len(bp.App.Endpoints))
	for i := range judges {
		judges[i], all[i] = foresail.NewJudge(foresail.EndpointID(i), *bp.App.Endpoints[i].Objective), sketch.New()
	}
	var start time.Time
	beats, replicas := 0.0, 0.0
	var scores expected.Scores
	var longest time.Duration
	minuteLat := make([]*sketch.Sketch, len(judges))
	minRep, minBeats := 0.0, 0.0
	err = loop.Run(context.Background(), c, timed{m, &longest}, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) {
			if start.IsZero() {
				start = s.Start
			}
			scores.Observed(s)
			for i := range minuteLat {
				if minuteLat[i] == nil {
					minuteLat[i] = sketch.New()
				}
				minuteLat[i].Merge(s.Endpoints[i].Latency)
			}
			minBeats++
			for i := range s.Services {
				minRep += float64(len(s.Services[i].Replicas))
			}
			if s.End.Truncate(time.Minute).Equal(s.End) {
				line := fmt.Sprintf("%v  %.1f replicas", s.End.Sub(start), minRep/minBeats)
				for i := range minuteLat {
					line += fmt.Sprintf("  %s %.1f", bp.App.Endpoints[i].Name, minuteLat[i].Quantile(0.99)*1000)
					minuteLat[i] = nil
				}
				minRep, minBeats = 0, 0
				fmt.Println(line)
			}
			if s.Start.Sub(start) < warm {
				return
			}
			beats++
			for i := range s.Services {
				replicas += float64(len(s.Services[i].Replicas))
			}
			for i, j := range judges {
				j.Add(s)
				all[i].Merge(s.Endpoints[i].Latency)
			}
		},
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				fmt.Println(d.Err)
			}
			if d.Plan != nil {
				scores.Planned(d.Plan)
				line := d.Plan.At.Sub(start).String() + " " + d.Plan.Note
				for _, e := range d.Plan.Expected {
					line += fmt.Sprintf("  %s %.1f", bp.App.Endpoints[e.Endpoint].Name, e.Latency*1000)
				}
				fmt.Println(line)
				for i, ch := range d.Plan.Changes {
					if i < 40 && os.Getenv("DERM_REASONS") != "" {
						fmt.Println("   ", bp.App.Services[ch.Service].Name, ch.To.Replicas, ch.Reason.Text, ch.Reason.Bound, strings.Join(ch.Reason.Considered, "; "))
					}
				}
			}
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i, j := range judges {
		fmt.Printf("%s: %d of %d windows violated, p99 %.1f ms of %v\n", bp.App.Endpoints[i].Name, j.Violated, j.Windows, all[i].Quantile(0.99)*1000, bp.App.Endpoints[i].Objective)
	}
	fmt.Printf("%.2f replicas, longest decision %v, score %+v\n", replicas/beats, longest, scores.Score(start.Add(24*time.Hour)))
}

type timed struct {
	*derm.Manager
	longest *time.Duration
}

func (m timed) Decide(h *foresail.History) (*foresail.Plan, error) {
	at := time.Now()
	defer func() { *m.longest = max(*m.longest, time.Since(at)) }()
	return m.Manager.Decide(h)
}

func runs(d time.Duration) time.Duration {
	if v, err := time.ParseDuration(os.Getenv("DERM_FOR")); err == nil {
		return v
	}
	return d
}
