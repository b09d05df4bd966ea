package seer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Manager is the wrapper around another manager.
type Manager struct {
	c     Config
	inner foresail.Manager
	model Model
	name  string
	state state

	app   *foresail.App // that fit was asked for
	unfit error
	told  string    // of what failed: told again when it is something else, or with what else there is to tell
	p     []float64 // scratch: by service, the probability that it is the culprit
}

// state is what the wrapper remembers, as it is kept over a restart.
type state struct {
	Now     time.Time
	Turn    plan.Timer // of the inner manager
	Dangers []Danger   // ordered by service
}

// Danger is one that lasts.
type Danger struct {
	Service foresail.ServiceID
	Since   time.Time
	Seen    time.Time           // when the model last saw it
	Raised  time.Time           // when Target last grew
	Before  float64             // total cores when it began
	Target  float64             // total cores that are to be had while it lasts
	Steps   int                 // how often Target has grown since it began
	Base    foresail.Allocation // what there is without it: what there was before, or what the inner manager asked for since if that is more
}

// New wraps inner. A model that is nil or does not fit the application is no error here: then the inner manager decides alone
// and each plan says so. Every fault of c is told at once.
func New(inner foresail.Manager, model Model, c Config) (*Manager, error) {
	c, err := c.withDefaults()
	if inner == nil {
		err = errors.Join(errors.New("seer: no manager to wrap"), err)
	}
	if err != nil {
		return nil, err
	}
	return &Manager{c: c, inner: inner, model: model, name: "seer(" + inner.Name() + ")"}, nil
}

// Name is the inner manager's within "seer(...)".
func (m *Manager) Name() string { return m.name }

// Inner is the manager that is wrapped.
func (m *Manager) Inner() foresail.Manager { return m.inner }

// Dangers are those that last after the newest decision, ordered by service.
func (m *Manager) Dangers() []Danger { return slices.Clone(m.state.Dangers) }

// Needs is what the inner manager needs, and each beat what the model looks at.
func (m *Manager) Needs() foresail.Needs {
	own := foresail.Needs{Every: foresail.Beat, Optional: foresail.SignalAllocation, Beats: recent}
	if m.model != nil {
		own.Beats = max(own.Beats, m.model.Beats())
		own.Optional |= m.model.Needs()
	}
	return m.inner.Needs().Join(own)
}

// recent is how many beats are looked through for the allocation that is in effect.
const recent = int(time.Second / foresail.Beat)

// Decide asks the inner manager when it is its turn, and raises what is in danger. It fails when the inner manager does, unless
// something is in danger: then that is still seen to, and the plan's Fallback says what failed.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app, now := h.App(), h.Now()
	s := &m.state
	if now.Before(s.Now) { // time has jumped back
		s.Dangers, s.Turn = nil, plan.Timer{}
	}
	if s.Turn.Last.IsZero() {
		s.Turn.Last = now.Add(-foresail.Beat) // the loop has waited that long since the first snapshot
	}
	s.Now = now
	d := plan.NewDraft(h, m.name)
	beats := h.Beats(recent)
	ours, failed := m.ask(h)
	verdict, blind := m.foresee(h)
	fresh := m.look(d, h, verdict)
	ended := m.end(app, beats)
	for _, x := range ended {
		d.Clear(x.Service)
	}
	if failed != nil && len(s.Dangers) == 0 && len(ended) == 0 {
		return nil, failed
	}
	for id := range app.Services {
		m.service(d, app, foresail.ServiceID(id), beats, ours, fresh, ended)
	}
	p := d.Plan()
	if ours != nil {
		p = m.own(p)
		p.Fallback, p.Forecasts, p.Outlook = ours.Fallback, ours.Forecasts, ours.Outlook
		p.Alarms = append(p.Alarms, ours.Alarms...)
		p.Over = append(p.Over, ours.Over...)
		p.Note = join(p.Note, ours.Note)
	}
	return m.admit(p, failed, blind), nil
}

