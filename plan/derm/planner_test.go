package derm_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/plan/derm"
)

// shop is a model of services that each serve so many visits a second, with rates that fall to none there.
type shop struct{ rate, most []float64 }

func (s shop) Stage(id foresail.ServiceID, operation string, load float64) (dist.Stage, bool) {
	if operation == "unknown" {
		return dist.Stage{}, false
	}
	left := max(1-load/s.most[id], 1e-3)
	return dist.Exponential(0.1/s.rate[id], s.rate[id]*left), true
}

func (s shop) Saturation(id foresail.ServiceID) float64 { return s.most[id] }

// drawn is a task of so many services, and endpoints of one call graph each: visits one after the other, and some side by side.
func drawn(t testing.TB, seed uint64, services, endpoints, each int, beside float64) *derm.Task {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 3))
	m := shop{make([]float64, services), make([]float64, services)}
	task := &derm.Task{Model: m, Services: make([]derm.Service, services)}
	visits := make([]float64, services)
	for i := range services {
		m.rate[i] = 100 * math.Exp(2*r.Float64())
		m.most[i] = 0.5 * m.rate[i]
		task.Services[i] = derm.Service{Name: fmt.Sprint("s", i), Cost: 1, Low: 1, High: 100}
	}
	var ends []derm.Endpoint
	for e := range endpoints {
		rate := 20 + 100*r.Float64()
		var vs []foresail.Visit
		for k := range each {
			s := (e*services/endpoints + k) % services // neighbours share what lies between them
			if k > 0 && r.Float64() < 0.3 {
				s = r.IntN(services)
			}
			v := foresail.Visit{Service: foresail.ServiceID(s), Operation: "do", Parent: 0, Step: k, Times: 1 + r.IntN(2)}
			if k == 0 {
				v.Parent, v.Step, v.Times = -1, 0, 1
			} else if k > 1 && r.Float64() < beside {
				v.Step = vs[k-1].Step
			}
			vs = append(vs, v)
			visits[s] += rate * float64(v.Times)
		}
		form, err := foresail.NewForm(foresail.EndpointID(e), vs)
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, derm.Endpoint{Name: fmt.Sprint("e", e), Percentile: 95 + 4*r.Float64(), Forms: []derm.Share{{Form: form, Share: 1}}, Visits: visits})
	}
	task.Endpoints = ends
	for i := range task.Services {
		task.Services[i].High = int(10*visits[i]/m.most[i]) + 2
	}
	for i := range task.Endpoints { // a limit somewhat above the least there is
		task.Endpoints[i].Limit = 1e-6
	}
	task.Quick = true
	r0, err := task.Plan()
	if err != nil {
		t.Fatal(err)
	}
	for i := range task.Endpoints {
		task.Endpoints[i].Limit = r0.Endpoints[i].Limit * (1.2 + r.Float64())
	}
	task.Quick = false
	return task
}

// What is decided by moments holds by the exact distribution, with visits side by side as well, and costs no more than a
// little beyond what need not be whole.
func TestPlansHoldExactly(t *testing.T) {
	for seed := range uint64(4) {
		for _, beside := range []float64{0, 0.5} {
			task := drawn(t, seed, 12, 4, 5, beside)
			r, err := task.Plan()
			if err != nil {
				t.Fatal(err)
			}
			for i := range task.Endpoints {
				e := r.Expected(i, r.Containers)
				share := 0.0
				for _, p := range e.Tail {
					share += p.Share
				}
				if e.Latency > task.Endpoints[i].Limit*1.001 || math.Abs(share-1) > 0.02 {
					t.Errorf("seed %d, %v beside: %v s of %v s; the tail is made up to %v", seed, beside, e.Latency, task.Endpoints[i].Limit, share)
				}
			}
			if r.Cost > r.Bound+6 || r.Residual > 1e-2 {
				t.Errorf("seed %d, %v beside: %v containers, %v relaxed, residual %v", seed, beside, r.Cost, r.Bound, r.Residual)
			}
		}
	}
}

// Shares that are not sure count as the worst within their bounds: more containers than as expected, fewer than if all requests
// took the longer graph.
func TestUncertainMixesCostMore(t *testing.T) {
	m := shop{[]float64{100, 50, 30}, []float64{50, 25, 15}}
	short, _ := foresail.NewForm(0, []foresail.Visit{{Service: 0, Parent: -1, Times: 1}, {Service: 1, Parent: 0, Times: 1}})
	long, _ := foresail.NewForm(0, []foresail.Visit{{Service: 0, Parent: -1, Times: 1}, {Service: 2, Parent: 0, Times: 3}})
	cost := func(forms ...derm.Share) float64 {
		task := &derm.Task{Model: m, Endpoints: []derm.Endpoint{{Name: "e", Percentile: 95, Limit: 0.3, Forms: forms, Visits: []float64{100, 90, 30}}}}
		for i := range 3 {
			task.Services = append(task.Services, derm.Service{Name: fmt.Sprint(i), Cost: 1, Low: 1, High: 200})
		}
		r, err := task.Plan()
		if err != nil {
			t.Fatal(err)
		}
		return r.Cost
	}
	sure := cost(derm.Share{Form: short, Share: 0.9}, derm.Share{Form: long, Share: 0.1})
	unsure := cost(derm.Share{Form: short, Share: 0.9, Low: 0.5, High: 1}, derm.Share{Form: long, Share: 0.1, Low: 0, High: 0.5})
	worst := cost(derm.Share{Form: long, Share: 1})
	if !(sure < unsure && unsure < worst) {
		t.Errorf("%v sure, %v unsure, %v at worst", sure, unsure, worst)
	}
}

