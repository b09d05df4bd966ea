package compare

import (
	"context"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// Real is a run on real processes, in real time: what must be known to start it.
type Real struct {
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Seed      uint64
	Duration  time.Duration  // warm-up included
	Needs     foresail.Needs // of the manager
}

// Started is an application that runs for real.
type Started interface {
	foresail.Cluster
	// Stop ends it, and leaves nothing behind. It may be called twice, and from another goroutine.
	Stop() error
	// Shortfalls say in what it was not what was asked for, a line each; requests are those that were observed.
	Shortfalls(requests float64) []string
}

// Start starts one.
type Start func(ctx context.Context, r Real) (Started, error)

// simulatedCluster is the cluster of an experiment in simulated time, realCluster that of one in real time.
const (
	simulatedCluster = "sim"
	realCluster      = "testbed"
)

// real reports whether the experiment's runs are real processes.
func (e *Experiment) real() bool { return e.Cluster == realCluster }

// startReal starts a run's processes. When that fails the machine is at fault, not the run.
func (x *executor) startReal(ctx context.Context, j *job, w *watched, p part, needs foresail.Needs) (Started, error) {
	c, err := x.start(ctx, Real{Blueprint: j.at.blueprint, Load: j.at.curve, Seed: p.seed, Duration: p.length, Needs: needs})
	if err != nil {
		return nil, &startError{fmt.Errorf("starting %s: %w", j.String(), err)}
	}
	stop := func() { _ = c.Stop() }
	w.stop.Store(&stop)
	return c, nil
}

// startError ends an experiment: its further runs would not start either.
type startError struct{ error }

func (e *startError) Unwrap() error { return e.error }
