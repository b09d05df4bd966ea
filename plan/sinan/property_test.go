package sinan

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

// fickle predicts anything, the same for the same question.
func fickle(seed uint64) *oracle {
	hash := func(x float64) float64 {
		_, f := math.Modf(math.Abs(math.Sin(x+float64(seed%1000)) * 43758.5453))
		return f
	}
	o := &oracle{margin: 5}
	o.try = func(_ []tail.Step, cores []float64) tail.Prediction {
		sum := 0.0
		for i, c := range cores {
			sum += c * float64(i+1)
		}
		if hash(sum) < 0.02 {
			return of(math.NaN(), math.NaN())
		}
		return of(200*hash(sum+1), hash(sum+2))
	}
	o.outside = func(_ []tail.Step, cores []float64) []string {
		if hash(cores[0]) < 0.2 {
			return []string{"far"}
		}
		return nil
	}
	return o
}

// observed is a second of an application in which anything may have been seen.
func observed(t *rapid.T, app *foresail.App, at time.Time, d time.Duration) *foresail.Snapshot {
	amount := func(name string) float64 {
		return rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(0, 3), rapid.Float64Range(0, 1e6)).Draw(t, name)
	}
	s := &foresail.Snapshot{Start: at, End: at.Add(d), Generation: app.Generation, Has: foresail.SignalsAll, Stale: rapid.IntRange(0, 30).Draw(t, "stale") == 0}
	for range app.Services {
		has := foresail.SignalsAll
		if rapid.IntRange(0, 9).Draw(t, "hidden") == 0 {
			has = foresail.Signals(rapid.Uint32().Draw(t, "has")) & foresail.SignalsAll
		}
		st := foresail.ServiceStats{Usage: foresail.Usage{Has: has, CPU: amount("cpu"), Memory: int64(amount("memory")), Arrivals: amount("arrivals")},
			Allocation: foresail.Allocation{Replicas: rapid.IntRange(0, 25).Draw(t, "replicas"), CPU: amount("cores")}}
		if rapid.IntRange(0, 5).Draw(t, "waits") == 0 {
			st.Pending = &foresail.Allocation{Replicas: rapid.IntRange(0, 25).Draw(t, "pending"), CPU: amount("pending cores")}
		}
		s.Services = append(s.Services, st)
	}
	for range app.Endpoints {
		e := foresail.EndpointStats{Arrivals: amount("arrivals"), Requests: amount("requests"), Latency: sketch.New()}
		e.Latency.AddN(amount("latency")+0.001, e.Requests)
		e.Late = min(amount("late"), e.Requests)
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// Whatever is seen and whatever the model says: plans lie within the bounds and have reasons, one built alike decides alike, and
// so does one that is saved and restored after each decision.
func TestOnRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := plantest.App(rapid.IntRange(1, 4).Draw(t, "services"))
		seed := rapid.Uint64().Draw(t, "model")
		c := Config{Boost: 2 * time.Second, Misses: 2, Earn: 3, PublishedRate: rapid.Bool().Draw(t, "published")}
		build := func() *Manager {
			m, err := With(app, fickle(seed), c)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		ms := [3]*Manager{build(), build(), build()}
		h := foresail.NewHistory(app, ms[0].Needs())
		at := plantest.Epoch
		for range rapid.IntRange(1, 40).Draw(t, "seconds") {
			switch rapid.IntRange(0, 40).Draw(t, "clock") {
			case 0:
				at = at.Add(-time.Hour)
			case 1:
				at = at.Add(time.Hour)
			case 2:
				app = plantest.App(len(app.Services) + 1)
				app.Generation++
			}
			h.SetApp(app)
			h.Add(observed(t, app, at, time.Second))
			at = at.Add(time.Second)
			kept, err := ms[2].Save()
			if err != nil {
				t.Fatal(err)
			}
			ms[2] = build()
			if err := ms[2].Restore(kept); err != nil {
				t.Fatal(err)
			}
			var said [3]string
			for i, m := range ms {
				p, err := m.Decide(h)
				said[i] = fmt.Sprintf("%+v %v", p, err)
				if p != nil && err != nil {
					t.Fatalf("a plan and an error: %v", err)
				}
				last := foresail.ServiceID(-1)
				for k := 0; p != nil && k < len(p.Changes); k++ {
					ch := p.Changes[k]
					b := app.Services[ch.Service].Bounds
					if ch.Service <= last || ch.To.CPU < b.MinCPU || ch.To.CPU > b.MaxCPU || ch.To.Replicas < b.MinReplicas || ch.To.Replicas > b.MaxReplicas {
						t.Fatalf("%+v", ch)
					}
					if ch.Reason.Rule == "" || ch.Reason.Text == "" || len(ch.Reason.Considered) == 0 {
						t.Fatalf("no full reason: %+v", ch)
					}
					last = ch.Service
				}
			}
			if said[0] != said[1] || said[0] != said[2] {
				t.Fatalf("one says %s\nits twin     %s\nthe restored %s", said[0], said[1], said[2])
			}
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"Age":3,"Services":[{"Asked":1}],"Lowered":[[0]],"Expected":{"Safe":true,"Cores":[1]},"Trust":{"Ring":[{"m":true}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		app := plantest.App(2)
		m, _ := With(app, good(), Config{})
		if m.Restore(b) != nil {
			return
		}
		c := &plantest.Cluster{Application: app}
		h := c.Filled(m.Needs(), 10*time.Second)
		if _, err := m.Decide(h); err != nil {
			t.Skip()
		}
	})
}
