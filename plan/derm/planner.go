package derm

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/plan/derm/solve"
)

// Model says how long one visit takes by itself, and how much a container can do.
type Model interface {
	// Stage is the own time of a visit of an operation where each container of the service gets so many visits a second; false
	// where nothing is known of it. It does not get shorter with load.
	Stage(s foresail.ServiceID, operation string, load float64) (dist.Stage, bool)
	// Saturation is how many visits a second a container can take at most; 0 where that is not known.
	Saturation(s foresail.ServiceID) float64
}

// Task is what containers are to be found for.
type Task struct {
	Model     Model
	Services  []Service // by foresail.ServiceID
	Endpoints []Endpoint
	Budget    int // see solve.Problem
	// Quick: percentiles are those by three moments, which takes microseconds. Otherwise they are held against the exact ones of
	// the distribution, which takes a millisecond for each, or some.
	Quick bool
	Slack float64   // see solve.Problem
	Start []float64 // see solve.Problem
}

// Service is one service of a task.
type Service struct {
	Name      string
	Cost      float64 // of a container; above 0
	Low, High int     // containers
}

// Endpoint is an objective to be held under one mix of what requests do. One endpoint may be there several times, with the
// mixes that it may come to: the containers found hold all of them.
type Endpoint struct {
	Name       string
	Percentile float64 // 0..100
	Limit      float64 // seconds
	// Factor is what percentiles that are computed are multiplied by, where what was observed says so; 0 means 1.
	Factor float64
	Forms  []Share
	// Visits are visits a second of each service, by foresail.ServiceID, while requests do this: those of all endpoints, and
	// those that nobody waits for.
	Visits []float64
}

// Share is a form and how many of an endpoint's requests take it.
type Share struct {
	Form  *foresail.Form
	Share float64 // as expected; those of an endpoint add up to one
	// Low and High bound the share: the worst within them counts, of which the shares still add up to one. Both 0: it is sure.
	Low, High float64
}

// Expected is what a plan means to an endpoint of a task.
type Expected struct {
	Endpoint *Endpoint
	solve.Answer
	Tail []Part // what its slowest requests spend their time on, most first
}

// Part is a service's part of the latency of the requests beyond an endpoint's percentile.
type Part struct {
	Service foresail.ServiceID
	Share   float64 // of their mean latency, 0..1
}

// Result is what was found for a task.
type Result struct {
	solve.Solution
	task  *Task
	tails []*tail
}

// Plan finds the cheapest containers that hold every objective. The error tells every fault of the task by name.
func (t *Task) Plan() (*Result, error) {
	r := &Result{task: t}
	problem, err := r.problem()
	if err != nil {
		return nil, err
	}
	s, err := solve.Solve(problem)
	if err != nil {
		return nil, err
	}
	for i := range corrections {
		if worse := r.worsen(s); !worse && !r.correct(s, i >= corrections/2) { // shares that were the worst at the maximum may not be at the answer
			break
		}
		problem.Start = s.Relaxed
		if s, err = solve.Solve(problem); err != nil {
			return nil, err
		}
	}
	r.Solution = *s
	return r, nil
}

// corrections is how often an answer is corrected at most.
const corrections = 10

// exact is how far, as a share, percentiles may be from the exact ones.
const exact = 5e-4

// correct holds percentiles by moments against the exact ones at the answer, and reports whether any was off; in the end only
// whether a limit is not held, since whole numbers may go to and fro.
func (r *Result) correct(s *solve.Solution, late bool) (any bool) {
	if r.task.Quick {
		return false
	}
	for i, x := range r.tails {
		k := x.pick(s.Containers)
		t := x.exactly(k)
		off := t / x.latency(k, nil)
		over := t > s.Endpoints[i].Limit*(1+exact) && s.Endpoints[i].Reachable
		if off > 0 && math.Abs(off-1) > exact && (over || !late) {
			x.correct *= off
			any = true
		}
	}
	return any
}

// pick are the containers of the services that matter.
func (x *tail) pick(containers []int) []float64 {
	k := make([]float64, len(x.services))
	for j, m := range x.services {
		k[j] = float64(containers[m])
	}
	return k
}

