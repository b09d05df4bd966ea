package loop_test

import (
	"errors"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
)

// grow makes the script's application the next generation from there on.
func (c *script) grow() *script {
	return c.then(func() (*foresail.Snapshot, error) {
		app := *c.app
		app.Generation++
		app.Services = append(app.Services[:1:1], foresail.Service{Name: "till"})
		c.app = &app
		s := c.steps[0]
		c.steps = c.steps[1:]
		return s()
	})
}

// When the application's generation grows, the manager is built anew for it, with the state that the old one had.
func TestAManagerIsRebuiltForANewGeneration(t *testing.T) {
	c := (&script{app: testApp()}).beats(0, beat, 20, usual).grow().beats(2*time.Second, beat, 20, usual)
	old, built := each(time.Second), each(time.Second)
	old.state = "learnt"
	var generations []int
	var services []int
	built.decide = func(h *foresail.History) (*foresail.Plan, error) {
		services = append(services, len(h.App().Services))
		return nil, nil
	}
	run(t, c, stateful{old}, loop.Options{Mode: loop.Auto, Rebuild: func(app *foresail.App) (foresail.Manager, error) {
		generations = append(generations, app.Generation)
		return stateful{built}, nil
	}}).want(t,
		"1s decided: 1 changes, applied true, err <nil>",
		"2s decided: 1 changes, applied true, err <nil>",
		"3s decided: 0 changes, applied false, err <nil>",
		"4s decided: 0 changes, applied false, err <nil>")
	if len(generations) != 1 || generations[0] != 1 || built.state != "learnt" {
		t.Errorf("built for %v, with the state %q", generations, built.state)
	}
	if len(services) != 2 || services[0] != 2 {
		t.Errorf("it saw %v services", services)
	}
}

// A manager that can't be built is told, and the old one goes on.
func TestAManagerThatCannotBeRebuiltGoesOn(t *testing.T) {
	c := (&script{app: testApp()}).beats(0, beat, 10, usual).grow().beats(time.Second, beat, 10, usual)
	run(t, c, each(time.Second), loop.Options{Mode: loop.Recommend, Rebuild: func(*foresail.App) (foresail.Manager, error) {
		return nil, errors.New("no model")
	}}).want(t,
		"1s decided: 1 changes, applied false, err <nil>",
		"trouble: a manager for generation 1 of shop: no model; m goes on",
		"2s decided: 1 changes, applied false, err <nil>")
}

// Whatever a manager says of a service that has gone is not applied, and is no error.
func TestPlansForServicesThatHaveGoneAreDropped(t *testing.T) {
	app := testApp()
	app.Services = append(app.Services, foresail.Service{Name: "till", Gone: true})
	c := (&script{app: app}).beats(0, beat, 10, usual)
	m := each(time.Second)
	m.decide = func(*foresail.History) (*foresail.Plan, error) {
		return &foresail.Plan{Changes: []foresail.Change{{Service: 0}, {Service: 1}}}, nil
	}
	run(t, c, m, loop.Options{Mode: loop.Auto}).want(t, "1s decided: 1 changes, applied true, err <nil>")
	if len(c.applied) != 1 || len(c.applied[0].Changes) != 1 || c.applied[0].Changes[0].Service != 0 {
		t.Errorf("%+v", c.applied)
	}
}
