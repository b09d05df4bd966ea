package managers_test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

// world draws histories that no application would have: signals come and go, replicas appear and vanish, numbers are
// large, zero or from another time, services are added in mid-run.
type world struct {
	t   *rapid.T
	app *foresail.App
	at  time.Time
}

func newWorld(t *rapid.T) *world {
	return &world{t: t, app: plantest.App(rapid.IntRange(1, 4).Draw(t, "services")), at: plantest.Epoch}
}

func (w *world) amount(name string) float64 {
	return rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 3), rapid.Float64Range(0, 1e6)).Draw(w.t, name)
}

func (w *world) signals(name string) foresail.Signals {
	if rapid.IntRange(0, 3).Draw(w.t, name) > 0 {
		return foresail.SignalsAll
	}
	return foresail.Signals(rapid.Uint32().Draw(w.t, name)) & foresail.SignalsAll
}

func (w *world) allocation(name string) foresail.Allocation {
	return foresail.Allocation{Replicas: rapid.IntRange(0, 25).Draw(w.t, name), CPU: w.amount(name), Memory: int64(w.amount(name))}
}

func (w *world) latency() *sketch.Sketch {
	if rapid.IntRange(0, 4).Draw(w.t, "no latency") == 0 {
		return nil
	}
	l := sketch.New()
	l.AddN(w.amount("latency"), w.amount("count"))
	return l
}

func (w *world) usage(u *foresail.Usage) {
	u.Has = w.signals("has")
	u.Ready = rapid.IntRange(0, 5).Draw(w.t, "ready")
	u.CPU, u.Throttled, u.Memory = w.amount("cpu"), time.Duration(w.amount("throttled")*1e6), int64(w.amount("memory"))
	u.Arrivals, u.Completions = w.amount("arrivals"), w.amount("completions")
	u.Errors = min(w.amount("errors"), u.Completions)
	u.Latency = w.latency()
}

// next is one snapshot, and sometimes a new generation of the application.
func (w *world) next() *foresail.Snapshot {
	if rapid.IntRange(0, 30).Draw(w.t, "grow") == 0 && len(w.app.Services) < 8 {
		w.app = plantest.App(len(w.app.Services) + 1)
		w.app.Generation = len(w.app.Services)
	}
	d := rapid.SampledFrom([]time.Duration{100 * time.Millisecond, time.Second, 20 * time.Second, time.Minute}).Draw(w.t, "length")
	switch rapid.IntRange(0, 40).Draw(w.t, "clock") {
	case 0:
		w.at = w.at.Add(-time.Hour)
	case 1:
		w.at = w.at.Add(26 * time.Hour)
	}
	s := &foresail.Snapshot{Start: w.at, End: w.at.Add(d), Generation: w.app.Generation, Has: w.signals("of the whole")}
	w.at = s.End
	if rapid.IntRange(0, 9).Draw(w.t, "stale") == 0 {
		s.Stale = true
		return s
	}
	s.Services = make([]foresail.ServiceStats, len(w.app.Services))
	for i := range s.Services {
		st := &s.Services[i]
		w.usage(&st.Usage)
		st.Allocation = w.allocation("allocation")
		if rapid.IntRange(0, 5).Draw(w.t, "pending") == 0 {
			a := w.allocation("pending")
			st.Pending = &a
		}
		for k := range rapid.IntRange(0, 3).Draw(w.t, "replicas") {
			r := foresail.ReplicaStats{Name: fmt.Sprint(k), Gone: rapid.IntRange(0, 5).Draw(w.t, "gone") == 0}
			if rapid.Bool().Draw(w.t, "started known") {
				r.Started = w.at.Add(-time.Duration(w.amount("age")) * time.Second)
			}
			w.usage(&r.Usage)
			st.Replicas = append(st.Replicas, r)
		}
		if i > 0 {
			s.Edges = append(s.Edges, foresail.EdgeStats{From: foresail.ServiceID(i - 1), To: foresail.ServiceID(i), Calls: w.amount("calls"), Latency: w.latency()})
		}
	}
	for range w.app.Endpoints {
		e := foresail.EndpointStats{Arrivals: w.amount("arrivals"), Requests: w.amount("requests"), Latency: w.latency()}
		e.Errors = min(w.amount("errors"), e.Requests)
		s.Endpoints = append(s.Endpoints, e)
	}
	if s.Has.Has(foresail.SignalShapes) {
		w.shapes(s)
	}
	return s
}

