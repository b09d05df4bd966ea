// Package powerchief is PowerChief (Yang et al., ISCA 2017), with CPU in the place of power as in Sinan's evaluation
// (Zhang et al., ASPLOS 2021, §5): it finds the service in which a request waits and works longest, boosts it, and takes
// what that needs from those where it does so least.
//
// The paper's metric of an instance is the time until a request that comes now is done,
//
//	delay = L × s + s
//
// with L the length of its queue and s its service time. Boosting it by a second instance halves its queue, L/2 × s + s;
// boosting its frequency by the factor 1/α gives L × αs + αs; what is predicted to be faster is done. Here a service's
// replicas are its instances, and the CPU of a replica is its frequency. With d core-seconds a request and c cores a
// replica, whose requests share them,
//
//	delay = L × d/c + d/min(1, c)
//
// since one request runs on one core at most; for c = 1 that is the paper's. More replicas divide L, more CPU raises c.
//
// Queues are estimated from what snapshots tell, as Sinan did from network traces: L is by Little's law the arrivals times
// the time that a request spends in the service itself, which is its latency less that of the calls it makes. Where calls
// run in parallel that takes away too much, and the CPU time is the least it can be.
//
// The paper has two modes: a fixed budget, and least power for an objective (§8.4 there). Cores have no budget but the
// bounds, so the second is the whole of it here, with three bands of the worst endpoint's latency over its objective:
//   - above High the bottleneck is boosted;
//   - below Low the least loaded services are lowered, a quarter of them each sixth interval (the paper withdraws each
//     150 s and adjusts each 25 s), at most to a utilisation of 80 % of the busiest of the last ten seconds;
//   - in between the bottleneck is boosted as often with cores of the least loaded, if its delay is twice the mean.
//
// Assumed, as the paper's figures are of other machines and stages: the interval, the step, the bands, and the cap on
// utilisation. Its stages are each visited by every request; a service that few requests visit counts as any other here.
package powerchief

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/autoscale"
)

// Config of a Manager. Zero fields mean the defaults.
type Config struct {
	Interval time.Duration // between decisions, and what queues are estimated over; 0 means 1 s
	Step     float64       // what a boost of CPU adds and a withdrawal takes, as a share of a service's cores; 0 means 0.2
	High     float64       // latency over objective above which the bottleneck is boosted; 0 means 0.5
	Low      float64       // and below which the least loaded are lowered; 0 means 0.25
}

const (
	withdrawEach = 6    // intervals
	withdrawPart = 4    // one in so many services
	mostUse      = 0.8  // utilisation that a withdrawal may lead to
	leastGain    = 0.02 // of the delay, for a boost to be worth it
	imbalance    = 2    // the bottleneck's delay over the mean for cores to be moved
)

// Manager is "powerchief".
type Manager struct {
	c     Config
	state state
}

// state is what it remembers.
type state struct {
	Calm int // intervals in a row that were not above High
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("powerchief: no application")
	}
	set := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.Step, 0.2)
	set(&c.High, 0.5)
	set(&c.Low, 0.25)
	if c.Interval == 0 {
		c.Interval = time.Second
	}
	var errs []error
	if c.Interval < time.Second {
		errs = append(errs, fmt.Errorf("powerchief: interval %v: must be at least a second", c.Interval))
	}
	if !(c.Step > 0 && c.Step < 1) {
		errs = append(errs, fmt.Errorf("powerchief: step %v: must be above 0 and below 1", c.Step))
	}
	if !(c.Low > 0 && c.Low <= c.High) {
		errs = append(errs, fmt.Errorf("powerchief: low %v: must be above 0 and at most high, %v", c.Low, c.High))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Manager{c: c}, nil
}

// Name is "powerchief".
func (m *Manager) Name() string { return "powerchief" }

// Needs asks for a decision each interval on what services and users see.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: m.c.Interval,
		Required: foresail.SignalCPU | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalLatency |
			foresail.SignalAllocation | foresail.SignalEndpoints,
		Optional: foresail.SignalEdges, Beats: 10, Seconds: int(max(m.c.Interval, longest)/time.Second) + 1}
}

// Decide boosts the bottleneck, lowers the least loaded, or moves cores from them to it. Where too few requests came to
// judge by, everything is kept. It errs when no service's queue or no endpoint was observed in the last interval.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	seconds := h.Seconds(int(max(m.c.Interval, longest)/time.Second) + 1)
	parts := plan.Tail(seconds, m.c.Interval)
	if len(parts) == 0 || !parts[len(parts)-1].End.After(h.Now().Add(-m.c.Interval)) {
		return nil, fmt.Errorf("powerchief: nothing was observed: %w", foresail.ErrStale)
	}
	if !observed(app, parts) {
		return nil, fmt.Errorf("powerchief: no queue or no endpoint was observed in the last %v: %w", m.c.Interval, foresail.ErrStale)
	}
	worst, ok := slowest(app, seconds)
	all := estimate(app, parts, plan.Tail(seconds, busiest))
	if len(all) == 0 || !ok {
		d := plan.NewDraft(h, m.Name())
		d.Note("everything kept, too few requests came to judge by")
		return d.Plan(), nil
	}
	// The longest delay first; equal ones by number.
	slices.SortStableFunc(all, func(a, b *service) int {
		switch {
		case a.delay() > b.delay():
			return -1
		case a.delay() < b.delay():
			return 1
		}
		return 0
	})
	changes := map[foresail.ServiceID]change{}
	if m.state.Calm++; worst.ratio > m.c.High {
		m.state.Calm = 0
	}
	turn := m.state.Calm > 0 && m.state.Calm%withdrawEach == 0
	switch {
	case worst.ratio > m.c.High:
		m.boost(changes, all, worst)
	case turn && worst.ratio < m.c.Low:
		m.withdraw(changes, all, math.Ceil(float64(len(all))/withdrawPart), nil, worst)
	case turn:
		if s := m.bottleneck(all); s != nil && s.delay() >= imbalance*meanDelay(all) {
			m.move(changes, all, worst)
		}
	}
	d := plan.NewDraft(h, m.Name())
	for i := range app.Services {
		if ch, ok := changes[foresail.ServiceID(i)]; ok {
			d.Set(foresail.ServiceID(i), &app.Services[i], ch.from, ch.to, ch.reason)
		}
	}
	return d.Plan(), nil
}

