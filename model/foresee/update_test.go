package foresee

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/model/foresee/label"
	"foresail.dev/model/foresee/network"
)

// renamed is chain(n) in which services have other names: an empty one has gone.
func renamed(n int, names map[int]string) *foresail.App {
	app := chain(n)
	for i, name := range names {
		if app.Services[i].Name = name; name == "" {
			app.Services[i].Name, app.Services[i].Gone = fmt.Sprint("s", i), true
		}
	}
	return app
}

// After an update with one service more, the old model knows nothing of it; trained on with a few episodes, in a fraction of the epochs, it
// names it as well as the others.
func TestAnUpdateIsLearnt(t *testing.T) {
	ctx := context.Background()
	unseen := []*Run{made(5, 40, 13)}
	for _, kind := range []network.Kind{network.Hybrid, network.LSTM} {
		old := trained(t, kind)
		before, err := Carry(old, chain(5), unseen[0].Calls)
		if err != nil {
			t.Fatal(err)
		}
		cfg := Updating(old)
		cfg.Rate, cfg.Epochs = 0.01, 12
		after, report, err := Update(ctx, old, chain(5), []*Run{made(5, 40, 11)}, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		located := func(m *Model) (right float64) {
			r := Evaluate(JudgeAll(m, unseen, m.Horizon(), m.Beats()), m.Threshold())
			for _, o := range r.Outcomes {
				if o.Caught && o.Named == unseen[0].Episodes[o.Episode].Culprit {
					right++
				}
			}
			return right / float64(len(r.Outcomes))
		}
		was, is := located(before), located(after)
		t.Logf("%s: %.2f before, %.2f after %d moments", kind, was, is, report.Violations)
		if is < 0.75 || is <= was {
			t.Errorf("%s: %.2f of episodes are located, before the update was learnt %.2f", kind, is, was)
		}
		if err := after.Fits(chain(5)); err != nil {
			t.Error(err)
		}
		var file bytes.Buffer
		if err := Write(&file, after); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&file); err != nil {
			t.Error(err)
		}
		again, _, err := Update(ctx, old, chain(5), []*Run{made(5, 40, 11)}, cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, _ := after.MarshalBinary()
		if b, _ := again.MarshalBinary(); !bytes.Equal(a, b) {
			t.Errorf("%s: the same update gave another model", kind)
		}
	}
}

// Whatever came and went: services that stay have their places as long as there are as many, every one has one place, and a model for
// what is there now is made and judged with.
func TestPlacesAreKept(t *testing.T) {
	old := untrained(network.Hybrid, 6, Application, 5)
	rapid.Check(t, func(t *rapid.T) {
		app := chain(6)
		for i := range app.Services {
			app.Services[i].Gone = i > 0 && rapid.Float64Range(0, 1).Draw(t, "gone") < 0.3
		}
		for k := range rapid.IntRange(0, 5).Draw(t, "new") {
			app.Services = append(app.Services, foresail.Service{Name: fmt.Sprint("new", k)})
		}
		n := len(app.Services)
		var calls [][2]foresail.ServiceID
		for range rapid.IntRange(0, 8).Draw(t, "calls") {
			calls = append(calls, [2]foresail.ServiceID{foresail.ServiceID(rapid.IntRange(0, n-1).Draw(t, "from")), foresail.ServiceID(rapid.IntRange(0, n-1).Draw(t, "to"))})
		}
		m, err := Carry(old, app, calls)
		if err != nil {
			t.Fatal(err)
		}
		if sorted := slices.Sorted(slices.Values(m.order)); len(sorted) != n || sorted[0] != 0 || int(sorted[n-1]) != n-1 || len(slices.Compact(sorted)) != n {
			t.Fatalf("the order is %v", m.order)
		}
		for k, s := range old.order {
			if !app.Services[s].Gone && m.order[k] != s {
				t.Fatalf("service %d was at %d; the order is %v", s, k, m.order)
			}
		}
		if err := m.Fits(app); err != nil {
			t.Fatal(err)
		}
		out := make([]Judgement, 8)
		m.Judge(&Run{Start: begin, Beat: foresail.Beat, Services: n, Values: make([]float32, 8*n*Numbers)}, out)
		if out[7].Score != out[7].Score {
			t.Fatal("it says nothing")
		}
	})
}

// What replaces a service that has gone takes its place: best the one that those call which called it.
func TestWhatReplacesAServiceTakesItsPlace(t *testing.T) {
	old := untrained(network.Hybrid, 4, Application, 5) // s0 to s3, in this order
	app := renamed(4, map[int]string{2: ""})
	for _, name := range []string{"front2", "store"} {
		app.Services = append(app.Services, foresail.Service{Name: name})
	}
	m, err := Carry(old, app, [][2]foresail.ServiceID{{0, 1}, {1, 3}, {4, 0}, {3, 5}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []foresail.ServiceID{0, 1, 5, 3, 4, 2}; !slices.Equal(m.order, want) {
		t.Errorf("the order is %v, want %v", m.order, want)
	}
}

func TestBadUpdatesAreNamed(t *testing.T) {
	old := untrained(network.CNN, 4, Application, 5)
	run := made(4, 2, 1)
	silent := *run
	silent.Episodes = nil
	unknown := *run
	unknown.Episodes = slices.Clone(run.Episodes)
	for i := range unknown.Episodes {
		unknown.Episodes[i].Culprit = label.Nobody
	}
	few := untrained(network.CNN, 4, Application, 5)
	wide := untrained(network.CNN, network.Wide, Application, 5)
	for want, do := range map[string]func() error{
		"no run":             func() error { return update(old, chain(4)) },
		"has 4 services":     func() error { return update(old, chain(5), run) },
		"0 moments before a": func() error { return update(old, chain(4), &silent) },
		"0 moments before":   func() error { return update(old, chain(4), &unknown) },
		"none of the services": func() error {
			_, err := Carry(old, renamed(4, map[int]string{0: "a", 1: "b", 2: "c", 3: "d"}), nil)
			return err
		},
		"does not become one for 5":   func() error { _, err := Carry(few, chain(5), nil); return err },
		"does not become one for 129": func() error { _, err := Carry(wide, chain(network.Wide+1), nil); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	stopped, stop := context.WithCancel(context.Background())
	stop()
	if _, _, err := Update(stopped, old, chain(4), []*Run{made(4, 4, 1)}, Updating(old), nil); err == nil {
		t.Error("it goes on when it is told to stop")
	}
}

func update(old *Model, app *foresail.App, runs ...*Run) error {
	_, _, err := Update(context.Background(), old, app, runs, Updating(old), nil)
	return err
}

func BenchmarkUpdate(b *testing.B) {
	old := untrained(network.Hybrid, 36, Application, 10)
	app := chain(38)
	rng := rand.New(rand.NewPCG(1, 1))
	run := made(38, 20, rng.Uint64())
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := Update(context.Background(), old, app, []*Run{run}, Updating(old), nil); err != nil {
			b.Fatal(err)
		}
	}
}
