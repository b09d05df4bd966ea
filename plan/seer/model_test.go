package seer_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/foresee"
	"foresail.dev/model/foresee/label"
	"foresail.dev/model/foresee/network"
	"foresail.dev/plan/plantest"
	"foresail.dev/plan/seer"
)

// queues is a run of plantest's application in which what is in flight at service 1 grows for five beats before each violation.
func queues(name string, seed int) *foresee.Run {
	const beats, every = 1200, 150
	r := &foresee.Run{Name: name, Start: plantest.Epoch, Beat: foresail.Beat, Services: 3, Calls: [][2]foresail.ServiceID{{0, 1}, {1, 2}}}
	for b := range beats {
		for s := range 3 {
			level := 0.5 + float32((b*7+s*3+seed*5)%11)/110
			if left := every - 1 - b%every; s == 1 && b >= every-1 && left < 6 {
				level += float32(6-left) * 0.2
			}
			r.Values = append(r.Values, level, level, 0, 0, 0.5)
		}
	}
	for b := 2*every - 1; b < beats; b += every {
		at := r.End(b)
		r.Episodes = append(r.Episodes, label.Episode{Start: at.Add(-200 * time.Millisecond), Broken: at, End: at.Add(time.Second), Over: at.Add(2 * time.Second), Culprit: 1})
	}
	return r
}

// A trained model raises the culprit before the violation; what it says hangs on the newest beats alone, however often it was asked.
func TestATrainedModelActs(t *testing.T) {
	app := plantest.App(3)
	cfg := foresee.Default()
	cfg.Network, cfg.Signal, cfg.Window, cfg.Epochs, cfg.Horizon = network.CNN, foresee.Application, 5, 6, 300*time.Millisecond
	runs := []*foresee.Run{queues("a", 1), queues("b", 2), queues("c", 3), queues("d", 4)}
	m, report, err := foresee.Train(context.Background(), foresee.SchemaOf(app), runs, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", report)
	w := newWorld(t, &inner{}, seer.Trained(m))
	calm := 0.5 // plantest has as many requests in flight as cores are wanted
	demand := func(id foresail.ServiceID, at time.Duration) float64 {
		if id == 1 && at >= 4*time.Second {
			return calm + float64(at-4*time.Second)/float64(foresail.Beat)*0.2
		}
		return calm
	}
	w.Demand = demand
	if n := len(alarms(w.until(4 * time.Second))); n > 0 {
		t.Fatalf("%d alarms in quiet", n)
	}
	all := alarms(w.until(4800 * time.Millisecond))
	if len(all) != 1 || all[0].Service != 1 || all[0].Within != 300*time.Millisecond {
		t.Fatalf("alarms are %+v", all)
	}
	if c := w.Have(1).Cores(); c <= 1 {
		t.Errorf("the culprit has %v cores", c)
	}

	often, seldom := seer.Trained(m), seer.Trained(m)
	c := &plantest.Cluster{Application: app, Demand: demand}
	h := foresail.NewHistory(app, foresail.Needs{Every: foresail.Beat, Beats: 20, Optional: foresail.SignalsAll})
	p, q := make([]float64, 3), make([]float64, 3)
	for b := range 60 {
		h.Add(c.Step())
		if b < 5 {
			continue
		}
		v, err := often.Foresee(h.Beats(5), p)
		if err != nil {
			t.Fatal(err)
		}
		if b%7 != 0 {
			continue
		}
		u, err := seldom.Foresee(h.Beats(5), q)
		if err != nil || u != v || p[1] != q[1] {
			t.Fatalf("beat %d: asked often it says %+v, asked seldom %+v, %v", b, v, u, err)
		}
	}
	slow := []*foresail.Snapshot{{Start: plantest.Epoch, End: plantest.Epoch.Add(time.Minute), Services: make([]foresail.ServiceStats, 3)}}
	if _, err := seldom.Foresee(slow, q); err == nil {
		t.Error("a minute passes for a beat")
	}
}
