package demos

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

// queue foresees a violation where one service has so many requests in flight: a model that anybody can check.
type queue struct {
	service string
	length  float64
	app     *foresail.App
}

func (q *queue) Fits(app *foresail.App) error { q.app = app; return nil }
func (q *queue) Beats() int                   { return 1 }
func (q *queue) Within() time.Duration        { return 500 * time.Millisecond }
func (q *queue) Needs() foresail.Signals      { return foresail.SignalInFlight }
func (q *queue) Foresee(beats []*foresail.Snapshot, culprit []float64) (seer.Verdict, error) {
	id, _ := q.app.ServiceByName(q.service)
	v := beats[0].Services[id].InFlight.Last
	culprit[id] = 0.9
	return seer.Verdict{Violation: min(v/q.length/2, 1), Alarm: v >= q.length}, nil
}

// staged is the demo's first minute and a bit, as fast as it goes.
func staged(t *testing.T, model seer.Model) (told string, out []Outcome, seconds [2][]*foresail.Snapshot) {
	show := all[0]
	bp, err := appfile.ReadApp(show.Application)
	if err != nil {
		t.Fatal(err)
	}
	day, err := appfile.ParseLoad("demo", []byte(show.Day), bp.App, nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := sim.Config{Blueprint: bp, Load: day, Seed: 1, Duration: 62 * time.Second}
	cfg.Faults = show.Faults(cfg.Duration)
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var managed [2]foresail.Manager
	for i := range managed {
		if managed[i], err = managers.New("autoscale-cons", bp.App); err != nil {
			t.Fatal(err)
		}
	}
	if model != nil {
		if managed[0], err = seer.New(managed[0], model, seer.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	d := Controlled(s, day, bp.App, &show)
	var tell strings.Builder
	alone := d.Alone(cfg, managed[1], &tell)
	keep := func(i int) loop.Events {
		return loop.Events{Observed: func(_ *foresail.History, s *foresail.Snapshot) { seconds[i] = append(seconds[i], s) }}
	}
	o := loop.Options{Mode: loop.Auto, Events: keep(0)}
	end, err := alone.Start(t.Context(), keep(1), &o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(loop.Run(t.Context(), d, managed[0], o), end()); err != nil {
		t.Fatal(err)
	}
	return tell.String(), alone.story.Outcomes, seconds
}

// numbers are enough of a beat to tell runs apart.
func numbers(s *foresail.Snapshot) (out string) {
	for i := range s.Services {
		v := &s.Services[i]
		out += fmt.Sprint(v.CPU, v.InFlight, v.Allocation, " ")
	}
	for i := range s.Endpoints {
		out += fmt.Sprint(s.Endpoints[i].Requests, s.Endpoints[i].Late, " ")
	}
	return out
}

// Two runs under managers that do the same are one run: the same requests, the same fault, beat by beat.
func TestTheTwinIsTheSame(t *testing.T) {
	told, out, seen := staged(t, nil)
	if len(seen[0]) != 620 || len(seen[1]) != 620 {
		t.Fatalf("%d and %d beats", len(seen[0]), len(seen[1]))
	}
	for i := range seen[0] {
		if a, b := numbers(seen[0][i]), numbers(seen[1][i]); a != b {
			t.Fatalf("beat %d is %s and %s", i, a, b)
		}
	}
	if len(out) != 1 || out[0].Foreseen != nil || out[0].Missed != out[0].MissedBeside || out[0].CoresAdded != 0 {
		t.Errorf("%+v\n%s", out, told)
	}
}

// What is foreseen at the service that the fault is on is acted on, explained and told, and what it saved is counted.
func TestTheStory(t *testing.T) {
	told, out, _ := staged(t, &queue{service: all[0].troubles[0].Service, length: 15})
	if len(out) != 1 || out[0].Foreseen == nil || *out[0].Foreseen <= 0 || out[0].Service != all[0].troubles[0].Service || out[0].Resource != "cpu" ||
		out[0].MissedBeside == 0 || out[0].Missed >= out[0].MissedBeside || out[0].CoresAdded <= 0 {
		t.Errorf("%+v", out)
	}
	for _, want := range []string{"injected: cpu-contention on", "foreseen: a violation", "acted: ", "explained: cpu at", "windows missed"} {
		if !strings.Contains(told, want) {
			t.Errorf("nothing of %q in\n%s", want, told)
		}
	}
	t.Log("\n" + told)
}

// Faults come one after the other, each over before the next, and none outlasts the demo.
func TestFaultsOfTheDemo(t *testing.T) {
	for _, d := range []time.Duration{0, 30 * time.Second, 5 * time.Minute} {
		s := all[0].Faults(d)
		for i, f := range s.Fixed {
			if d > 0 && f.At+f.For > d || i > 0 && f.At < s.Fixed[i-1].At+s.Fixed[i-1].For+faultOver {
				t.Errorf("%v: fault %d is %v", d, i, &f)
			}
		}
		if want := map[time.Duration]int{0: mostFaults, 30 * time.Second: 0, 5 * time.Minute: 4}[d]; len(s.Fixed) != want {
			t.Errorf("%d faults in %v, not %d", len(s.Fixed), d, want)
		}
	}
	if all[1].Shows() == nil || all[0].Shows() != nil {
		t.Error("which demo shows foresight?")
	}
}
