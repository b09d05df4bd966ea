package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"foresail.dev"
)

// Options of Run. The zero value observes only.
type Options struct {
	Mode   Mode
	Events Events
	// History is what to keep beyond what the manager reads, for a page or a recorder; only its Beats, Seconds and
	// Minutes count.
	History foresail.Needs
	// Recall gives what was observed before, for History.Recall, of which needs says how much serves: called once, before the
	// first snapshot. An error ends it, and is told to Events.Trouble. nil: the history begins empty.
	Recall func(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error]
	// Past is what happened before the first interval, oldest first: it enters the history, and nothing is decided on it.
	// nil: nothing is known of it.
	Past iter.Seq[*foresail.Snapshot]
	// State keeps what a foresail.Stateful manager learnt over a restart; nil: nothing is kept.
	State Store
	// StateEvery is how often it is kept, by the snapshots' time; 0 means a minute. It is also kept when Run ends.
	StateEvery time.Duration
	// Swap replaces the manager between decisions; nil: it is never replaced.
	Swap *Swap
	// Rebuild makes the manager for an application whose generation has grown: managers are built for one list of services.
	// The new one takes over the state of the old where it can, and decides from that snapshot on. nil, or a nil manager:
	// the old one goes on. On an error, which Events.Trouble is told, it goes on as well.
	Rebuild func(app *foresail.App) (foresail.Manager, error)
	// ApplyTimeout is how long, by the wall clock, one Apply may take; 0 means DefaultApplyTimeout.
	ApplyTimeout time.Duration
}

// DefaultApplyTimeout is how long one Apply may take.
const DefaultApplyTimeout = 30 * time.Second

// Run turns the loop until the cluster ends (io.EOF) or ctx is done, which both return nil. Any other error of Next ends
// it and is returned; an error or a panic of Decide, and an error of Apply, are told in Decision.Err, and the loop goes
// on. The first decision is made when the manager's Every has passed since the start of the first snapshot.
func Run(ctx context.Context, c foresail.Cluster, m foresail.Manager, o Options) error {
	r := newRunner(c, m, o)
	r.recall()
	r.restore()
	defer r.save()
	for {
		s, err := c.Next(ctx)
		switch {
		case errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("observing %s after %s: %w", r.app.Name, r.moment(), err)
		}
		r.observe(s)
		if o.Mode == Observe || !r.due(s) {
			continue
		}
		if d := r.decide(ctx); o.Events.Decided != nil {
			o.Events.Decided(d)
		}
	}
}

// runner is the state of one Run.
type runner struct {
	cluster foresail.Cluster
	manager foresail.Manager
	o       Options
	app     *foresail.App
	history *foresail.History

	seen   foresail.Signals      // observed since checked
	told   foresail.Signals      // reported as missing
	check  time.Time             // when what is missing was last looked at; the first snapshot's start before that
	before []foresail.Allocation // by ServiceID, the last that was observed

	every time.Duration // of the manager
	last  time.Time     // when the last decision was due, or the start of the first snapshot
	saved time.Time     // by the snapshots' time
}

func newRunner(c foresail.Cluster, m foresail.Manager, o Options) *runner {
	r := &runner{cluster: c, manager: m, o: o, app: c.App(), every: m.Needs().Every}
	r.history = foresail.NewHistory(r.app, r.needs())
	if o.Past != nil {
		for s := range o.Past {
			r.history.Add(s)
		}
	}
	return r
}

// recall fills the history with what was observed before.
func (r *runner) recall() {
	if r.o.Recall == nil {
		return
	}
	for s, err := range r.o.Recall(r.needs()) {
		if err != nil {
			r.trouble(fmt.Errorf("what was observed before: %w; the history begins with what there is", err))
			return
		}
		r.history.Recall(s)
	}
}

func (r *runner) needs() foresail.Needs { return r.manager.Needs().Join(r.o.History) }

// moment names the time reached, for errors.
func (r *runner) moment() string {
	if now := r.history.Now(); !now.IsZero() {
		return now.Format(time.RFC3339Nano)
	}
	return "the start"
}

