// Package autothrottle is Autothrottle (Wang et al., NSDI 2024): for each service a captain that keeps the share of CPU
// periods in which it is throttled near a target, and above them a tower that learns which targets are cheapest.
//
// A captain (captain.go) decides every ten periods of 100 ms by the artefact's rule: with the throttle ratio r of these
// periods and the target T, margin += r - T, at least 0, from 3; when r > 3T the limit is multiplied by 1 + r - 3T; else
// the proposal is the largest usage of the last 50 periods plus margin standard deviations, and when that is at most 90 %
// of the limit it becomes the limit, or half of it. When r > 3T in the periods right after a cut, the limit becomes
// 2 × the one before - the cut one.
//
// The tower (tower.go, learn.go) decides once a minute for two groups of services, by CPU, which of nine targets each
// gets: 81 actions. The context is the load; the cost of a minute is the allocation, normalised to 0..1, where the
// objective was met, and 2 plus the normalised latency where not. Exploration goes to one of the neighbouring actions.
//
// What differs, and why it is no weaker:
//   - A captain rules a service's total, spread over its replicas by autoscale.Spread: CPU per replica first, more
//     replicas when one may have no more. The artefact has one captain for each replica, with a node's cores as its limit.
//   - The throttle ratio is derived from the time spent throttled in each beat (see periods).
//   - The learner is no network of three hidden units that is trained from nothing each minute (Vowpal Wabbit's
//     cb_explore), but a weighted mean over the same medians by action and load, in which an action's neighbours speak for
//     it too. It has the network's inputs, costs and aggregation; it depends on no order of training, can't be caught in a
//     bad minimum, and knows from few samples that targets next to each other cost about the same.
//   - Where nothing was learnt the tower begins with both targets 0, the most cautious, and moves on to neighbours of what
//     it tried, so that it can be started without training. The artefact's authors say of theirs too that 0.1 exploration
//     needs no warm-up.
//   - The latency of a minute is that of the endpoint that is worst against its objective, at the objective's percentile;
//     the artefact has one p99 over all requests.
//   - A bucket of load is as wide against the mean load as the paper's 20 requests/s at 263, since loads here differ more.
//
// Training as in the paper is half random exploration, two minutes for each action, and half learning with exploration
// 0.5, six hours each there. Config.Training says how many minutes of both; Save and Restore carry what was learnt to a
// manager that goes on without.
package autothrottle

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/autoscale"
)

// Config of a Manager. Zero fields mean the defaults.
type Config struct {
	Seed        uint64
	Factor      float64 // the share of an objective's latency that the tower aims to stay within; 0 means 1
	Exploration float64 // the share of minutes in which a neighbouring action is tried; 0 means 0.1, negative: none
	Training    int     // minutes, counted over restarts, that are spent on training; 0: none
}

// Manager is "autothrottle".
type Manager struct {
	c     Config
	state state
}

// state is what it remembers, as it is kept over a restart.
type state struct {
	Last     time.Time // end of the newest beat that the captains saw
	Captains []captain // by ServiceID
	Tower    tower
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("autothrottle: no application")
	}
	if c.Factor == 0 {
		c.Factor = 1
	}
	if c.Exploration == 0 {
		c.Exploration = 0.1
	}
	c.Exploration = max(c.Exploration, 0)
	var errs []error
	if !(c.Factor > 0) {
		errs = append(errs, fmt.Errorf("autothrottle: factor %v: must be above 0", c.Factor))
	}
	if !(c.Exploration <= 1) {
		errs = append(errs, fmt.Errorf("autothrottle: exploration %v: must be at most 1", c.Exploration))
	}
	if c.Training < 0 {
		errs = append(errs, fmt.Errorf("autothrottle: training %d: must not be negative", c.Training))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	m := &Manager{c: c}
	m.grow(len(app.Services))
	return m, nil
}

func (m *Manager) grow(n int) {
	for len(m.state.Captains) < n {
		m.state.Captains = append(m.state.Captains, newCaptain())
	}
}

// Name is "autothrottle".
func (m *Manager) Name() string { return "autothrottle" }

// Needs asks for a decision each period on CPU and throttling, and on what users see.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: period,
		Required: foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalEndpoints,
		Optional: foresail.SignalAllocation | foresail.SignalReady, Beats: lookBack, Minutes: 1}
}

// lookBack is how many beats are looked at when decisions were missed.
const lookBack = 50

