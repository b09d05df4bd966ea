package derm_test

import (
	"fmt"
	"math"
	"testing"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/plan/derm"
	"foresail.dev/plan/derm/published"
)

// lines is a model of services whose rates are lines, as the artefact has them: n calls of a service are one exponential with the
// nth part of its rate, and the operation says n.
type lines struct {
	of map[foresail.ServiceID]published.Service
}

func (l lines) Stage(s foresail.ServiceID, operation string, load float64) (dist.Stage, bool) {
	n := 0.0
	fmt.Sscan(operation, &n)
	rate := (l.of[s].Slope*load + l.of[s].Rate) / n
	return dist.Exponential(0, max(rate, 1e-4/n)), true
}

func (l lines) Saturation(s foresail.ServiceID) float64 { return -l.of[s].Rate / l.of[s].Slope }

// With the artefact's own data, its latency model and its bounds, and requests enough that whole numbers hardly matter, ours
// holds the limit with fewer containers than its rule finds.
func TestFewerThanTheArtefact(t *testing.T) {
	const many, limit = 1000, 550
	chains := published.TrainTicket()
	task := &derm.Task{Services: make([]derm.Service, 12)}
	l := lines{map[foresail.ServiceID]published.Service{}}
	e := derm.Endpoint{Name: "TrainTicket", Percentile: 95, Limit: limit, Visits: make([]float64, 12)}
	for _, c := range chains {
		var visits []foresail.Visit
		for i, s := range c.Services {
			l.of[foresail.ServiceID(s.ID)] = s
			e.Visits[s.ID] += many * c.Share * s.Calls
			v := foresail.Visit{Service: foresail.ServiceID(s.ID), Operation: fmt.Sprint(s.Calls), Parent: 0, Step: i, Times: 1}
			if i == 0 {
				v.Parent, v.Step = -1, 0
			}
			visits = append(visits, v)
		}
		form, err := foresail.NewForm(0, visits)
		if err != nil {
			t.Fatal(err)
		}
		e.Forms = append(e.Forms, derm.Share{Form: form, Share: c.Share})
	}
	for id := range task.Services {
		s := l.of[foresail.ServiceID(id)]
		low, high := s.Bounds(chains)
		task.Services[id] = derm.Service{Name: fmt.Sprint(id), Cost: 1, Low: int(math.Ceil(e.Visits[id] / high)), High: int(e.Visits[id] / low)}
	}
	task.Model, task.Endpoints = l, []derm.Endpoint{e}
	r, err := task.Plan()
	if err != nil {
		t.Fatal(err)
	}
	got := r.Expected(0, r.Containers)
	t.Logf("%.5f containers for each unit of workload, p95 %.2f ms of %d; relaxed %.5f; residual %.2g", r.Cost/many, got.Latency, limit, r.Bound/many, r.Residual)
	if r.Cost/many > 2.88 || r.Cost/many < 2.85 {
		t.Errorf("%.5f containers for each unit of workload: the artefact's rule needs 2.95207, and the best there is is 2.8637", r.Cost/many)
	}
	if got.Latency > limit*1.0006 || r.Residual > 1e-3 {
		t.Errorf("p95 %v ms, residual %v", got.Latency, r.Residual)
	}
}
