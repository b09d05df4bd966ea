package managers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/plantest"
)

func TestEveryManagerHasItsNameAndDecides(t *testing.T) {
	for _, name := range managers.Names() {
		app := plantest.App(3)
		m, err := managers.New(name, app)
		if err != nil || m.Name() != name || managers.About(name) == "" {
			t.Fatalf("%s: %v, %v, %q", name, m, err, managers.About(name))
		}
		g, err := managers.Guarded(name, "hpa", app)
		if err != nil || g.Name() != "guard("+name+")" {
			t.Fatalf("%s: %v, %v", name, g, err)
		}
		if managers.UsesModel(name) {
			withoutModel(t, app, m, g)
			continue
		}
		for _, m := range []foresail.Manager{m, g} {
			c := &plantest.Cluster{Application: app, Shapes: true, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.8 }}
			c.Put(2, foresail.Allocation{Replicas: 2, CPU: 1})
			h := c.Filled(m.Needs(), 20*time.Second)
			p, err := m.Decide(h)
			for i := 0; i < 10*600 && (p == nil || len(p.Changes) == 0) && err == nil; i++ {
				if i == 3*600 {
					c.Put(2, foresail.Allocation{Replicas: 2, CPU: 0.1}) // far too little, whatever the rule
				}
				h.Add(c.Step())
				p, err = m.Decide(h) // some sample for minutes before they say anything
			}
			if err != nil || p == nil || len(p.Changes) == 0 || p.Manager != m.Name() {
				t.Errorf("%s: %+v, %v", m.Name(), p, err)
				continue
			}
			for _, ch := range p.Changes {
				if ch.Reason.Rule == "" || ch.Reason.Text == "" || len(ch.Reason.Considered) == 0 {
					t.Errorf("%s: no full reason: %+v", m.Name(), ch)
				}
			}
		}
	}
}

// withoutModel holds a manager that decides with a model, and has none, to saying so; in the guard the baseline decides.
func withoutModel(t *testing.T, app *foresail.App, m, g foresail.Manager) {
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.8 }}
	h := c.Filled(g.Needs(), 40*time.Second)
	if p, err := m.Decide(h); p != nil || !errors.Is(err, foresail.ErrNoModel) || !strings.Contains(err.Error(), "--model") {
		t.Errorf("%s: %+v, %v", m.Name(), p, err)
	}
	if p, err := g.Decide(h); err != nil || p == nil || !strings.Contains(p.Fallback, m.Name()+": no model") {
		t.Errorf("%s: %+v, %v", g.Name(), p, err)
	}
}

// A manager is a function of what it saw: two built alike decide alike.
func TestManagersAreDeterministic(t *testing.T) {
	for _, name := range managers.Names() {
		var runs [2]string
		for k := range runs {
			app := plantest.App(2)
			m, _ := managers.Guarded(name, "hpa", app)
			c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
				return 0.3 + float64(int(at/time.Second)*(7+int(id))%23)/10
			}}
			h := foresail.NewHistory(app, m.Needs())
			for i := range 600 {
				h.Add(c.Step())
				if i%10 != 9 {
					continue
				}
				p, err := m.Decide(h)
				runs[k] += fmt.Sprintf("%+v %v\n", p, err)
				if p != nil {
					_ = c.Apply(t.Context(), p)
				}
			}
		}
		if runs[0] != runs[1] {
			t.Errorf("%s decides differently on the same observations", name)
		}
	}
}

func TestAnUnknownNameIsAnsweredWithTheOnesThereAre(t *testing.T) {
	_, err := managers.New("hpaa", plantest.App(1))
	if err == nil || !strings.Contains(err.Error(), `unknown manager "hpaa": use static, static-max, hpa`) {
		t.Errorf("got %v", err)
	}
	if _, err := managers.Guarded("", "hpa", plantest.App(1)); err == nil {
		t.Error("no name was accepted")
	}
}

func TestAModelIsForWhoUsesIt(t *testing.T) {
	_, err := managers.Build("hpa", plantest.App(1), managers.Options{Model: managers.Trained(nil), Settings: map[string]float64{"x": 1}})
	if err == nil || !strings.Contains(err.Error(), "hpa uses no model") || !strings.Contains(err.Error(), `unknown setting "x"`) {
		t.Error(err)
	}
	if _, err := managers.Guarded("hpa", "sinan", plantest.App(1)); err == nil || !strings.Contains(err.Error(), "not reactive") {
		t.Error(err)
	}
	if _, err := managers.ReadModel([]byte("no model")); err == nil {
		t.Error("a text was taken for a model")
	}
}
