package compare

import (
	"context"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/series"
	"foresail.dev/compare/traced"
	"foresail.dev/loop"
	"foresail.dev/plan/managers"
)

// Build makes the manager of a run for an application, with its settings, and what it draws from seed.
type Build func(in *Inputs, app *foresail.App, seed uint64) (foresail.Manager, error)

// build is the Build of the managers there are.
func build(in *Inputs, app *foresail.App, seed uint64) (foresail.Manager, error) {
	m, err := buildInner(in, app, seed)
	if err != nil || in.Acts == nil {
		return m, err
	}
	return managers.Foreseen(m, in.foresight, *in.Acts)
}

func buildInner(in *Inputs, app *foresail.App, seed uint64) (foresail.Manager, error) {
	o := managers.Options{Settings: in.Settings, Seed: seed, Model: in.model}
	if in.Guarded {
		return managers.GuardedBuild(in.Manager, in.Baseline, app, o)
	}
	return managers.Build(in.Manager, app, o)
}

// executor makes runs, one at a time.
type executor struct {
	build   Build
	program string
	limit   time.Duration                     // of a decision, by the wall clock
	took    func(time.Duration) time.Duration // what is noted of how long a decision took; nil: that
	kept    bool                              // outcomes are kept, with their series
	start   Start                             // starts real processes; nil: runs are simulated
}

// execute makes one run. ok is false when ctx was done before
// its end; abandoned when the manager did not answer, and may still be at it.
func (x *executor) execute(ctx context.Context, j *job) (o *Outcome, ok, abandoned bool) {
	if j.untrained != "" {
		o := x.outcome(j)
		o.Failed = "training failed: " + j.untrained
		return o, true, false
	}
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	w := &watched{cancel: cancel}
	done := make(chan *Outcome, 1)
	go func() { done <- x.simulate(own, j, w) }()
	tick := time.NewTicker(max(min(x.limit, impatience)/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case o := <-done:
			return o, ctx.Err() == nil, false
		case <-tick.C:
			since, at := w.busy()
			if ctx.Err() != nil && since > impatience {
				w.stopReal()
				return nil, false, true
			}
			if since > x.limit {
				w.stopReal()
				o := x.outcome(j)
				o.Failed = fmt.Sprintf("the decision at %s took longer than %s: the run was abandoned", at, x.limit)
				return o, ctx.Err() == nil, true
			}
		}
	}
}

// impatience is how long a decision may still take once the experiment is to end.
const impatience = time.Second

func (x *executor) outcome(j *job) *Outcome {
	return &Outcome{Run: j.Run, Key: j.Inputs.key(), Program: x.program}
}

// simulate makes one run, or all parts of a training run. A panic, wherever it comes from, is the run's failure.
func (x *executor) simulate(ctx context.Context, j *job, w *watched) (o *Outcome) {
	o = x.outcome(j)
	defer func() {
		if v := recover(); v != nil {
			o = x.outcome(j)
			o.Failed = fmt.Sprintf("panic: %v", v)
		}
		if o.Failed != "" { // what was measured until then says nothing
			why, unstarted := o.Failed, o.unstarted
			o = x.outcome(j)
			o.Failed, o.unstarted = why, unstarted
		}
	}()
	if j.Inputs.Kind != train {
		part := part{seed: j.Inputs.Seed, start: origin, warmup: seconds(j.Inputs.Warmup), length: seconds(j.Inputs.simulated()), state: j.state}
		_, err := x.part(ctx, j, o, w, part)
		fail(o, w, err)
		return o
	}
	one := seconds(j.Inputs.Train)
	for i, seed := range j.Inputs.TrainSeeds {
		left := time.Duration(len(j.Inputs.TrainSeeds)-i) * one
		state, err := x.part(ctx, j, o, w, part{seed: seed, start: origin.Add(-left), length: one, state: o.State})
		if fail(o, w, err) {
			return o
		}
		o.State = state
	}
	return o
}

