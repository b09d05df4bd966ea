package scenario

import (
	"context"
	"maps"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/fault"
	"foresail.dev/load"
	"foresail.dev/loop"
)

// setup is what a world begins with.
type setup struct {
	blueprint *foresail.Blueprint
	broken    bool // the application could not be read, which has been told
	seed      uint64
	load      *load.Load
	mix       []load.MixPoint // in place of the load's own; nil: the load's own
	manager   managerSpec
	machines  appfile.Nodes
	initial   map[foresail.ServiceID]foresail.Allocation
}

func (s setup) clone() setup {
	s.initial = maps.Clone(s.initial)
	return s
}

// world is one simulated run.
type world struct {
	setup    setup
	duration time.Duration
	actions  []action
	last     []moment // instants that must be reached
	breaks   []breach
	hidden   []cover

	faults    []faultLine
	schedules []scheduleFile
	schedule  *fault.Schedule
	updates   []sim.Update
	latest    *foresail.Blueprint // after all updates; nil: there are none

	record *record // once it has run
}

// action is done at an instant of the run.
type action struct {
	at time.Duration
	do func(*stage) error
}

// cover is a time in which something is not observed.
type cover struct {
	from, to time.Duration
	all      bool             // nothing is
	signals  foresail.Signals // else these are not
}

// record is what was seen of a run.
type record struct {
	seconds   []*foresail.Snapshot
	windows   [][]foresail.Window // by EndpointID, of those with an objective
	episodes  [][]time.Duration   // by EndpointID, when each began
	decisions []made
	truth     []fault.Truth
	start     time.Time
}

// made is a decision, and when it was made.
type made struct {
	loop.Decision
	at time.Duration
}

// stage is the cluster that a scenario's manager acts on: the simulated application, what a scenario does to it, and what
// it hides. It records what is true before it hides anything.
type stage struct {
	*sim.Cluster
	world  *world
	next   int // of the actions
	judges []*foresail.Judge
	part   []*foresail.Snapshot // of the second that goes on
	swap   *loop.Swap
	start  time.Time
	now    setup                 // with what was changed since
	latest []foresail.Allocation // by ServiceID, what was last asked for or in effect
}

// Next does what is due, and simulates a beat.
func (s *stage) Next(ctx context.Context) (*foresail.Snapshot, error) {
	w := s.world
	for s.next < len(w.actions) && w.actions[s.next].at <= s.Offset() {
		if err := w.actions[s.next].do(s); err != nil {
			return nil, err
		}
		s.next++
	}
	at := s.Offset()
	snap, err := s.Cluster.Next(ctx)
	if err != nil {
		return nil, err
	}
	s.see(snap)
	for _, c := range w.hidden {
		if at >= c.from && at < c.to {
			snap = c.over(snap)
		}
	}
	return snap, nil
}

// see records a snapshot as it is.
func (s *stage) see(snap *foresail.Snapshot) {
	r := s.world.record
	for e, j := range s.judges {
		if j == nil {
			continue
		}
		if win, ok := j.Add(snap); ok {
			r.windows[e] = append(r.windows[e], win)
		}
		for _, ep := range j.Episodes[len(r.episodes[e]):] {
			r.episodes[e] = append(r.episodes[e], ep.Start.Sub(s.start))
		}
	}
	s.latest = s.latest[:0]
	for i := range snap.Services {
		a := snap.Services[i].Allocation
		if p := snap.Services[i].Pending; p != nil {
			a = *p
		}
		s.latest = append(s.latest, a)
	}
	s.part = append(s.part, snap)
	if snap.End.Truncate(time.Second).Equal(snap.End) {
		r.seconds = append(r.seconds, foresail.Merge(s.part...))
		s.part = s.part[:0]
	}
}

// over hides what a cover covers. The snapshot that was recorded shares what is not hidden.
func (c cover) over(s *foresail.Snapshot) *foresail.Snapshot {
	if c.all {
		return &foresail.Snapshot{Start: s.Start, End: s.End, Generation: s.Generation, Stale: true}
	}
	out := *s
	out.Has &^= c.signals
	out.Services = slices.Clone(s.Services)
	for i := range out.Services {
		v := &out.Services[i]
		v.Has &^= c.signals
		v.Replicas = slices.Clone(v.Replicas)
		for j := range v.Replicas {
			v.Replicas[j].Has &^= c.signals
		}
	}
	return &out
}

// run simulates a world from its beginning to its end.
func (w *world) run(ctx context.Context) error {
	bp := w.setup.withInitial()
	l := w.setup.effective()
	slices.SortStableFunc(w.actions, func(a, b action) int { return int(a.at - b.at) })
	all := w.final().App.Endpoints
	w.record = &record{windows: make([][]foresail.Window, len(all)), episodes: make([][]time.Duration, len(all))}
	cfg := w.config(bp, l)
	cfg.Truth = func(t fault.Truth) { w.record.truth = append(w.record.truth, t) }
	c, err := sim.New(cfg)
	if err != nil {
		return err
	}
	w.record.start = c.Now()
	s := &stage{Cluster: c, world: w, swap: &loop.Swap{}, start: c.Now(), now: w.setup, judges: make([]*foresail.Judge, len(all))}
	for _, v := range bp.App.Services {
		s.latest = append(s.latest, v.Initial)
	}
	for i, e := range all {
		if e.Objective != nil {
			s.judges[i] = foresail.NewJudge(foresail.EndpointID(i), *e.Objective)
		}
	}
	m, err := w.setup.manager.build(bp.App, w.setup.seed, s)
	if err != nil {
		return err
	}
	rebuild := func(app *foresail.App) (foresail.Manager, error) { // the manager of now, for what an update made of the application
		return s.now.manager.build(app, w.setup.seed, s)
	}
	err = loop.Run(ctx, s, m, loop.Options{Mode: loop.Auto, Swap: s.swap, Rebuild: rebuild, Events: loop.Events{Decided: func(d loop.Decision) {
		w.record.decisions = append(w.record.decisions, made{d, d.At.Sub(s.start)})
	}}})
	if err == nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return err
}

// final is the application after all updates: it has every service and endpoint that there ever was.
func (w *world) final() *foresail.Blueprint {
	if w.latest != nil {
		return w.latest
	}
	return w.setup.blueprint
}

// withInitial is the blueprint with the allocations that the scenario begins with.
func (s *setup) withInitial() *foresail.Blueprint {
	if len(s.initial) == 0 {
		return s.blueprint
	}
	bp, app := *s.blueprint, *s.blueprint.App
	app.Services = slices.Clone(app.Services)
	for id, a := range s.initial {
		app.Services[id].Initial = a
	}
	bp.App = &app
	return &bp
}

// effective is the load with the scenario's own mix.
func (s *setup) effective() *load.Load {
	l := s.load
	if l == nil {
		l = &load.Load{Name: "none"}
	}
	if s.mix == nil {
		return l
	}
	mixed := *l
	mixed.Mix, mixed.Drift, mixed.Cycle = s.mix, false, 0
	return &mixed
}

var _ foresail.Cluster = (*stage)(nil)