func (r *runner) observe(s *foresail.Snapshot) {
	if app := r.cluster.App(); app != r.app {
		grown := app.Generation != r.app.Generation
		r.app = app
		r.history.SetApp(app)
		if grown {
			r.rebuild()
		}
	}
	if r.check.IsZero() {
		r.check = s.Start
	}
	r.history.Add(s)
	r.seen |= s.Has
	for i := range s.Services {
		st := &s.Services[i]
		r.seen |= st.Has
		for len(r.before) <= i {
			r.before = append(r.before, foresail.Allocation{})
		}
		if st.Has.Has(foresail.SignalAllocation) {
			r.before[i] = st.Allocation
		}
	}
	if r.o.Events.Observed != nil {
		r.o.Events.Observed(r.history, s)
	}
	every := r.o.StateEvery
	if every <= 0 {
		every = time.Minute
	}
	switch {
	case r.saved.IsZero() || s.End.Before(r.saved):
		r.saved = s.End
	case s.End.Sub(r.saved) >= every:
		r.saved = s.End
		r.save()
	}
}

// due reports whether it is time to decide, by the snapshots' time. Decisions that a gap swallowed are not made up for;
// when time jumps back, the next is a full interval away.
func (r *runner) due(s *foresail.Snapshot) bool {
	if r.o.Swap != nil {
		if m := r.o.Swap.take(); m != nil {
			r.replace(m)
		}
	}
	if r.last.IsZero() || s.End.Before(r.last) {
		r.last = s.Start
	}
	past := s.End.Sub(r.last)
	if past < r.every {
		return false
	}
	if r.every > 0 {
		r.last = r.last.Add(past.Truncate(r.every))
	}
	return true
}

// replace makes another manager decide from now on.
func (r *runner) replace(m foresail.Manager) {
	r.handOver(m)
	r.manager, r.every, r.told = m, m.Needs().Every, 0
	r.history.Keep(r.needs())
}

// rebuild replaces the manager by one for the application as it is now.
func (r *runner) rebuild() {
	if r.o.Rebuild == nil {
		return
	}
	m, err := r.o.Rebuild(r.app)
	switch {
	case err != nil:
		r.trouble(fmt.Errorf("a manager for generation %d of %s: %w; %s goes on", r.app.Generation, r.app.Name, err, r.manager.Name()))
	case m != nil:
		r.replace(m)
	}
}

// decide asks the manager, and applies what it says in Auto.
func (r *runner) decide(ctx context.Context) Decision {
	r.missing()
	d := Decision{At: r.history.Now(), Mode: r.o.Mode, Before: make([]foresail.Allocation, len(r.app.Services))}
	copy(d.Before, r.before)
	start := time.Now()
	d.Plan, d.Err = ask(r.manager, r.history)
	d.Plan = present(r.app, d.Plan)
	d.Took = time.Since(start)
	if d.Err != nil {
		d.Err = fmt.Errorf("%s: %w", r.manager.Name(), d.Err)
	}
	if d.Err != nil || d.Plan == nil || len(d.Plan.Changes) == 0 || r.o.Mode != Auto {
		return d
	}
	limit := r.o.ApplyTimeout
	if limit <= 0 {
		limit = DefaultApplyTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	d.Applied = true
	if err := r.cluster.Apply(ctx, d.Plan); err != nil {
		d.Err = fmt.Errorf("applying the plan of %s: %w", r.manager.Name(), err)
	}
	return d
}

// present is a plan without its changes for services that are no longer part of the application: a manager need not know
// that they have gone.
func present(app *foresail.App, p *foresail.Plan) *foresail.Plan {
	gone := func(c foresail.Change) bool {
		return c.Service >= 0 && int(c.Service) < len(app.Services) && app.Services[c.Service].Gone
	}
	if p == nil || !slices.ContainsFunc(p.Changes, gone) {
		return p
	}
	out := *p // the manager may keep its own
	out.Changes = slices.DeleteFunc(slices.Clone(p.Changes), gone)
	return &out
}

// ask turns a panic into an error: an unguarded manager's fault must not end the observation of an application.
func ask(m foresail.Manager, h *foresail.History) (p *foresail.Plan, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, fmt.Errorf("panic: %v", v)
		}
	}()
	return m.Decide(h)
}

// missing names the required signals that were not observed, once until they change. It looks at a second or more, since
// not every beat carries every signal, and not at silence, which says nothing about what the cluster can give.
func (r *runner) missing() {
	now := r.history.Now()
	if r.seen == 0 || now.After(r.check) && now.Sub(r.check) < time.Second {
		return
	}
	gone := r.manager.Needs().Required &^ r.seen
	r.seen, r.check = 0, now
	if gone == r.told {
		return
	}
	r.told = gone
	if gone != 0 && r.o.Events.Missing != nil {
		r.o.Events.Missing(gone)
	}
}

func (r *runner) trouble(err error) {
	if r.o.Events.Trouble != nil {
		r.o.Events.Trouble(err)
	}
}
