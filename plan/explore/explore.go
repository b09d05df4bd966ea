package explore

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan"
	"foresail.dev/plan/autoscale"
)

const (
	delay   = 5                // seconds after which a violation still belongs to an action
	holding = 3                // seconds of holding after a recovery
	recent  = 3                // seconds that utilisation is a mean of
	outage  = 10 * time.Second // without being asked, after which it begins at the maximum again
)

// Manager is "explore".
type Manager struct {
	c         Config
	objective float64 // ms
	seed      uint64
	state     state
}

// New builds a manager for an application, which needs an objective; or it tells every fault of c. What is drawn comes from seed.
func New(app *foresail.App, c Config, seed uint64) (*Manager, error) {
	if app == nil {
		return nil, errors.New("explore: no application")
	}
	objective := tail.Reference(app)
	if math.IsNaN(objective) {
		return nil, fmt.Errorf("explore: no endpoint of %s has an objective, so that there is nothing to find the limits of: give it one", app.Name)
	}
	c = c.withDefaults(objective)
	if err := c.check(objective); err != nil {
		return nil, err
	}
	return &Manager{c: c, objective: objective, seed: seed, state: state{Arms: arms{}}}, nil
}

// Name is "explore".
func (m *Manager) Name() string { return "explore" }

// Needs asks for a decision each second.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: tail.Interval, Required: foresail.SignalCPU | foresail.SignalAllocation | foresail.SignalEndpoints,
		Optional: foresail.SignalArrivals | foresail.SignalMemory | foresail.SignalInFlight | foresail.SignalThrottled | foresail.SignalReady,
		Seconds:  int(foresail.RevisionLimit/time.Second) + recent}
}

// Spent is for how long the objective was violated, of what was seen so far, but for warm-ups: what is violated with everything
// at its maximum in the beginning, nobody explored.
func (m *Manager) Spent() time.Duration {
	bad := m.state.Spent
	for _, o := range m.state.Open {
		if o.Bad {
			bad++
		}
	}
	return time.Duration(bad) * tail.Interval
}

// Stopped reports whether the budget is spent: everything is at its maximum from then on.
func (m *Manager) Stopped() bool { return m.state.Stopped }

// End puts everything to its maximum, for whoever manages the application next; nil where it is there already.
func (m *Manager) End(h *foresail.History) *foresail.Plan {
	n := &now{m: m, app: h.App(), last: h.Last(), draft: plan.NewDraft(h, m.Name())}
	return n.most("explore/end", "exploring is over")
}

// now is one decision.
type now struct {
	m       *Manager
	app     *foresail.App
	seconds []*foresail.Snapshot // the newest, oldest first
	last    *foresail.Snapshot
	p99     float64 // ms, of the newest
	hidden  hidden
	rng     *rand.Rand
	draft   *plan.Draft
	chosen  []int32 // by ServiceID, thousandths of a core; 0: not known
	text    string  // what was seen, for reasons
}

// Decide moves every service, or holds, recovers or stays at the maximum: see the package. Where the last second was not
// observed everything goes to its maximum. It errs where snapshots are longer than a second.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	n := &now{m: m, app: h.App(), seconds: plan.Tail(h.Seconds(int(foresail.RevisionLimit/time.Second)+recent), foresail.RevisionLimit+recent*time.Second),
		draft: plan.NewDraft(h, m.Name())}
	if len(n.seconds) == 0 {
		return nil, nil // the first second is not over
	}
	n.last = n.seconds[len(n.seconds)-1]
	s := &m.state
	n.rng = rand.New(rand.NewPCG(m.seed, uint64(s.Decided)))
	s.Decided++
	if d := n.last.Duration(); d >= 2*tail.Interval {
		return nil, fmt.Errorf("explore: a snapshot covers %v: exploring needs one each second", d)
	}
	if gap := n.last.End.Sub(s.Last); gap < 0 || gap > outage { // a start, or as good as one
		s.Warm, s.Log, s.Recovering, s.Holding, s.Dwelling = 0, nil, 0, 0, 0
	}
	fresh := !n.last.End.Equal(s.Last)
	s.Last = n.last.End
	m.spend(n)
	switch {
	case !n.last.Has.Has(foresail.SignalEndpoints) || h.Now().Sub(n.last.End) >= 2*tail.Interval:
		s.Log = nil
		return n.most("explore/blind", "what users see was not observed in the last second"), nil
	case !fresh:
		return nil, nil
	}
	n.see()
	amended := s.amend(n)
	violated := n.violated(n.last)
	recovering := n.hidden.now == above
	if s.Recovering == 0 && s.Holding == 0 && amended {
		s.credit(violated)
	}
	switch {
	case s.Stopped:
		return n.most("explore/budget", fmt.Sprintf("the objective was violated for %v of a budget of %v, of which %v is kept for what is in flight", m.Spent(), m.c.Budget, m.c.Reserve)), nil
	case s.Warm < m.c.Warmup:
		s.Warm++
		return n.most("explore/warm-up", fmt.Sprintf("second %d of %d at the maximum", s.Warm, m.c.Warmup)), nil
	case recovering:
		s.Recovering++
		s.Log, s.Dwelling = nil, 0
		if s.Recovering > m.c.Recovery {
			return n.most("explore/lost", fmt.Sprintf("p99 is above %.0f ms for %d seconds in a row", m.c.Roof, s.Recovering)), nil
		}
		n.all("explore/recover", firstUp)
		return n.draft.Plan(), nil
	case s.Recovering > 0:
		s.Recovering, s.Holding = 0, holding
	}
	if s.Holding > 0 {
		s.Holding--
		n.draft.Note(fmt.Sprintf("held after a recovery, for %d more seconds", s.Holding))
		return n.draft.Plan(), nil
	}
	from := 0
	if m.ahead() {
		if from = hold; violated {
			from = firstUp
		}
		n.draft.Note(fmt.Sprintf("nothing is lowered: the objective was violated for %v already, of %v over %v", m.Spent(), m.c.Budget, m.c.Pace))
	}
	n.all("explore/op", from)
	s.Log = append(s.Log, entry{n.hidden, n.chosen})
	return n.draft.Plan(), nil
}

