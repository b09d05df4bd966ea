package madu

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/methods"
	"foresail.dev/plan"
)

// Manager is "madu".
type Manager struct {
	c       Config
	fast    bool            // the method is trained in decisions
	standIn forecast.Method // where it is not, and has not been trained
	state   state
	app     *foresail.App // whose services have been given their models

	fitter   fitter
	smoother smoother
	bounds   [2][]float64 // scratch: the least and the most containers of each minute
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("madu: no application")
	}
	given := c.Method != nil
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c, fast: given || slices.Contains(fast, c.Method.Name())}
	m.standIn, _ = methods.ByName(best("foresail"))
	m.state.grow(len(app.Services))
	if err := m.give(app, &m.state); err != nil {
		return nil, err
	}
	return m, nil
}

// Name is "madu".
func (m *Manager) Name() string { return "madu" }

// every is how often it looks whether something must be asked for in advance.
const every = 5 * time.Second

// Needs asks for calls, CPU and allocations: every few seconds, so that what is asked for in advance is asked for in time.
func (m *Manager) Needs() foresail.Needs {
	n := foresail.Needs{Every: every, Required: foresail.SignalArrivals | foresail.SignalCPU | foresail.SignalAllocation,
		Optional: foresail.SignalReady | foresail.SignalMemory, Traces: m.c.Traces, Beats: 10, Minutes: 10}
	if m.c.Lead == 0 {
		n.Every = time.Minute
	}
	return n
}

// Decide forecasts and plans when a minute is over, and in between asks for what the next one needs more. It errs when the
// newest minute is too long ago for what was planned then.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app, s := h.App(), &m.state
	s.grow(len(app.Services))
	if s.Last.After(h.Now()) {
		s.restart()
		m.app = nil
	}
	if app != m.app {
		if err := m.give(app, s); err != nil {
			return nil, err
		}
	}
	fresh := m.take(h.Minutes(10), h.Now())
	for i := range app.Services {
		if app.Services[i].Gone {
			s.Services[i] = &service{}
		}
	}
	if s.Last.IsZero() {
		return nil, nil // the first minute is not over
	}
	ahead := s.minuteOf(h.Now())
	if ahead >= m.c.M {
		return nil, fmt.Errorf("madu: the newest minute observed ended at %s, %d minutes ago, and the plan was for %d: %w",
			s.Last.UTC().Format(time.TimeOnly), ahead, m.c.M, foresail.ErrStale)
	}
	d := plan.NewDraft(h, m.Name())
	if fresh {
		s.asked()
		m.plan(d, h)
	}
	m.ask(d, h, ahead)
	return d.Plan(), nil
}

// plan forecasts, and plans the minutes ahead of each service.
func (m *Manager) plan(d *plan.Draft, h *foresail.History) {
	app := h.App()
	beats := h.Beats(10)
	var notes notes
	for i := range app.Services {
		svc, id := &app.Services[i], foresail.ServiceID(i)
		if svc.Gone {
			continue
		}
		of := m.state.Services[i]
		of.Plan, of.Ahead = of.Plan[:0], of.Ahead[:0]
		from, _ := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
		switch {
		case from.Replicas == 0 || !(from.CPU > 0):
			continue // nothing scales what was scaled to zero by hand
		case !of.Calls.observed():
			notes.add("kept, no call of it was observed", svc.Name)
			continue
		case !of.Profile.HasCPU && of.lastCalls() > 0:
			notes.add("kept, its CPU was not observed beside its calls", svc.Name)
			continue
		}
		why, err := m.expect(of, i)
		if err != nil {
			of.Ahead = of.Ahead[:0]
			notes.add("kept, no forecast: "+err.Error(), svc.Name)
			continue
		}
		if why != "" {
			notes.add(why, svc.Name)
		}
		if of.next != nil {
			of.next.Service = id
			d.Expect(*of.next)
		}
		if idle := m.smooth(of, svc, from); idle != "" {
			notes.add(idle, svc.Name)
		}
	}
	notes.tell(d)
}

// smooth turns the calls ahead into containers; it says what can't be held.
func (m *Manager) smooth(of *service, svc *foresail.Service, from foresail.Allocation) (idle string) {
	least, most := float64(max(svc.Bounds.MinReplicas, 1)), float64(max(svc.Bounds.MaxReplicas, svc.Bounds.MinReplicas, 1))
	lower, upper := m.bounds[0][:0], m.bounds[1][:0]
	for _, calls := range of.Ahead {
		n, _, what := m.need(of, from, calls)
		if what != "" {
			idle = what
		}
		low := min(max(n, least), most)
		lower = append(lower, low)
		upper = append(upper, min(max(math.Floor((1+m.c.Rho)*low+1e-9), low), most))
	}
	m.bounds = [2][]float64{lower, upper}
	of.Plan = of.Plan[:0]
	for _, x := range m.smoother.path(float64(from.Replicas), lower, upper) {
		of.Plan = append(of.Plan, int(math.Floor(x+1e-9))) // the bounds are whole numbers, so it stays within them
	}
	return idle
}