// shapes draws call graphs, in the order of their keys.
func (w *world) shapes(s *foresail.Snapshot) {
	for range rapid.IntRange(0, 3).Draw(w.t, "shapes") {
		visits := make([]foresail.Visit, rapid.IntRange(1, 5).Draw(w.t, "visits"))
		sh := foresail.ShapeStats{Requests: w.amount("requests"), Latency: w.latency()}
		for k := range visits {
			visits[k] = foresail.Visit{Service: foresail.ServiceID(rapid.IntRange(0, len(w.app.Services)-1).Draw(w.t, "service")),
				Operation: rapid.SampledFrom([]string{"", "a", "b"}).Draw(w.t, "operation"), Parent: rapid.IntRange(0, max(k-1, 0)).Draw(w.t, "parent"),
				Step: rapid.IntRange(0, 2).Draw(w.t, "step"), Times: rapid.IntRange(1, 3).Draw(w.t, "times"), Async: k > 0 && rapid.IntRange(0, 5).Draw(w.t, "async") == 0}
			sh.Own = append(sh.Own, w.latency())
		}
		visits[0].Parent = -1
		var err error
		if sh.Form, err = foresail.NewForm(0, visits); err != nil {
			w.t.Fatal(err)
		}
		at, found := slices.BinarySearchFunc(s.Shapes, sh.Form.Key(), func(o foresail.ShapeStats, key string) int { return cmp.Compare(o.Form.Key(), key) })
		if !found {
			s.Shapes = slices.Insert(s.Shapes, at, sh)
		}
	}
}

// Whatever they see, no manager panics; what they ask for lies within the bounds, is said with a reason and once for each
// service; one built alike decides alike, and so does one that was saved and restored on the way.
func TestManagersOnRandomHistories(t *testing.T) {
	for _, name := range managers.Names() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { property(t, name) })
		})
	}
}

// go test -fuzz FuzzManagers -fuzztime 10s ./plan/managers
func FuzzManagers(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		property(t, rapid.SampledFrom(managers.Names()).Draw(t, "manager"))
	}))
}

// plain are settings under which a manager takes no time to learn: it is restored after each snapshot, and forecasters have
// properties of their own.
var plain = map[string]map[string]float64{"madu": {"forecaster": 0}}

func property(t *rapid.T, name string) {
	w := newWorld(t)
	var ms [3]foresail.Manager
	for i := range ms {
		var err error
		if ms[i], err = managers.NewWith(name, w.app, plain[name], 7); err != nil {
			t.Fatal(err)
		}
	}
	h := foresail.NewHistory(w.app, ms[0].Needs())
	for range rapid.IntRange(1, 40).Draw(t, "snapshots") {
		s := w.next()
		h.SetApp(w.app)
		h.Add(s)
		if s, ok := ms[2].(foresail.Stateful); ok {
			kept, err := s.Save()
			if err != nil {
				t.Fatalf("saving: %v", err)
			}
			if ms[2], err = managers.NewWith(name, w.app, plain[name], 7); err != nil {
				t.Fatal(err)
			}
			if err := ms[2].(foresail.Stateful).Restore(kept); err != nil {
				t.Fatalf("restoring: %v", err)
			}
		}
		var said [3]string
		for i, m := range ms {
			p, err := m.Decide(h)
			said[i] = fmt.Sprintf("%+v %v", p, err)
			check(t, w.app, m, p, err)
		}
		if said[0] != said[1] || said[0] != said[2] {
			t.Fatalf("one says %s\nits twin     %s\nthe restored %s", said[0], said[1], said[2])
		}
	}
}

func check(t *rapid.T, app *foresail.App, m foresail.Manager, p *foresail.Plan, err error) {
	if err != nil && p != nil {
		t.Fatalf("a plan and an error: %v", err)
	}
	if p == nil {
		return
	}
	if p.Manager != m.Name() {
		t.Fatalf("%s signs as %s", m.Name(), p.Manager)
	}
	last := foresail.ServiceID(-1)
	for _, ch := range p.Changes {
		if ch.Service <= last || int(ch.Service) >= len(app.Services) {
			t.Fatalf("service %d after %d of %d", ch.Service, last, len(app.Services))
		}
		last = ch.Service
		b := app.Services[ch.Service].Bounds
		to := ch.To
		if math.IsNaN(to.CPU) || to.CPU < b.MinCPU || to.CPU > b.MaxCPU || to.Replicas < b.MinReplicas || to.Replicas > b.MaxReplicas {
			t.Fatalf("%v is outside %+v", to, b)
		}
		if ch.Reason.Rule == "" || ch.Reason.Text == "" {
			t.Fatalf("no reason: %+v", ch)
		}
	}
}
