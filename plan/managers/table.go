package managers

import (
	"math"

	"foresail.dev"
	"foresail.dev/plan/autoscale"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/static"
)

// entry is one manager.
type entry struct {
	name   string
	about  string
	params []Param
	build  func(app *foresail.App, v values, seed uint64) (foresail.Manager, error)
}

var table = []entry{
	{"static", "the allocations of the application file", nil, func(a *foresail.App, _ values, _ uint64) (foresail.Manager, error) {
		return static.New(a, static.Config{})
	}},
	{"static-max", "every service at its maximum", nil, func(a *foresail.App, _ values, _ uint64) (foresail.Manager, error) {
		return static.New(a, static.Config{Max: true})
	}},
	{"hpa", "Kubernetes' horizontal autoscaler, 50 % CPU", []Param{
		{Name: "target", Min: 0.1, Max: 0.95, Default: 0.5, Doc: "CPU used over CPU requested that it aims at"},
		{Name: "tolerance", Min: 0.01, Max: 0.3, Default: 0.1, Doc: "how far from the target, as a share of it, nothing is done"},
		{Name: "stabilisation_s", Min: 0, Max: 900, Default: 300, Doc: "a scale-down waits for the highest recommendation of so many seconds"},
	}, buildHPA},
	{"autoscale-cons", "Sinan's conservative step scaler", stepParams, func(a *foresail.App, v values, _ uint64) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{Name: "autoscale-cons", Steps: steps(autoscale.Conservative(), v)})
	}},
	{"autoscale-opt", "Sinan's tuned step scaler", stepParams, func(a *foresail.App, v values, _ uint64) (foresail.Manager, error) {
		return autoscale.New(a, autoscale.Config{Name: "autoscale-opt", Steps: steps(autoscale.Optimised(), v)})
	}},
}

func buildHPA(a *foresail.App, v values, _ uint64) (foresail.Manager, error) {
	down := hpa.DefaultDown()
	down.Stabilisation = v.duration("stabilisation_s")
	return hpa.New(a, hpa.Config{Target: v["target"], Tolerance: v["tolerance"], Down: &down})
}

// stepParams are what may be tuned of a step scaler.
var stepParams = []Param{
	{Name: "threshold", Min: 0.5, Max: 1.4, Default: 1, Log: true, Doc: "every threshold of the table is multiplied by it"},
	{Name: "step", Min: 0.3, Max: 2, Default: 1, Log: true, Doc: "every step of the table, up or down, is multiplied by it"},
}

// steps is a table with its thresholds and steps multiplied.
func steps(of []autoscale.Step, v values) []autoscale.Step {
	for i := range of {
		s := &of[i]
		s.From *= v["threshold"]
		if !math.IsInf(s.To, 1) {
			s.To *= v["threshold"]
		}
		s.Factor = 1 + (s.Factor-1)*v["step"]
	}
	return of
}
