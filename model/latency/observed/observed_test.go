package observed_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/latency/observed"
	"foresail.dev/sketch"
)

func usage(requests float64) foresail.Usage {
	u := foresail.Usage{Has: foresail.SignalAllocation | foresail.SignalArrivals | foresail.SignalLatency | foresail.SignalReady, Ready: 1, Arrivals: requests, Latency: sketch.New()}
	u.Latency.AddN(0.1, requests)
	return u
}

func snapshot() (*foresail.App, *foresail.Snapshot) {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}, {Name: "store"}}}
	end := time.Unix(1000, 0)
	s := &foresail.Snapshot{Start: end.Add(-10 * time.Second), End: end, Services: make([]foresail.ServiceStats, 3)}
	s.Services[0] = foresail.ServiceStats{Usage: usage(1000), Allocation: foresail.Allocation{Replicas: 2, CPU: 1.5, Settings: map[string]float64{"threads": 8}},
		Replicas: []foresail.ReplicaStats{{Name: "a", Usage: usage(600)}, {Name: "b", Usage: usage(400)}}}
	s.Services[1] = foresail.ServiceStats{Usage: usage(1000), Allocation: foresail.Allocation{Replicas: 1, CPU: 2, Memory: 1 << 20}}
	return app, s
}

func TestValuesAreOfTheServiceAndItsInstances(t *testing.T) {
	app, s := snapshot()
	got := map[string]float64{}
	for _, v := range observed.Values(app, s, observed.Config{Metrics: []string{"0.90"}, Least: 100}) {
		if v.Seq != 1000 {
			t.Error(v)
		}
		got[v.Label] = v.Number
	}
	for label, want := range map[string]float64{"front:cpu": 1.5, "front:threads": 8, "front:rps": 50, "front#1:rps": 60, "front#2:rps": 40, "front#2:cpu": 1.5, "cart:rps": 100, "cart:memory": 1 << 20} {
		if got[label] != want {
			t.Errorf("%s is %v, should be %v", label, got[label], want)
		}
	}
	if v := got["front#1:0.90"]; v < 0.095 || v > 0.105 {
		t.Error(v)
	}
	for label := range got {
		if strings.HasPrefix(label, "store") {
			t.Error(label, "of a service that nothing was observed of")
		}
	}
	if k := observed.Knobs(&s.Services[0]); !slices.Equal(k, []string{"cpu", "threads"}) {
		t.Error(k)
	}
}

// Of a service that is changing, or that had too few requests, nothing is said.
func TestWhatIsNotSteadyIsLeftOut(t *testing.T) {
	for name, change := range map[string]func(app *foresail.App, s *foresail.Snapshot){
		"pending":      func(_ *foresail.App, s *foresail.Snapshot) { s.Services[1].Pending = &foresail.Allocation{Replicas: 2} },
		"starting":     func(_ *foresail.App, s *foresail.Snapshot) { s.Services[1].Replicas = make([]foresail.ReplicaStats, 1) },
		"few requests": func(_ *foresail.App, s *foresail.Snapshot) { s.Services[1].Usage = usage(99) },
		"gone":         func(app *foresail.App, _ *foresail.Snapshot) { app.Services[1].Gone = true },
		"stale":        func(_ *foresail.App, s *foresail.Snapshot) { s.Stale = true },
		"no latency":   func(_ *foresail.App, s *foresail.Snapshot) { s.Services[1].Latency = nil },
	} {
		app, s := snapshot()
		change(app, s)
		for _, v := range observed.Values(app, s, observed.Default()) {
			if strings.HasPrefix(v.Label, "cart") {
				t.Errorf("%s: %+v", name, v)
			}
		}
	}
}

// Who calls whom is what was counted; a cycle is cut and told, and so is who nothing is known of.
func TestServicesAreWhoCallsWhom(t *testing.T) {
	app, s := snapshot()
	s.Edges = []foresail.EdgeStats{{From: 0, To: 1, Calls: 100}, {From: 0, To: 2, Calls: 5}, {From: 1, To: 0, Calls: 1}, {From: 1, To: 1, Calls: 7}}
	var c, both observed.Calls
	c.Add(s)
	both.Join(&c)
	cfg := observed.Config{Metrics: []string{"0.90"}, Least: 1}
	knobs := map[string][]string{"front": {"cpu"}, "cart": {"cpu", "memory"}}
	got, notes, err := both.Services(app, knobs, cfg, "front:0.90")
	if err != nil || len(got) != 2 || got[0].Name != "cart" || got[0].Calls != nil || !slices.Equal(got[1].Calls, []string{"cart"}) || !slices.Equal(got[0].Shows, []string{"cart:cpu", "cart:rps"}) {
		t.Errorf("%+v %v", got, err)
	}
	if text := strings.Join(notes, "; "); !strings.Contains(text, "cart calls front") || !strings.Contains(text, "store is left out") {
		t.Error(text)
	}
	for target, want := range map[string]string{"nobody:0.90": "no service", "front:p90": "no percentile", "store:0.90": "nothing was observed of store"} {
		if _, _, err := both.Services(app, knobs, cfg, target); err == nil || !strings.Contains(err.Error(), want) {
			t.Error(target, err)
		}
	}
}
