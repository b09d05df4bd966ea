package madu

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
	"foresail.dev/plan/plantest"
)

func wave(id foresail.ServiceID, at time.Duration) float64 {
	return 1.5 + float64(id) + math.Sin(at.Minutes()/4)
}

// One that was saved and restored goes on as if nothing had been, whatever the method learns on the way.
func TestStateSurvives(t *testing.T) {
	for _, method := range []string{"last-value", "ridge", "foresail", "holt-winters"} {
		app := plantest.App(2)
		m := manager(t, app, Config{Forecaster: method})
		c := &plantest.Cluster{Application: app, Beat: 5 * time.Second, Demand: wave}
		h := foresail.NewHistory(app, m.Needs())
		play(t, m, c, h, 47*time.Minute)
		b, err := m.Save()
		if err != nil {
			t.Fatal(err)
		}
		again := manager(t, app, Config{Forecaster: method})
		if err := again.Restore(b); err != nil {
			t.Fatal(err)
		}
		for range 5 * 60 {
			h.Add(c.Step())
			p, err := m.Decide(h)
			q, err2 := again.Decide(h)
			if !reflect.DeepEqual(p, q) || err != nil || err2 != nil {
				t.Fatalf("%s: %+v %v\nand %+v %v", method, p, err, q, err2)
			}
			if p != nil {
				_ = c.Apply(t.Context(), p)
			}
		}
	}
}

func TestAStateThatIsNoneIsRefused(t *testing.T) {
	m := manager(t, plantest.App(1), Config{Forecaster: "last-value"})
	before, _ := m.Save()
	for _, bad := range []string{"{", `{"Services":[null]}`, `{"Services":[{"Calls":"AAA="}]}`, `{"Services":[{"Plan":[1]}]}`,
		`{"Services":[{"Calls":"AACAfw=="}]}`, `{"Services":[{"Model":{"Method":"tarot"}}]}`} {
		if err := m.Restore([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "madu: state: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if after, _ := m.Save(); string(after) != string(before) {
		t.Error("a refused state was taken")
	}
}

// slow is a method that must be trained outside of decisions.
type slow struct{ trained *int }

func (slow) Name() string { return "slow" }
func (s slow) Train(h forecast.Series, o forecast.Options) (forecast.Forecaster, error) {
	*s.trained++
	return flat(24000, 0), nil
}

// What takes long to train is trained by Learn alone; until then another method stands in, and the plan says so.
func TestLearning(t *testing.T) {
	app := plantest.App(1)
	trained := 0
	m := manager(t, app, Config{Method: slow{&trained}})
	m.fast = false
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 1 }}
	h := foresail.NewHistory(app, m.Needs())
	play(t, m, c, h, 4*time.Minute)
	h.Add(c.Step())
	if trained != 0 || c.Have(0).Replicas > 3 {
		t.Errorf("trained %d times in decisions, %v", trained, c.Have(0))
	}
	p, err := m.Decide(c.Filled(m.Needs(), 2*time.Minute))
	if err != nil || p == nil || !strings.Contains(p.Note, "s0: slow has not been trained: "+m.standIn.Name()+" stands in") {
		t.Errorf("%+v, %v", p, err)
	}
	var _ foresail.Learner = m
	if err := m.Learn(); err != nil || trained != 1 {
		t.Fatal(err, trained)
	}
	play(t, m, c, h, 3*time.Minute)
	if trained != 1 || c.Have(0).Replicas != 8 {
		t.Errorf("trained %d times, %v: want the learnt 24,000 calls on 8 replicas", trained, c.Have(0))
	}
	b, err := m.Save()
	again := manager(t, app, Config{Method: slow{&trained}})
	if err != nil || errors.Join(again.Restore(b)) != nil || !again.state.Services[0].Model.Learnt {
		t.Error("what was learnt is lost", err)
	}
}

// After a jump back in time the calls begin anew; what replicas use for calls is still known.
func TestTimeJumpsBack(t *testing.T) {
	app := plantest.App(1)
	m := manager(t, app, Config{Forecaster: "last-value"})
	c := &plantest.Cluster{Application: app, Beat: time.Second, Demand: wave,
		Shift: func(at time.Duration) time.Duration {
			if at >= 5*time.Minute {
				return -time.Hour
			}
			return 0
		}}
	play(t, m, c, foresail.NewHistory(app, m.Needs()), 9*time.Minute)
	svc := m.state.Services[0]
	if n := len(svc.Calls); n < 3 || n > 4 || svc.Profile.Seen < 7 {
		t.Errorf("%d minutes of calls, %d samples", n, svc.Profile.Seen)
	}
}

// A network's weights are kept, not trained again.
func TestNetworksAreKept(t *testing.T) {
	app := plantest.App(2)
	c := &plantest.Cluster{Application: app, Beat: 10 * time.Second, Demand: wave}
	m := manager(t, app, Config{N: 10, M: 3, Steps: 4})
	h := foresail.NewHistory(app, m.Needs())
	for range 60 * 6 {
		h.Add(c.Step())
		if _, err := m.Decide(h); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Learn(); err != nil {
		t.Fatal(err)
	}
	b, err := m.Save()
	if err != nil {
		t.Fatal(err)
	}
	again := manager(t, app, Config{N: 10, M: 3, Steps: 4})
	if err := again.Restore(b); err != nil {
		t.Fatal(err)
	}
	if got := again.state.Services[0].Model; got.Method != "madu" || !got.Learnt {
		t.Errorf("%+v", got)
	}
	for range 5 * 6 {
		h.Add(c.Step())
		p, err := m.Decide(h)
		q, err2 := again.Decide(h)
		if !reflect.DeepEqual(p, q) || err != nil || err2 != nil {
			t.Fatalf("%+v %v\nand %+v %v", p, err, q, err2)
		}
	}
}

// Whatever a state is said to be, it is refused, or can be gone on from. go test -fuzz FuzzRestore -fuzztime 10s ./plan/madu
func FuzzRestore(f *testing.F) {
	app := plantest.App(2)
	m := manager(f, app, Config{Forecaster: "last-value"})
	c := &plantest.Cluster{Application: app, Beat: 10 * time.Second, Demand: wave}
	play(f, m, c, foresail.NewHistory(app, m.Needs()), 5*time.Minute)
	kept, err := m.Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(kept)
	f.Add([]byte(`{"Last":"2026-03-01T12:04:00Z","Minute":-3,"Asked":[-9,7,7],"Services":[{"Calls":"AAAAAA==","Seen":-1,"Plan":[-5,9],"Ahead":[1,2],"Model":{"Method":"last-value","Trained":4}}]}`))
	h := c.Filled(m.Needs(), 2*time.Minute)
	f.Fuzz(func(t *testing.T, data []byte) {
		m := manager(t, app, Config{Forecaster: "last-value"})
		if m.Restore(data) != nil {
			return
		}
		p, err := m.Decide(h)
		if err != nil && p != nil {
			t.Fatal("a plan and an error")
		}
		if _, err := m.Save(); err != nil {
			t.Fatal(err)
		}
	})
}