// admit says what failed: with each plan, and in one of its own when it is new.
func (m *Manager) admit(p *foresail.Plan, failed, blind error) *foresail.Plan {
	why := ""
	if failed != nil {
		why = fmt.Sprintf("%s: %v; only what is in danger is seen to", m.inner.Name(), failed)
	}
	if blind != nil {
		why = join(why, fmt.Sprintf("seer: %v; %s decides alone", blind, m.inner.Name()))
	}
	if why != "" && (p != nil || why != m.told) {
		p = m.own(p)
		p.Fallback = join(p.Fallback, why)
	}
	m.told = why
	return p
}

// own is a plan to write on.
func (m *Manager) own(p *foresail.Plan) *foresail.Plan {
	if p == nil {
		p = &foresail.Plan{At: m.state.Now, Manager: m.name}
	}
	return p
}

// ask asks the inner manager when it is its turn.
func (m *Manager) ask(h *foresail.History) (*foresail.Plan, error) {
	if !m.state.Turn.Due(h.Now(), m.inner.Needs().Every) {
		return nil, nil
	}
	return m.inner.Decide(h)
}

// look begins and renews dangers; the services of those that began or grew now.
func (m *Manager) look(d *plan.Draft, h *foresail.History, v Verdict) []foresail.ServiceID {
	alarm := v.Alarm
	if m.c.Alarm > 0 {
		alarm = v.Violation >= m.c.Alarm
	}
	if alarm || m.c.Calm > 0 && v.Violation >= m.c.Calm {
		for i := range m.state.Dangers {
			m.state.Dangers[i].Seen = m.state.Now
		}
	}
	if !alarm {
		return nil
	}
	return m.alarm(d, h, v.Violation)
}

// end takes away the dangers that are over. While nothing is known of what the culprit has, nothing of it is taken away either.
func (m *Manager) end(app *foresail.App, beats []*foresail.Snapshot) (ended []Danger) {
	s := &m.state
	s.Dangers = slices.DeleteFunc(s.Dangers, func(x Danger) bool {
		gone := int(x.Service) >= len(app.Services) || app.Services[x.Service].Gone
		over := gone || s.Now.Sub(x.Seen) >= m.c.Hold && plan.Latest(beats, x.Service, foresail.SignalAllocation) != nil
		if over {
			ended = append(ended, x)
		}
		return over
	})
	return ended
}

// foresee is the model's answer for the newest beats.
func (m *Manager) foresee(h *foresail.History) (Verdict, error) {
	app := h.App()
	if m.model == nil {
		return Verdict{}, fmt.Errorf("%w that foresees violations of %s: train one with `foresail train seer`", foresail.ErrNoModel, app.Name)
	}
	if app != m.app {
		m.app, m.unfit = app, m.model.Fits(app)
	}
	if m.unfit != nil {
		return Verdict{}, m.unfit
	}
	k := m.model.Beats()
	beats := h.Beats(k)
	if len(beats) < k {
		return Verdict{}, nil // it has only just begun
	}
	for i, b := range beats {
		if b.Stale || i > 0 && !beats[i-1].End.Equal(b.Start) {
			return Verdict{}, nil // a gap, which the loop tells of
		}
	}
	m.p = append(m.p[:0], make([]float64, len(app.Services))...)
	v, err := m.model.Foresee(beats, m.p)
	if err != nil {
		return Verdict{}, err
	}
	if !(v.Violation >= 0 && v.Violation <= 1) {
		return Verdict{}, fmt.Errorf("the model's probability is %v, which is none", v.Violation)
	}
	return v, nil
}

