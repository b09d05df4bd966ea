package derm

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/model/callgraph"
	"foresail.dev/model/callgraph/dist"
)

// tail is the latency of one endpoint of a task, as it hangs on containers.
type tail struct {
	task     *Task
	e        *Endpoint
	share    float64 // of requests that may be late
	limit    float64 // of what is computed
	factor   float64
	services []int // whose containers matter
	load     []float64
	graphs   []callgraph.Weighted
	mix      *callgraph.Mixture
	ops      []op
	visits   [][]int // by graph and visit: its op; -1: nobody waits for it
	sure     bool    // shares have no bounds to be the worst within
	shares   []float64
	sketches []*sketchy // by graph
	correct  float64    // the exact percentile over that by moments, at the newest answer
	last     float64    // the newest percentile by moments
}

// op is an operation of a service.
type op struct {
	at        int // index into services
	id        foresail.ServiceID
	operation string
	stage     dist.Stage
	now       moments // of stage
	more      moments // their derivatives by containers
	by        moments // the percentile's derivatives by now
}

func newTail(t *Task, e *Endpoint) (*tail, error) {
	x := &tail{task: t, e: e, share: 1 - e.Percentile/100, factor: e.Factor, correct: 1, sure: true}
	if x.factor == 0 {
		x.factor = 1
	}
	x.limit = e.Limit / x.factor
	local := make([]int, len(t.Services))
	for f := range e.Forms {
		s := &e.Forms[f]
		if s.Low != 0 || s.High != 0 {
			x.sure = false
		}
		form := s.Form
		visits := make([]int, len(form.Visits))
		stages := make([]dist.Stage, len(form.Visits))
		for i, v := range form.Visits {
			if int(v.Service) >= len(t.Services) {
				return nil, fmt.Errorf("endpoint %s: form %s visits service %d of %d", e.Name, form.Key(), v.Service, len(t.Services))
			}
			visits[i] = -1
			stages[i] = dist.Fixed(0)
			if v.Async || v.Parent >= 0 && visits[v.Parent] < 0 {
				continue
			}
			if local[v.Service] == 0 {
				x.services = append(x.services, int(v.Service))
				x.load = append(x.load, e.Visits[v.Service])
				local[v.Service] = len(x.services)
			}
			at := local[v.Service] - 1
			k := slices.IndexFunc(x.ops, func(o op) bool { return o.at == at && o.operation == v.Operation })
			if k < 0 {
				k = len(x.ops)
				o := op{at: at, id: v.Service, operation: v.Operation}
				high := float64(max(t.Services[v.Service].High, 1))
				var ok bool
				if o.stage, ok = t.Model.Stage(v.Service, v.Operation, x.load[at]/high); !ok {
					return nil, fmt.Errorf("endpoint %s: nothing is known of how long %s of %s takes", e.Name, v.Operation, t.Services[v.Service].Name)
				}
				x.ops = append(x.ops, o)
			}
			visits[i] = k
			stages[i] = x.ops[k].stage
		}
		g, err := callgraph.NewGraph(form, stages)
		if err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", e.Name, err)
		}
		x.graphs = append(x.graphs, callgraph.Weighted{Graph: g, Share: s.Share})
		x.visits = append(x.visits, visits)
		x.shares = append(x.shares, s.Share)
		x.sketches = append(x.sketches, newSketchy(form, visits))
	}
	var err error
	if x.mix, err = callgraph.NewMixture(x.graphs...); err != nil {
		return nil, fmt.Errorf("endpoint %s: %w", e.Name, err)
	}
	return x, nil
}

// bit is the share by which containers are changed to see what that does to a stage.
const bit = 1e-3

// put works out what every op takes with k containers; with slopes also how that moves with them.
func (x *tail) put(k []float64, slopes bool) {
	for i := range x.ops {
		o := &x.ops[i]
		s, ok := x.task.Model.Stage(o.id, o.operation, x.load[o.at]/k[o.at])
		if !ok {
			continue
		}
		o.stage = s
		o.now.mean, o.now.variance, o.now.third = s.Cumulants()
		if !slopes {
			continue
		}
		o.more = moments{}
		if to, ok := x.task.Model.Stage(o.id, o.operation, x.load[o.at]/(k[o.at]*(1+bit))); ok {
			d := bit * k[o.at]
			mean, variance, third := to.Cumulants()
			o.more = moments{(mean - o.now.mean) / d, (variance - o.now.variance) / d, (third - o.now.third) / d}
		}
	}
}

// latency is solve.Endpoint.Latency: the percentile by moments, corrected to the exact one where that was worked out.
func (x *tail) latency(k, slope []float64) float64 {
	x.put(k, slope != nil)
	t := x.quick(slope != nil) * x.correct * x.factor
	if slope != nil {
		clear(slope)
		for i := range x.ops {
			o := &x.ops[i]
			slope[o.at] += (o.by.mean*o.more.mean + o.by.variance*o.more.variance + o.by.third*o.more.third) * x.correct * x.factor
		}
		for i := range slope {
			slope[i] = min(slope[i], 0)
		}
	}
	return t
}

// exactly is the percentile with k containers of the distribution itself.
func (x *tail) exactly(k []float64) float64 {
	x.put(k, false)
	for g, visits := range x.visits {
		for i, o := range visits {
			if o >= 0 {
				_ = x.graphs[g].Graph.SetStage(i, x.ops[o].stage) // a stage that can't be keeps the one before
			}
		}
	}
	_ = x.mix.SetShares(x.shares)
	return x.mix.PercentileFrom(1-x.share, x.quick(false)*x.correct) * x.factor
}

// worsen sets the shares to the worst within their bounds where there are k containers: as many requests as may be take the
// graph that is over the limit most often, and so on. It reports whether they changed.
func (x *tail) worsen(k []float64) (changed bool) {
	if x.sure {
		return false
	}
	x.put(k, false)
	order := make([]int, len(x.graphs))
	late := make([]float64, len(x.graphs))
	left := 1.0
	for i := range order {
		order[i] = i
		x.sketches[i].compute(x.ops)
		late[i] = x.sketches[i].total.above(x.limit / x.correct)
		lo, _ := x.e.Forms[i].bounds()
		left -= lo
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(late[b], late[a]) })
	for _, i := range order {
		lo, hi := x.e.Forms[i].bounds()
		s := lo + min(max(left, 0), hi-lo)
		left -= s - lo
		if math.Abs(s-x.shares[i]) > 1e-9 {
			x.shares[i], changed = s, true
		}
	}
	return changed
}