// see reads the newest second.
func (n *now) see() {
	c := &n.m.c
	p99 := func(s *foresail.Snapshot) (step tail.Step, p float64) {
		step = tail.Observe(n.app, s)
		p = step.Latency[tail.P99]
		if math.IsNaN(p) {
			if p = 0; step.Rate >= stalled && ended(&step) == 0 {
				p = math.Inf(1)
			}
		}
		return step, p
	}
	step, now := p99(n.last)
	before := now
	if k := len(n.seconds); k > 1 {
		_, before = p99(n.seconds[k-2])
	}
	n.p99 = now
	n.hidden = hidden{quantised(before, c.Quantum, c.Roof), quantised(now, c.Quantum, c.Roof), int32(min(math.Ceil(step.Rate/c.Rate), math.MaxInt16))}
	n.text = fmt.Sprintf("p99 at %.0f ms, %.0f ms the second before, %.0f requests/s", now, before, step.Rate)
}

// stalled is how many requests must come in a second without any that ends for that to be no chance.
const stalled = 10

func ended(s *tail.Step) (sum float64) {
	for i := range s.Endpoints {
		sum += s.Endpoints[i].Requests
	}
	return sum
}

// violated reports whether an objective was missed in a second.
func (n *now) violated(s *foresail.Snapshot) bool {
	step := tail.Step{Endpoints: make([]tail.EndpointStep, min(len(s.Endpoints), len(n.app.Endpoints)))}
	for i := range step.Endpoints {
		step.Endpoints[i] = tail.EndpointStep{Requests: s.Endpoints[i].Requests, Late: s.Endpoints[i].Late}
	}
	return step.Violated(n.app)
}

// service is one that is decided on.
type service struct {
	id          foresail.ServiceID
	svc         *foresail.Service
	in          foresail.Allocation // in effect
	wanted      foresail.Allocation // last asked for
	cores       float64             // in effect, total
	least, most float64
	utilisation float64
}

// service reads one; ok is false where it has gone, or its allocation was not observed.
func (n *now) service(i int) (v service, ok bool) {
	v = service{id: foresail.ServiceID(i), svc: &n.app.Services[i]}
	st := plan.Stats(n.last, v.id)
	if v.svc.Gone || st == nil || !st.Has.Has(foresail.SignalAllocation) {
		return v, false
	}
	v.in = st.Allocation
	v.wanted, _ = plan.Wanted(v.svc, st)
	v.cores = v.in.Cores()
	if v.cores <= 0 {
		v.in, v.cores = v.wanted, v.wanted.Cores()
	}
	v.least, v.most = n.m.bounds(v.svc, v.in)
	v.utilisation = n.utilisation(v.id)
	return v, v.cores > 0
}

// bounds are the fewest and the most cores that a service may have, total over replicas.
func (m *Manager) bounds(svc *foresail.Service, has foresail.Allocation) (least, most float64) {
	if m.c.Replicas || has.Replicas < 1 {
		return tail.CoreBounds(svc)
	}
	b := svc.Bounds
	n := float64(min(max(has.Replicas, b.MinReplicas), b.Max().Replicas))
	return n * b.MinCPU, n * b.Max().CPU
}