// problem is a task as what is to be solved.
func (r *Result) problem() (*solve.Problem, error) {
	t := r.task
	var errs []error
	out := &solve.Problem{Budget: t.Budget, Slack: t.Slack, Start: t.Start, Services: make([]solve.Service, len(t.Services))}
	for i, s := range t.Services {
		out.Services[i] = solve.Service{Name: s.Name, Cost: s.Cost, Low: s.Low, High: s.High}
	}
	for i := range t.Endpoints {
		e := &t.Endpoints[i]
		if err := e.check(len(t.Services)); err != nil {
			errs = append(errs, err)
			continue
		}
		for m, v := range e.Visits {
			if most := t.Model.Saturation(foresail.ServiceID(m)); most > 0 {
				out.Services[m].Saturates = max(out.Services[m].Saturates, v/most)
			}
		}
		x, err := newTail(t, e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		r.tails = append(r.tails, x)
		out.Endpoints = append(out.Endpoints, solve.Endpoint{Name: e.Name, Limit: e.Limit, Services: x.services, Latency: x.latency})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	at := make([]float64, 0, 64)
	for _, x := range r.tails {
		at = at[:0]
		for _, m := range x.services {
			at = append(at, float64(t.Services[m].High))
		}
		x.worsen(at)
	}
	return out, nil
}

// worsen sets shares to the worst at the answer, and reports whether that makes a difference.
func (r *Result) worsen(s *solve.Solution) (any bool) {
	for _, x := range r.tails {
		if x.sure {
			continue
		}
		any = x.worsen(x.pick(s.Containers)) || any
	}
	return any
}

func (e *Endpoint) check(services int) error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("endpoint %s: "+format, append([]any{e.Name}, a...)...)
	}
	switch {
	case e.Limit == 0 && e.Percentile == 0:
		return bad("it has no objective: leave it out, its visits count for the others all the same")
	case !(e.Percentile > 0 && e.Percentile < 100):
		return bad("percentile %v: must be above 0 and below 100", e.Percentile)
	case !(e.Limit > 0):
		return bad("a limit of %v s: must be above 0", e.Limit)
	case len(e.Forms) == 0:
		return bad("no call graph of it was seen")
	case len(e.Visits) != services:
		return bad("visits of %d services, and there are %d", len(e.Visits), services)
	case !(e.Factor >= 0):
		return bad("factor %v: must not be negative", e.Factor)
	}
	for m, v := range e.Visits {
		if !(v >= 0) || math.IsInf(v, 0) {
			return bad("%v visits a second of service %d", v, m)
		}
	}
	sum, low, high := 0.0, 0.0, 0.0
	for _, s := range e.Forms {
		if s.Form == nil {
			return bad("a share without a form")
		}
		if !(s.Share >= 0) || !(s.Low >= 0) || !(s.High >= 0) || s.High > 0 && (s.Low > s.Share+1e-9 || s.High < s.Share-1e-9) {
			return bad("form %s: share %v within %v to %v", s.Form.Key(), s.Share, s.Low, s.High)
		}
		sum += s.Share
		lo, hi := s.bounds()
		low, high = low+lo, high+hi
	}
	if math.Abs(sum-1) > 1e-6 {
		return bad("the shares of its %d call graphs add up to %v, not 1: normalise them", len(e.Forms), sum)
	}
	if low > 1+1e-6 || high < 1-1e-6 {
		return bad("the bounds of its shares, %v to %v in all, leave no mix", low, high)
	}
	return nil
}

func (s *Share) bounds() (lo, hi float64) {
	if s.Low == 0 && s.High == 0 {
		return s.Share, s.Share
	}
	return s.Low, min(s.High, 1)
}

// Expected says what containers, by service, mean to the i-th endpoint of the task, with the services that its slowest
// requests spend their time on.
func (r *Result) Expected(i int, containers []int) Expected {
	x := r.tails[i]
	k := x.pick(containers)
	out := Expected{Endpoint: x.e}
	if i < len(r.Endpoints) {
		out.Answer = r.Endpoints[i]
	}
	if r.task.Quick {
		out.Latency = x.latency(k, nil)
		out.Tail = x.parts()
		return out
	}
	out.Latency = x.exactly(k)
	t, err := x.mix.Tail(1 - x.share)
	if err != nil || !(t.Mean > 0) {
		return out
	}
	own := make([]float64, len(x.services))
	for g, visits := range x.visits {
		for j, o := range visits {
			if o >= 0 {
				own[x.ops[o].at] += t.Own[g][j]
			}
		}
	}
	for j, m := range x.services {
		if own[j] > 0 {
			out.Tail = append(out.Tail, Part{foresail.ServiceID(m), own[j] / t.Mean})
		}
	}
	slices.SortStableFunc(out.Tail, most)
	return out
}

func most(a, b Part) int { return cmp.Compare(b.Share, a.Share) }

// parts is what each service has to do with the percentile by moments: by how much that moves as the service's own times are
// scaled, which adds up to all of it (Euler).
func (x *tail) parts() []Part {
	t := x.quick(true)
	own := make([]float64, len(x.services))
	for i := range x.ops {
		o := &x.ops[i]
		own[o.at] += o.by.mean*o.now.mean + 2*o.by.variance*o.now.variance + 3*o.by.third*o.now.third
	}
	var out []Part
	for j, m := range x.services {
		if own[j] > 0 && t > 0 {
			out = append(out, Part{foresail.ServiceID(m), own[j] / t})
		}
	}
	slices.SortStableFunc(out, most)
	return out
}