// need is equation 12: the containers for so many calls a minute, which metric asks for them, and which can't be held by any
// number. Where that is the CPU, it is as many as there are.
func (m *Manager) need(of *service, from foresail.Allocation, calls float64) (n float64, metric, idle string) {
	n, metric = 1, "one is the least"
	take := func(has bool, l line, allowed float64, name string) {
		if !has {
			return
		}
		c, ok := l.containers(calls, allowed)
		switch {
		case !ok && name == "CPU":
			n, idle = max(n, float64(from.Replicas)), "idle replicas use more CPU than the threshold: that many are kept"
		case !ok:
			idle = "idle replicas use more memory than the threshold: it does not count"
		case c > n:
			n, metric = c, name
		}
	}
	take(of.Profile.HasCPU, of.Profile.CPU, m.c.CPU*from.CPU, "CPU")
	take(of.Profile.HasMem && from.Memory > 0, of.Profile.Memory, m.c.Memory*float64(from.Memory), "memory")
	return n, metric, idle
}

// ask asks for what was planned for now and, when the next minute is near, for what it needs more.
func (m *Manager) ask(d *plan.Draft, h *foresail.History, ahead int) {
	app := h.App()
	next := m.state.Last.Add(time.Duration(ahead+1) * time.Minute)
	soon := !h.Now().Add(m.c.Lead).Before(next)
	beats := h.Beats(10)
	for i := range app.Services {
		of, svc, id := m.state.Services[i], &app.Services[i], foresail.ServiceID(i)
		if ahead >= len(of.Plan) {
			continue
		}
		n, at := of.Plan[ahead], ahead
		if soon && ahead+1 < len(of.Plan) && of.Plan[ahead+1] > n {
			n, at = of.Plan[ahead+1], ahead+1
		}
		from, known := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
		if from.Replicas == n || from.Replicas == 0 {
			continue
		}
		to := from
		to.Replicas = n
		r := m.reason(of, from, at, n)
		if at > ahead {
			r.Considered = append(r.Considered, fmt.Sprintf("%d replicas until the next minute: what starts takes time, so they are asked for %v before", of.Plan[ahead], m.c.Lead))
		}
		if !known {
			r.Considered = append(r.Considered, "the allocation in effect: not observed, so the initial one was used")
		}
		d.Set(id, svc, from, to, r)
	}
}

// reason tells what a number of containers is for.
func (m *Manager) reason(of *service, from foresail.Allocation, at, n int) foresail.Reason {
	calls := of.Ahead[at]
	need, metric, _ := m.need(of, from, calls)
	method := "the last minute"
	if of.Model != nil {
		method = of.Model.Method
	}
	share, limit := m.c.CPU, fmt.Sprintf("%.3f cores", from.CPU)
	if metric == "memory" {
		share, limit = m.c.Memory, fmt.Sprintf("%d MiB", from.Memory>>20)
	}
	r := foresail.Reason{Rule: "madu/forecast",
		Text: fmt.Sprintf("%.0f calls in minute %d ahead, mean + %g sigma by %s: at most %.0f %% of %s each, that takes %.0f replicas (%s)",
			calls, at+1, m.c.Sigma, method, share*100, limit, need, metric)}
	if float64(n) > need {
		r.Considered = append(r.Considered, fmt.Sprintf("%.0f replicas: up to %.0f %% more are kept so that the %d minutes ahead change less at once", need, m.c.Rho*100, len(of.Plan)))
	} else {
		r.Considered = append(r.Considered, fmt.Sprintf("%d replicas as before: not what this minute's calls take", from.Replicas))
	}
	return r
}

// notes are remarks, each with the services that it holds for.
type notes struct {
	texts []string
	names map[string][]string
}

func (n *notes) add(text, service string) {
	if n.names == nil {
		n.names = map[string][]string{}
	}
	if n.names[text] == nil {
		n.texts = append(n.texts, text)
	}
	n.names[text] = append(n.names[text], service)
}

// tell names the first few services of each remark.
func (n *notes) tell(d *plan.Draft) {
	for _, t := range n.texts {
		names := n.names[t]
		list := strings.Join(names[:min(len(names), 3)], ", ")
		if len(names) > 3 {
			list += fmt.Sprintf(" and %d more", len(names)-3)
		}
		d.Note(list + ": " + t)
	}
}