// utilisation is the mean of the last seconds in which it was observed.
func (n *now) utilisation(id foresail.ServiceID) float64 {
	sum, seen := 0.0, 0.0
	for _, s := range n.seconds[max(len(n.seconds)-recent, 0):] {
		if st := plan.Stats(s, id); st != nil {
			if u, ok := st.Utilisation(s.Duration()); ok {
				sum, seen = sum+u, seen+1
			}
		}
	}
	if seen == 0 {
		return 0
	}
	return sum / seen
}

// all moves every service by one of the operations from one on.
func (n *now) all(rule string, from int) {
	n.chosen = make([]int32, len(n.app.Services))
	held := from < firstUp && n.dwell()
	for i := range n.app.Services {
		v, ok := n.service(i)
		if !ok {
			continue
		}
		n.chosen[i] = milli(v.cores)
		if held || !v.in.Equal(v.wanted) && from < firstUp { // what was asked for is not there yet: it is waited for
			continue
		}
		to, why := n.choose(&v, from)
		n.chosen[i] = milli(to)
		if milli(to) == milli(v.cores) {
			continue
		}
		alloc, bound := autoscale.Spread(v.svc.Bounds, v.in, to)
		n.draft.Set(v.id, v.svc, v.wanted, alloc, foresail.Reason{Rule: rule, Bound: bound,
			Text:       fmt.Sprintf("%s: %s, from %.2f cores, %.0f %% used", n.text, why.name, v.cores, v.utilisation*100),
			Considered: why.considered})
	}
	if held {
		n.draft.Note("all services are held, by chance")
	}
}

// dwell reports whether all services are held in this second: each begins a stretch with a small chance.
func (n *now) dwell() bool {
	s, c := &n.m.state, &n.m.c
	if s.Dwelling == 0 && n.rng.Float64() < c.Hold {
		s.Dwelling = 1 + n.rng.IntN(2*c.Dwell-1)
	}
	if s.Dwelling > 0 {
		s.Dwelling--
		return true
	}
	return false
}

// why says how cores were chosen.
type why struct {
	name       string
	considered []string
}

// choose is the cores that a service should have.
func (n *now) choose(v *service, from int) (float64, why) {
	c := &n.m.c
	least := min(max(floor(v.cores, v.utilisation, c.Cap, c.Unit), v.least), v.most)
	if from < firstUp && n.rng.Float64() < c.Random {
		lo := max(c.Unit, v.cores-c.Unit)
		to := min(max(ceil(lo+n.rng.Float64()*max(v.most-lo, 0), c.Unit), least), v.most)
		return to, why{"drawn at random", []string{"the operations: this happens in one of so many seconds"}}
	}
	reach := v.most
	if c.Reach > 0 {
		reach = min(max(ceil(c.Reach*v.utilisation*v.cores, c.Unit)+c.Unit, v.cores, least), v.most)
	}
	best, score, ties := 0, math.Inf(-1), 1.0
	next, counts := 0.0, count{}
	for k := from; k < len(ops); k++ {
		to := min(max(ops[k].next(v.cores, v.most, c.Unit), least), v.most)
		to = min(to, reach)
		have := n.m.state.Arms[arm{n.hidden, int32(v.id), milli(to)}]
		switch s := have.score(c.Bias[k], v.utilisation, v.cores, to); {
		case s > score:
			ties = 1
		case s == score:
			if ties++; n.rng.Float64()*ties >= 1 {
				continue
			}
		default:
			continue
		}
		score = have.score(c.Bias[k], v.utilisation, v.cores, to)
		best, next, counts = k, to, have
	}
	w := why{name: fmt.Sprintf("%s promises most, tried %d times here, %d of them with a violation", ops[best].name, counts.sat+counts.viol, counts.viol)}
	if least > v.cores {
		w.considered = []string{fmt.Sprintf("fewer than %.2f cores: they would be used by more than %.0f %%", least, c.Cap*100)}
	}
	return next, w
}

// most gives everything its maximum.
func (n *now) most(rule, text string) *foresail.Plan {
	for i := range n.app.Services {
		svc := &n.app.Services[i]
		if svc.Gone {
			continue
		}
		from, known := plan.Wanted(svc, plan.Stats(n.last, foresail.ServiceID(i)))
		_, most := n.m.bounds(svc, from)
		to, bound := autoscale.Spread(svc.Bounds, from, most)
		n.draft.Set(foresail.ServiceID(i), svc, from, to, plan.Admit(foresail.Reason{Rule: rule, Text: text, Bound: bound}, known))
	}
	if rule != "explore/warm-up" {
		n.draft.Note("at the maximum: " + text)
	}
	return n.draft.Plan()
}