// change is what becomes of a service.
type change struct {
	from, to foresail.Allocation
	reason   foresail.Reason
}

// bottleneck is the service with the longest delay that a boost would shorten; nil where there is none.
func (m *Manager) bottleneck(all []*service) *service {
	for _, s := range all {
		if !s.pending {
			if _, gain, _ := m.best(s); gain >= leastGain {
				return s
			}
		}
	}
	return nil
}

// best is the faster of the two boosts by prediction, by what share of the delay it is faster, and how it is called. They
// are compared at the same cores, those of one replica more; CPU, which can be given in small parts, is then raised by a
// step.
func (m *Manager) best(s *service) (to foresail.Allocation, gain float64, how string) {
	b := s.svc.Bounds
	replica, rival, step := s.from, s.from, s.from
	replica.Replicas = min(s.from.Replicas+1, max(b.MaxReplicas, b.MinReplicas))
	hi := max(b.MaxCPU, b.MinCPU)
	rival.CPU = min(s.from.CPU*float64(replica.Replicas)/float64(s.from.Replicas), hi)
	step.CPU = min(plan.MilliUp(s.from.CPU*(1+m.c.Step)), hi)
	to, how = step, "more CPU for each replica"
	if s.after(replica) < s.after(rival)*(1-1e-9) { // at a tie what is there at once
		to, how = replica, "one replica more"
	}
	return to, 1 - s.after(to)/s.delay(), how
}

// boost raises the bottleneck; it reports the cores that this takes.
func (m *Manager) boost(changes map[foresail.ServiceID]change, all []*service, worst endpoint) (cores float64) {
	s := m.bottleneck(all)
	if s == nil {
		return 0
	}
	to, gain, how := m.best(s)
	r := foresail.Reason{
		Rule: "powerchief/boost",
		Text: fmt.Sprintf("%s is at %.0f %% of its objective, and %s has the longest delay of those that can be boosted: %.1f ms with %.2f requests waiting at each replica; %s shortens it by %.0f %%",
			worst.name, worst.ratio*100, s.svc.Name, s.delay()*1e3, s.queue, how, gain*100),
	}
	for _, o := range all {
		if o != s && len(r.Considered) < 3 {
			r.Considered = append(r.Considered, fmt.Sprintf("%s, with a delay of %.1f ms", o.svc.Name, o.delay()*1e3))
		}
	}
	if len(r.Considered) == 0 {
		r.Considered = []string{"no other service"}
	}
	changes[s.id] = change{s.from, to, r}
	return to.Cores() - s.from.Cores()
}

// move boosts the bottleneck with cores of the least loaded.
func (m *Manager) move(changes map[foresail.ServiceID]change, all []*service, worst endpoint) {
	if cores := m.boost(changes, all, worst); cores > 0 {
		m.withdraw(changes, all, float64(len(all)), &cores, worst)
	}
}

// withdraw lowers up to n services, those with the shortest delay first, until as many cores as wanted were taken, where
// that is said.
func (m *Manager) withdraw(changes map[foresail.ServiceID]change, all []*service, n float64, wanted *float64, worst endpoint) {
	taken := 0.0
	for i := len(all) - 1; i >= 0 && n > 0; i-- {
		s := all[i]
		_, used := changes[s.id]
		least := max(s.most/mostUse, s.from.Cores()*(1-m.c.Step))
		if used || s.pending || s.from.Cores()-least < 0.01*s.from.Cores() {
			continue
		}
		if wanted != nil {
			if taken >= *wanted {
				return
			}
			least = max(least, s.from.Cores()-(*wanted-taken))
		}
		to, bound := autoscale.Spread(s.svc.Bounds, s.from, least)
		if to.Cores() < 0.99*s.most/mostUse || to.Cores() >= s.from.Cores() { // cores are given in thousandths
			continue
		}
		n--
		taken += s.from.Cores() - to.Cores()
		changes[s.id] = change{s.from, to, foresail.Reason{
			Rule: "powerchief/withdraw",
			Text: fmt.Sprintf("%s is at %.0f %% of its objective, and %s has one of the shortest delays, %.1f ms, with up to %.2f of %.2f cores in use",
				worst.name, worst.ratio*100, s.svc.Name, s.delay()*1e3, s.most, s.from.Cores()),
			Bound:      bound,
			Considered: []string{fmt.Sprintf("fewer than %.2f cores: they would be used by more than %.0f %%", s.most/mostUse, mostUse*100)},
		}}
	}
}

func meanDelay(all []*service) float64 {
	sum := 0.0
	for _, s := range all {
		sum += s.delay() / float64(len(all))
	}
	return sum
}

// Save keeps for how long it has been calm.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("powerchief: state: %w", err)
	}
	if s.Calm < 0 {
		return fmt.Errorf("powerchief: state: calm for %d intervals", s.Calm)
	}
	m.state = s
	return nil
}
