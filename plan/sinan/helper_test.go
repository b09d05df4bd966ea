package sinan

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan/plantest"
)

// oracle is a model written by hand. Without functions of its own it knows that a service which is used more is slower: the
// p99 is what the services' shares of use make of base, as queues do, and a violation is the more probable the nearer that
// comes to the objective.
type oracle struct {
	base    float64 // ms, of an idle application
	limit   float64 // ms, the objective
	margin  float64
	fits    error
	fails   error
	outside func(steps []tail.Step, cores []float64) []string
	try     func(steps []tail.Step, cores []float64) tail.Prediction
	steps   []tail.Step
	looks   int
	tries   int
}

func (o *oracle) Fits(*foresail.App) error { return o.fits }
func (o *oracle) Steps() int               { return 5 }
func (o *oracle) Margin() float64          { return o.margin }
func (o *oracle) Outside(steps []tail.Step, cores []float64) []string {
	if o.outside == nil {
		return nil
	}
	return o.outside(steps, cores)
}

func (o *oracle) Look(steps []tail.Step) error {
	o.looks++
	if len(steps) != 5 {
		return errors.New("not five steps")
	}
	o.steps = append(o.steps[:0], steps...)
	return o.fails
}

func (o *oracle) Try(cores [][]float64, out []tail.Prediction) {
	o.tries += len(cores)
	for i := range cores {
		if o.try != nil {
			out[i] = o.try(o.steps, cores[i])
		} else {
			out[i] = o.predict(cores[i])
		}
	}
}

// predict is by what was used in the last steps.
func (o *oracle) predict(cores []float64) (p tail.Prediction) {
	worst := 0.0
	for i, c := range cores {
		used := 0.0
		for k := range o.steps {
			s := &o.steps[k].Services[i]
			used = max(used, s.Used*s.Replicas)
		}
		if used > 0 {
			worst = max(worst, used/c)
		}
	}
	ms := o.base / (1 - min(worst, 0.99))
	for i := range p.Latency {
		p.Latency[i] = ms
	}
	p.Violation = 1 / (1 + math.Exp(12*(1-ms/o.limit)))
	return p
}

// world is a cluster with a manager, and its history.
type world struct {
	*plantest.Cluster
	t testing.TB
	m *Manager
	h *foresail.History
}

// newWorld is an application of n services, each of which would use demand cores.
func newWorld(t testing.TB, n int, model Model, c Config, demand func(id foresail.ServiceID, at time.Duration) float64) *world {
	app := plantest.App(n)
	m, err := With(app, model, c)
	if err != nil {
		t.Fatal(err)
	}
	return &world{&plantest.Cluster{Application: app, Demand: demand}, t, m, foresail.NewHistory(app, m.Needs())}
}

// second lets a second pass and decides.
func (w *world) second() (*foresail.Plan, error) {
	for range 10 {
		w.h.SetApp(w.Application)
		w.h.Add(w.Step())
	}
	p, err := w.m.Decide(w.h)
	if p != nil {
		_ = w.Apply(w.t.Context(), p)
	}
	return p, err
}

// seconds lets n of them pass; the last plan.
func (w *world) seconds(n int) (p *foresail.Plan) {
	for range n {
		var err error
		if p, err = w.second(); err != nil {
			w.t.Fatal(err)
		}
	}
	return p
}

// total is what is in effect, over all services.
func (w *world) total() (sum float64) {
	for i := range w.Application.Services {
		sum += w.Have(foresail.ServiceID(i)).Cores()
	}
	return sum
}

func flat(cores float64) func(foresail.ServiceID, time.Duration) float64 {
	return func(foresail.ServiceID, time.Duration) float64 { return cores }
}

// inFull is all that a decision says, behind pointers too.
func inFull(p *foresail.Plan, err error) string {
	b, bad := json.Marshal(p)
	return fmt.Sprint(string(b), err, bad)
}