// Decide shows the captains the beats since the last decision, and asks the tower when a minute is over. It errs when no
// service's CPU and throttling were observed in the last seconds.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	m.grow(len(app.Services))
	s := &m.state
	if s.Last.After(h.Now()) { // time has jumped back
		s.Last, s.Tower.Last = time.Time{}, time.Time{}
	}
	beats := h.Beats(lookBack)
	for i := range app.Services {
		m.adopt(&app.Services[i], foresail.ServiceID(i), beats)
	}
	for _, p := range beats {
		if p.Start.Before(s.Last) {
			continue
		}
		s.Last = p.End
		m.watch(app, p)
	}
	d := plan.NewDraft(h, m.Name())
	if last := h.Minutes(1); len(last) > 0 && last[0].End.After(s.Tower.Last) {
		if text := s.Tower.decide(app, last[0], m.c, m.c.Seed); text != "" {
			d.Note(text)
		}
		for i := range app.Services {
			s.Captains[i].Target = s.Tower.target(i, s.Captains[i].Usage[usagePeriods-1])
		}
	}
	if !observed(plan.Tail(beats, 2*time.Second), len(app.Services)) {
		return nil, fmt.Errorf("autothrottle: no service's CPU and throttling were observed in the last seconds: %w", foresail.ErrStale)
	}
	for i := range app.Services {
		m.apply(d, &app.Services[i], foresail.ServiceID(i), beats)
	}
	return d.Plan(), nil
}

func observed(parts []*foresail.Snapshot, services int) bool {
	for i := range services {
		if plan.Latest(parts, foresail.ServiceID(i), foresail.SignalCPU|foresail.SignalThrottled) != nil {
			return true
		}
	}
	return false
}

// adopt takes over what a service has where that is not what its captain asked for: at the start, and after another hand
// or a guard has decided.
func (m *Manager) adopt(svc *foresail.Service, id foresail.ServiceID, beats []*foresail.Snapshot) {
	c := &m.state.Captains[id]
	from, _ := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
	if have, diff := from.Cores(), from.Cores()-c.Asked; diff > 0.001 || diff < -0.001 {
		c.Limit, c.Before, c.Asked, c.Given, c.Lowered = have, have, have, have, false
	}
}

// watch shows one snapshot to the captains, and its allocation to the tower.
func (m *Manager) watch(app *foresail.App, p *foresail.Snapshot) {
	cores, known := 0.0, false
	for i := range app.Services {
		st := plan.Stats(p, foresail.ServiceID(i))
		if st == nil {
			continue
		}
		if held, ok := st.Held(); ok {
			cores, known = cores+held, true
		}
		n, throttled, used := periods(st, p)
		for range min(n, usagePeriods) {
			m.state.Captains[i].observe(throttled, used)
		}
	}
	if known {
		m.state.Tower.CoreSec += cores * p.Duration().Seconds()
		m.state.Tower.Over += p.Duration()
	}
}

// apply asks for what a captain wants, within the service's bounds.
func (m *Manager) apply(d *plan.Draft, svc *foresail.Service, id foresail.ServiceID, beats []*foresail.Snapshot) {
	c := &m.state.Captains[id]
	b := svc.Bounds
	from, known := plan.Wanted(svc, plan.Latest(beats, id, foresail.SignalAllocation))
	lo := float64(max(b.MinReplicas, 1)) * b.MinCPU
	hi := float64(max(b.MaxReplicas, b.MinReplicas, 1)) * max(b.MaxCPU, b.MinCPU)
	c.Limit = min(max(c.Limit, lo), hi)
	if from.Replicas == 0 || c.Limit == c.Given {
		return
	}
	c.Given = c.Limit
	to, bound := autoscale.Spread(b, from, c.Limit)
	if to.Equal(from) {
		return
	}
	c.Asked = to.Cores()
	r := foresail.Reason{
		Rule: "autothrottle/captain",
		Text: fmt.Sprintf("throttled in %.0f %% of the last periods against a target of %.0f %%: from %.3f to %.3f cores, %s",
			c.Ratio*100, c.Target*100, from.Cores(), to.Cores(), c.Why),
		Bound: bound,
		Considered: []string{fmt.Sprintf("%.3f cores as before: up to a ratio of %.0f %% a limit stays that is less than a ninth above usage and margin",
			from.Cores(), alpha*c.Target*100)},
	}
	d.Set(id, svc, from, to, plan.Admit(r, known))
}

// Save keeps the captains and what the tower has learnt.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept, of this application or of another run of it.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("autothrottle: state: %w", err)
	}
	for i := range s.Captains {
		if len(s.Captains[i].Usage) != usagePeriods {
			return fmt.Errorf("autothrottle: state: captain %d knows %d periods, and must know %d", i, len(s.Captains[i].Usage), usagePeriods)
		}
	}
	t := &s.Tower
	for i, x := range t.Samples {
		if x.Action < 0 || x.Action >= actions {
			return fmt.Errorf("autothrottle: state: sample %d: action %d: there are %d", i, x.Action, actions)
		}
	}
	if t.Action < 0 || t.Action >= actions || len(t.Tries) > actions || t.Minutes < 0 || t.Group != nil && len(t.Centres) != groups {
		return errors.New("autothrottle: state: the tower's is not one that was saved")
	}
	n := len(m.state.Captains)
	m.state = s
	m.grow(n)
	return nil
}
