package guard_test

import (
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/plantest"
)

// unlearned is a manager whose model is missing.
type unlearned struct{}

func (unlearned) Name() string          { return "sinan" }
func (unlearned) Needs() foresail.Needs { return foresail.Needs{Every: time.Second} }
func (unlearned) Decide(*foresail.History) (*foresail.Plan, error) {
	return nil, foresail.ErrNoModel
}

func ExampleNew() {
	app := plantest.App(1)
	baseline, err := hpa.New(app, hpa.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	g, err := guard.New(unlearned{}, baseline, guard.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	cluster := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.9 }}
	p, err := g.Decide(cluster.Filled(g.Needs(), 20*time.Second))
	fmt.Println(p.Manager, "to", p.Changes[0].To, err)
	fmt.Println(p.Fallback)
	// Output:
	// guard(sinan) to 2 × 1.00 cores <nil>
	// sinan: no model; hpa decides since 12:00:20
}