// alarm begins the danger of the likeliest culprit, or lets it grow.
func (m *Manager) alarm(d *plan.Draft, h *foresail.History, violation float64) (fresh []foresail.ServiceID) {
	s, app := &m.state, h.App()
	culprit := -1
	for i, p := range m.p {
		if !app.Services[i].Gone && p > 0 && p <= 1 && (culprit < 0 || p > m.p[culprit]) {
			culprit = i
		}
	}
	if culprit < 0 {
		return nil
	}
	id, svc := foresail.ServiceID(culprit), &app.Services[culprit]
	at, there := slices.BinarySearchFunc(s.Dangers, id, func(x Danger, id foresail.ServiceID) int { return int(x.Service - id) })
	if there {
		x := &s.Dangers[at]
		if most := x.Before * m.c.Most; s.Now.Sub(x.Raised) >= m.c.Again && x.Target < most {
			x.Target, x.Raised, x.Steps = min(x.Target*m.c.Factor, most), s.Now, x.Steps+1
			return []foresail.ServiceID{id}
		}
		return nil
	}
	base, known := plan.Wanted(svc, plan.Latest(h.Beats(recent), id, foresail.SignalAllocation))
	text := fmt.Sprintf("a violation is expected within %v with probability %.2f; it starts at %s with probability %.2f", m.model.Within(), violation, svc.Name, m.p[id])
	switch {
	case !known:
		d.Note("seer: " + text + ", which is kept as it is, since its allocation was not observed")
		return nil
	case len(s.Dangers) >= m.c.Few:
		return nil
	}
	d.Warn(foresail.Alarm{Service: id, Probability: violation, Share: m.p[id], Within: m.model.Within(), Text: text})
	total := base.Cores()
	s.Dangers = slices.Insert(s.Dangers, at, Danger{Service: id, Since: s.Now, Seen: s.Now, Raised: s.Now, Before: total, Target: total * m.c.Factor, Base: base})
	return []foresail.ServiceID{id}
}

// service writes what one service should have.
func (m *Manager) service(d *plan.Draft, app *foresail.App, id foresail.ServiceID, beats []*foresail.Snapshot, ours *foresail.Plan, fresh []foresail.ServiceID, ended []Danger) {
	svc := &app.Services[id]
	from, known := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
	change, asked := ours.Change(id)
	same := func(x Danger) bool { return x.Service == id }
	switch i, e := slices.IndexFunc(m.state.Dangers, same), slices.IndexFunc(ended, same); {
	case i >= 0 && known:
		x := &m.state.Dangers[i]
		if asked && change.To.Cores() > x.Base.Cores() {
			x.Base = change.To
		}
		if asked || slices.Contains(fresh, id) {
			d.Set(id, svc, from, raise(svc.Bounds, from, x.Base, x), foresail.Reason{Rule: "seer/danger",
				Text: fmt.Sprintf("a violation is expected to start here: it has had %.2f cores and is to get %.2f within its bounds, until %v pass without danger",
					x.Before, x.Target, m.c.Hold)})
		}
	case asked:
		d.Set(id, svc, from, change.To, change.Reason)
	case e >= 0 && known:
		d.Set(id, svc, from, ended[e].Base, foresail.Reason{Rule: "seer/over",
			Text: fmt.Sprintf("no danger for %v: back to what it has without", m.c.Hold)})
	}
}

// raise gives a service the total of cores that a danger asks for: CPU for each replica first, since that takes effect at once, then replicas,
// which are dear and take time to start: twice as many at most with each step of a danger that goes on, and with the first where a replica
// can't have twice its CPU. It is never less than it has without danger, nor than what it was last asked to have.
func raise(b foresail.Bounds, from, base foresail.Allocation, x *Danger) foresail.Allocation {
	to := base
	to.Replicas = max(to.Replicas, from.Replicas, 1)
	total := max(x.Target, base.Cores(), from.Cores())
	most := max(b.MaxCPU, b.MinCPU)
	to.CPU = plan.MilliUp(total / float64(to.Replicas))
	if to.CPU > most && most > 0 {
		steps := x.Steps
		if 2*base.CPU > most {
			steps++
		}
		to.CPU = most
		allowed := max(base.Replicas, 1) << min(steps, 16)
		to.Replicas = max(to.Replicas, min(int(math.Ceil(total/most-1e-9)), allowed))
	}
	return to
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "; " + b
}
