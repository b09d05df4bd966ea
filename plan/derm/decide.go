package derm

import (
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// frame is what a decision is about.
type frame struct {
	d       *plan.Draft
	app     *foresail.App
	from    []foresail.Allocation // what each service was last asked to have
	sure    []bool                // that was observed
	ahead   *outlook
	task    *Task
	floor   []int    // containers below which CPU would be used more than it may be, or that can't be lowered
	lowest  []string // what makes that floor
	result  *Result
	raising bool             // nothing is lowered
	told    map[int]Expected // by the task's endpoints
}

// plan plans the minute ahead.
func (m *Manager) plan(d *plan.Draft, h *foresail.History) {
	s := &m.state
	for e := range s.Ends {
		s.Ends[e].Boost = 1 + (s.Ends[e].Boost-1)*boostLeft
	}
	m.solve(m.frame(d, h, false))
}

// frame gathers what a decision is about; nil where nothing can be said of the minute ahead.
func (m *Manager) frame(d *plan.Draft, h *foresail.History, raising bool) *frame {
	app := h.App()
	o, ok := m.ahead(app)
	if !ok {
		d.Note("kept: no call graph of what was observed is part of the application")
		return nil
	}
	f := &frame{d: d, app: app, ahead: o, raising: raising, from: make([]foresail.Allocation, len(app.Services)), sure: make([]bool, len(app.Services))}
	beats := h.Beats(10)
	for i := range app.Services {
		f.from[i], f.sure[i] = plan.Wanted(&app.Services[i], plan.Latest(beats, foresail.ServiceID(i), foresail.SignalAllocation))
	}
	return f
}

// solve finds the containers for what is ahead, and asks for them.
func (m *Manager) solve(f *frame) {
	if f == nil {
		return
	}
	s := &m.state
	m.services(f)
	m.endpoints(f)
	s.Planned = append(s.Planned[:0], f.ahead.visits...)
	if len(f.task.Endpoints) > 0 {
		var err error
		if f.result, err = f.task.Plan(); err != nil {
			f.d.Note("kept: " + err.Error())
			return
		}
		s.Relaxed = s.Relaxed[:0]
		if finite(f.result.Relaxed) { // where counts are nonsense it may not be, and the next search begins anew
			s.Relaxed = f.result.Relaxed
		}
	} else {
		f.d.Note("no endpoint with an objective was called: CPU alone counts")
	}
	want := make([]int, len(f.app.Services))
	for i := range want {
		want[i] = f.floor[i]
		if f.result != nil {
			want[i] = f.result.Containers[i]
		}
		if f.raising {
			want[i] = max(want[i], f.from[i].Replicas)
		}
	}
	m.ask(f, want)
}

// services sets what each may have. What no request visits stays as it is.
func (m *Manager) services(f *frame) {
	s := &m.state
	last := &s.Minutes[len(s.Minutes)-1]
	n := len(f.app.Services)
	f.task = &Task{Model: model{m.profiler}, Services: make([]Service, n), Budget: m.c.Budget, Quick: true, Slack: slack}
	if len(s.Relaxed) == n {
		f.task.Start = s.Relaxed
	}
	f.floor, f.lowest = make([]int, n), make([]string, n)
	for i := range f.app.Services {
		svc := &f.app.Services[i]
		b := svc.Bounds
		most := max(b.MaxReplicas, b.MinReplicas, 1)
		least := min(max(b.MinReplicas, 1), most)
		have := min(max(f.from[i].Replicas, 1), most)
		most = min(most, max(2*have, have+4, least)) // what is seen of an overload tells little of what ends it
		f.floor[i], f.lowest[i] = least, "min replicas"
		low := func(n int, why string) {
			if n > f.floor[i] {
				f.floor[i], f.lowest[i] = min(n, most), why
			}
		}
		t := &f.task.Services[i]
		*t = Service{Name: svc.Name, Cost: max(f.from[i].CPU, 1e-3), High: most}
		switch {
		case svc.Gone || f.from[i].Replicas == 0 || !(f.from[i].CPU > 0):
			*t = Service{Name: svc.Name, Cost: 1, Low: 1, High: 1}
			f.floor[i], f.lowest[i] = f.from[i].Replicas, "nothing scales what was scaled to zero"
			continue
		case f.ahead.visits[i] <= 0:
			low(have, "no request visits it")
			t.High = max(f.floor[i], have)
		default:
			m.busy(f, i, last, low, have)
		}
		if f.raising {
			low(have, "nothing is lowered within a minute")
		}
		t.Low = f.floor[i]
	}
}

// busy is the floor that CPU makes: what the visits ahead will use, and what was used in the newest minute.
func (m *Manager) busy(f *frame, i int, last *minute, low func(int, string), have int) {
	each := m.c.Utilisation * f.from[i].CPU
	sat, ok := m.profiler.Saturation(foresail.ServiceID(i))
	if !ok || sat.Idle >= each {
		low(have, "what it does with CPU isn't known")
		return
	}
	low(whole(f.ahead.visits[i]*sat.Visit/(each-sat.Idle)), fmt.Sprintf("CPU at %.0f %% for %.0f visits/s", m.c.Utilisation*100, f.ahead.visits[i]))
	if last.Used[i] >= 0 {
		low(whole(last.Used[i]/each), fmt.Sprintf("CPU at %.0f %% of the %.2f cores used", m.c.Utilisation*100, last.Used[i]))
	}
}

// whole rounds up, but for rounding errors.
func whole(x float64) int { return int(math.Ceil(min(max(x, 0), 1e6) - 1e-6)) }

// endpoints sets what is to be held.
func (m *Manager) endpoints(f *frame) {
	alike := f.ahead.alike()
	for e := range f.app.Endpoints {
		end := &f.app.Endpoints[e]
		id := foresail.EndpointID(e)
		if end.Objective == nil || end.Gone {
			continue
		}
		unknown := false
		for _, o := range alike {
			if !o.expects(id) {
				continue
			}
			forms := m.told(o.ofEndpoint(id, m.c.Forms))
			if forms == nil {
				unknown = true
				continue
			}
			rate := 0.0
			for i, form := range o.forms {
				if form.Endpoint == id {
					rate += o.expected.share[i] * o.expected.rate
				}
			}
			of := m.state.Ends[e]
			f.task.Endpoints = append(f.task.Endpoints, Endpoint{Name: end.Name, Percentile: 100 * (1 - m.c.allowed(end.Objective, rate)),
				Limit: end.Objective.Latency.Seconds() * m.c.Factor, Factor: of.Tail * of.Boost, Forms: forms, Visits: o.visits})
		}
		if unknown {
			f.d.Note(end.Name + ": of how long its call graphs take too little is known: CPU alone counts")
		}
	}
}

// told are those of an endpoint's forms of which it is known how long each visit takes, with shares that add up to one.
func (m *Manager) told(forms []Share) []Share {
	out := make([]Share, 0, len(forms))
	sum := 0.0
	for _, s := range forms {
		if !slices.ContainsFunc(s.Form.Visits, func(v foresail.Visit) bool {
			_, ok := model{m.profiler}.Stage(v.Service, v.Operation, 0)
			return !ok && !v.Async
		}) {
			out = append(out, s)
			sum += s.Share
		}
	}
	if !(sum > 0) {
		return nil
	}
	if len(out) < len(forms) {
		for i := range out {
			out[i] = Share{Form: out[i].Form, Share: out[i].Share / sum}
		}
	}
	return out
}

// expects reports whether an endpoint is called at all.
func (o *outlook) expects(e foresail.EndpointID) bool {
	for i, f := range o.forms {
		if f.Endpoint == e && o.expected.share[i] > 0 {
			return true
		}
	}
	return false
}

// ask writes the plan.
func (m *Manager) ask(f *frame, want []int) {
	for i := range want {
		svc, id := &f.app.Services[i], foresail.ServiceID(i)
		if svc.Gone || f.from[i].Replicas == 0 || want[i] == f.from[i].Replicas {
			continue
		}
		to := f.from[i]
		to.Replicas = want[i]
		r := m.reason(f, i, want)
		f.d.Set(id, svc, f.from[i], to, plan.Admit(r, f.sure[i]))
		if f.raising {
			m.state.Raised = f.d.At()
		}
	}
	if f.result == nil {
		return
	}
	last := ""
	for k, a := range f.result.Endpoints {
		e := &f.task.Endpoints[k]
		if a.Reachable || e.Name == last { // once for all of the mixes that it can't be held under
			continue
		}
		last = e.Name
		names := make([]string, len(a.Bounds))
		for j, b := range a.Bounds {
			names[j] = f.task.Services[b].Name
		}
		f.d.Note(fmt.Sprintf("%s: p%.4g within %.0f ms can't be held: %.0f ms is the least there is, %v at their maximum hold it back",
			e.Name, e.Percentile, e.Limit*1000, a.Limit*1000, names))
	}
}

// react asks for more where more visits come than were planned for, or where an objective is missed.
func (m *Manager) react(d *plan.Draft, h *foresail.History) {
	s := &m.state
	if len(s.Planned) == 0 {
		return
	}
	app := h.App()
	o, ok := m.ahead(app)
	if !ok {
		return
	}
	now := m.now(app, h, o, newest, 2)
	more := s.exceeded(now, surprise)
	if !more {
		if soon := m.now(app, h, o, jumpOver, 3); s.exceeded(soon, jump) {
			now, more = soon, true
		}
	}
	missed := (d.At().Sub(s.Raised) >= settles || s.Raised.After(d.At())) && m.missed(app, h)
	if !more && !missed {
		return
	}
	f := m.frame(d, h, true)
	if f == nil {
		return
	}
	is := f.ahead.expected
	is.why, is.visits = "as it is now", make([]float64, len(f.ahead.visits))
	f.ahead.others = slices.Insert(f.ahead.others, 0, is)
	for i := range f.ahead.visits {
		f.ahead.visits[i] = max(f.ahead.visits[i], s.Planned[i])
		if is.visits[i] = f.ahead.expected.visits[i]; now != nil {
			is.visits[i] = max(is.visits[i], now[i]*surge)
		}
		if now != nil && now[i] > s.Planned[i]*surprise {
			f.ahead.visits[i] = max(f.ahead.visits[i], now[i]*surge)
		}
	}
	m.solve(f)
}

// exceeded reports whether a service gets more visits than so many times what was planned for.
func (s *state) exceeded(now []float64, times float64) bool {
	for i, v := range now {
		if i < len(s.Planned) && v > s.Planned[i]*times+1 {
			return true
		}
	}
	return false
}

const (
	slack     = 0.05             // of the least latency there is, where an objective can't be held: what all at their maximum gain beyond is not worth them
	newest    = 5                // seconds that visits are counted over between minutes
	settled   = 10               // seconds that requests are held against objectives over
	settles   = 10 * time.Second // after something was asked for in mid-minute, before a missed objective asks for more
	surprise  = 1.05             // times the visits planned for, before something is done in mid-minute
	jumpOver  = 2                // seconds that are enough where a mix that was not planned for has come
	jump      = 1.2              // times the visits planned for, over so few seconds
	surge     = 1.15             // times those that came instead are then planned for: what has piled up has to go, too
	boostStep = 1.15             // by so much computed percentiles count more when an objective is missed
	boostMost = 2.0              // at most
	boostLeft = 0.8              // of that, after a minute
)

// missed reports whether an objective was missed in the newest seconds, and lets percentiles of such endpoints count more.
func (m *Manager) missed(app *foresail.App, h *foresail.History) (any bool) {
	parts := plan.Tail(h.Seconds(settled), settled*time.Second)
	for e := range app.Endpoints {
		o := app.Endpoints[e].Objective
		if o == nil || app.Endpoints[e].Gone {
			continue
		}
		requests, late := 0.0, 0.0
		for _, p := range parts {
			if p.Has.Has(foresail.SignalEndpoints) && e < len(p.Endpoints) {
				requests += p.Endpoints[e].Requests
				late += p.Endpoints[e].Late
			}
		}
		if requests < float64(o.MinRequestsOrDefault()) || late <= requests*o.Allowed() {
			continue
		}
		any = true
		of := &m.state.Ends[e]
		of.Boost = min(of.Boost*boostStep, boostMost)
	}
	return any
}

func finite(x []float64) bool {
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