// A limit that can't be held: as near to it as can be, what that costs, and who holds it back.
func TestALimitThatCannotBeHeld(t *testing.T) {
	m := shop{[]float64{100, 5}, []float64{50, 2.5}}
	form, _ := foresail.NewForm(0, []foresail.Visit{{Service: 0, Parent: -1, Times: 1}, {Service: 1, Parent: 0, Times: 1}})
	task := &derm.Task{Model: m, Services: []derm.Service{{Name: "a", Cost: 1, Low: 1, High: 10}, {Name: "b", Cost: 1, Low: 1, High: 10}},
		Endpoints: []derm.Endpoint{{Name: "e", Percentile: 99, Limit: 0.1, Forms: []derm.Share{{Form: form, Share: 1}}, Visits: []float64{20, 20}}}}
	r, err := task.Plan()
	if err != nil {
		t.Fatal(err)
	}
	a := r.Endpoints[0]
	if a.Reachable || len(a.Bounds) == 0 || a.Bounds[0] != 1 || a.Limit < 0.9 || r.Containers[1] != 10 || r.Cost > 20 {
		t.Errorf("%+v with %v", a, r.Containers)
	}
}

func TestEveryFaultOfATaskIsTold(t *testing.T) {
	m := shop{[]float64{100}, []float64{50}}
	form, _ := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Times: 1}})
	odd, _ := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Times: 1, Operation: "unknown"}})
	far, _ := foresail.NewForm(0, []foresail.Visit{{Service: 7, Parent: -1, Times: 1}})
	one := []derm.Share{{Form: form, Share: 1}}
	visits := []float64{1}
	task := &derm.Task{Model: m, Services: []derm.Service{{Name: "a", Cost: 1, Low: 1, High: 1}}, Endpoints: []derm.Endpoint{
		{Name: "none", Forms: one, Visits: visits},
		{Name: "p", Percentile: 100, Limit: 1, Forms: one, Visits: visits},
		{Name: "new", Percentile: 99, Limit: 1, Visits: visits},
		{Name: "half", Percentile: 99, Limit: 1, Forms: []derm.Share{{Form: form, Share: 0.5}}, Visits: visits},
		{Name: "bounds", Percentile: 99, Limit: 1, Forms: []derm.Share{{Form: form, Share: 1, Low: 0.1, High: 0.5}}, Visits: visits},
		{Name: "unknown", Percentile: 99, Limit: 1, Forms: []derm.Share{{Form: odd, Share: 1}}, Visits: visits},
		{Name: "far", Percentile: 99, Limit: 1, Forms: []derm.Share{{Form: far, Share: 1}}, Visits: visits},
		{Name: "nan", Percentile: 99, Limit: 1, Forms: one, Visits: []float64{math.NaN()}},
	}}
	_, err := task.Plan()
	for _, want := range []string{"endpoint none: it has no objective", "endpoint p: percentile 100", "endpoint new: no call graph of it was seen",
		"endpoint half: the shares of its 1 call graphs add up to 0.5", "endpoint bounds: form", "endpoint unknown: nothing is known of how long unknown of a takes",
		"endpoint far: form", "endpoint nan: NaN visits"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}
}

// A thousand services in a hundred call graphs of 14 visits.
//
//	go test -run '^$' -bench PlanDerm ./plan/derm
func BenchmarkPlanDerm1000(b *testing.B) {
	for _, c := range []struct {
		name   string
		beside float64
		quick  bool
	}{{"exact", 0, false}, {"quick", 0, true}, {"parallel", 0.5, true}} {
		b.Run(c.name, func(b *testing.B) {
			task := drawn(b, 5, 1000, 100, 14, c.beside)
			task.Quick = c.quick
			b.ReportAllocs()
			asked, ratio, residual := 0, 0.0, 0.0
			for b.Loop() {
				r, err := task.Plan()
				if err != nil {
					b.Fatal(err)
				}
				asked, ratio, residual = r.Asked, r.Cost/r.Bound, r.Residual
			}
			b.ReportMetric(float64(asked), "asked")
			b.ReportMetric(ratio, "cost/bound")
			b.ReportMetric(residual, "residual")
		})
	}
}