// fail notes why a run came to nothing.
func fail(o *Outcome, w *watched, err error) bool {
	switch {
	case w.failed != "":
		o.Failed = w.failed
	case errors.As(err, new(*startError)):
		o.Failed, o.unstarted = err.Error(), err
	case err != nil:
		o.Failed = err.Error()
	case o.Decisions > 0 && o.undecided == o.Decisions:
		o.Failed = "it never decided: " + o.DecisionError
	}
	return o.Failed != ""
}

// part is one simulation: a run, or a training run on one of its seeds.
type part struct {
	seed   uint64
	start  time.Time
	warmup time.Duration
	length time.Duration
	state  []byte
}

// part simulates, measures into o, and returns the manager's state at the end where it has one.
func (x *executor) part(ctx context.Context, j *job, o *Outcome, w *watched, p part) ([]byte, error) {
	app := j.at.blueprint.App
	inner, err := x.build(&j.Inputs, app, p.seed)
	if err != nil {
		return nil, err
	}
	stateful, _ := inner.(foresail.Stateful)
	if stateful != nil && p.state != nil {
		if err := stateful.Restore(p.state); err != nil {
			return nil, fmt.Errorf("giving %s what it learnt: %w", inner.Name(), err)
		}
	}
	cluster, err := x.cluster(ctx, j, w, p, inner.Needs())
	if err != nil {
		return nil, err
	}
	real, _ := cluster.(Started)
	if real != nil {
		defer func() { _ = real.Stop() }() // after a panic, too
	}
	w.reset(inner)
	var m *measure
	begin := func(start time.Time) {
		p.start = start
		var kept *series.Recorder
		if x.kept && j.Inputs.Kind == report {
			kept = series.NewRecorder(app, p.start, p.warmup, p.length)
		}
		m = newMeasure(app, p.start.Add(p.warmup), o, kept)
		if j.Inputs.Kind != train {
			m.surges = series.Stretches(j.at.curve.Surges(), p.start, m.warm, p.start.Add(p.length))
		}
		if real != nil {
			m.hold(foresail.RevisionLimit)
		}
	}
	if real == nil {
		begin(p.start)
	}
	err = loop.Run(ctx, cluster, w, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			if m == nil { // its first interval is when a real run begins
				begin(s.Start)
			}
			m.observe(h.App(), s)
			w.at = s.End.Sub(p.start)
			if s.End.Truncate(time.Second) != s.Start.Truncate(time.Second) {
				j.simulated.Add(1)
			}
		},
		Decided: func(d loop.Decision) {
			if x.took != nil {
				d.Took = x.took(d.Took)
			}
			m.decided(d)
		},
	}})
	if real != nil {
		err = errors.Join(err, real.Stop())
	}
	if err != nil || ctx.Err() != nil {
		return nil, err
	}
	if m == nil {
		return nil, errors.New("nothing was observed of it")
	}
	if j.Inputs.Kind != train {
		m.finish()
		if real != nil {
			o.Shortfalls = real.Shortfalls(m.everything)
		}
		return nil, nil
	}
	if stateful == nil {
		return nil, fmt.Errorf("%s can't be trained: it has no state", inner.Name())
	}
	if l, ok := inner.(foresail.Learner); ok {
		if err := l.Learn(); err != nil {
			return nil, err
		}
	}
	return stateful.Save()
}

// cluster is what a part of a run is made on.
func (x *executor) cluster(ctx context.Context, j *job, w *watched, p part, needs foresail.Needs) (foresail.Cluster, error) {
	if x.start != nil {
		return x.startReal(ctx, j, w, p, needs)
	}
	n := j.at.nodes
	cfg := sim.Config{Blueprint: j.at.blueprint, Load: j.at.curve, Seed: p.seed, Start: p.start, Duration: p.length,
		Nodes: n.Nodes, Placement: n.Placement, Within: n.Within, Between: n.Between, Detection: n.Detection}
	if j.Inputs.Kind == report {
		cfg.Faults = j.at.faults
	}
	return traced.New(cfg, needs)
}
