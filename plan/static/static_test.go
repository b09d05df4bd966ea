package static_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"foresail.dev/plan/static"
)

func TestWhatAnotherHandChangedIsPutRight(t *testing.T) {
	for _, c := range []struct {
		config static.Config
		name   string
		want   foresail.Allocation
	}{
		{static.Config{}, "static", foresail.Allocation{Replicas: 1, CPU: 1}},
		{static.Config{Max: true}, "static-max", foresail.Allocation{Replicas: 20, CPU: 4}},
	} {
		app := plantest.App(2)
		m, err := static.New(app, c.config)
		if err != nil {
			t.Fatal(err)
		}
		cl := &plantest.Cluster{Application: app}
		cl.Put(1, foresail.Allocation{Replicas: 3, CPU: 0.5})
		h := cl.Filled(m.Needs(), time.Second)
		p, err := m.Decide(h)
		ch, ok := p.Change(1)
		if err != nil || !ok || !ch.To.Equal(c.want) || p.Manager != c.name || ch.Reason.Text == "" {
			t.Errorf("%s: %+v, %v", c.name, p, err)
		}
		_ = cl.Apply(t.Context(), p)
		h.Add(cl.Step())
		if p, err := m.Decide(h); p != nil || err != nil {
			t.Errorf("%s: asks again: %+v, %v", c.name, p, err)
		}
	}
}

func TestAPendingAllocationIsNotAskedForAgain(t *testing.T) {
	app := plantest.App(1)
	m, _ := static.New(app, static.Config{Max: true})
	c := &plantest.Cluster{Application: app, Delay: time.Minute}
	h := c.Filled(m.Needs(), time.Second)
	p, _ := m.Decide(h)
	_ = c.Apply(t.Context(), p)
	h.Add(c.Step())
	if p, _ := m.Decide(h); p != nil {
		t.Errorf("%+v", p)
	}
}

func TestNothingIsAskedIntoSilence(t *testing.T) {
	app := plantest.App(1)
	m, _ := static.New(app, static.Config{Max: true})
	c := &plantest.Cluster{Application: app, Silent: func(time.Duration) bool { return true }}
	if p, err := m.Decide(c.Filled(m.Needs(), time.Second)); p != nil || err != nil {
		t.Errorf("%+v, %v", p, err)
	}
}
