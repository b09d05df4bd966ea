package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
)

// fakeReal stands for the testbed: a simulation at another time of day, which may only run when no other does.
type fakeReal struct {
	t       *testing.T
	running atomic.Int32
	started atomic.Int32
	stopped atomic.Int32
	refuse  func(n int32) error // the n-th start, from 1 on
}

type fakeRun struct {
	*sim.Cluster
	of    *fakeReal
	ended atomic.Bool
}

func (f *fakeReal) start(_ context.Context, r Real) (Started, error) {
	n := f.started.Add(1)
	if f.refuse != nil {
		if err := f.refuse(n); err != nil {
			return nil, err
		}
	}
	if f.running.Add(1) != 1 {
		f.t.Error("two runs at once")
	}
	at := time.Date(2031, 5, 6, 7, 8, int(n), 300e6, time.UTC)
	c, err := sim.New(sim.Config{Blueprint: r.Blueprint, Load: r.Load, Seed: r.Seed, Start: at, Duration: r.Duration})
	return &fakeRun{Cluster: c, of: f}, err
}

func (r *fakeRun) Stop() error {
	if r.ended.CompareAndSwap(false, true) {
		r.of.running.Add(-1)
		r.of.stopped.Add(1)
	}
	return nil
}

func (r *fakeRun) Shortfalls(requests float64) []string {
	return []string{fmt.Sprintf("%v of its requests were seen", requests > 500)}
}

func onTestbed(e *Experiment) { e.Cluster = realCluster }

// Real runs are made one at a time and all ended; what they give is counted from their own start, and is not taken for what
// simulated ones gave.
func TestRealRuns(t *testing.T) {
	dir := t.TempDir()
	f := &fakeReal{t: t}
	r, err := tiny(t, onTestbed).Run(t.Context(), Options{Dir: dir, Workers: 8, Start: f.start})
	if err != nil {
		t.Fatal(err)
	}
	if n := f.started.Load(); n != 12 || f.stopped.Load() != n {
		t.Errorf("%d started, %d stopped", n, f.stopped.Load())
	}
	if len(r.Runs) != 12 || r.Cluster != "testbed" || len(r.Notes) != maxShortfalls+1 || !strings.HasSuffix(r.Notes[0], ": true of its requests were seen") {
		t.Errorf("%d runs on %q: %q", len(r.Runs), r.Cluster, r.Notes)
	}
	for _, o := range r.Runs {
		if o.Failed != "" || o.Observed != 12 || o.Cores == nil || o.Series == nil || o.Series.Warmup != 3 || o.Endpoints[0].Requests < 100 {
			t.Errorf("%s: %+v", o.String(), o)
		}
	}
	again, err := tiny(t, onTestbed).Run(t.Context(), Options{Dir: dir, Start: f.start})
	if err != nil || f.started.Load() != 12 || len(again.Runs) != 12 {
		t.Errorf("runs that were kept were made again: %d started, %v", f.started.Load(), err)
	}
	if _, err := tiny(t).Run(t.Context(), Options{Dir: dir, Start: f.start}); err != nil || f.started.Load() != 12 {
		t.Errorf("a simulated experiment started %d runs for real: %v", f.started.Load()-12, err)
	}
	if _, err := tiny(t, onTestbed).Run(t.Context(), Options{}); err == nil {
		t.Error("it ran with nothing that starts processes")
	}
}

// When a run can't be started the experiment ends there; what was made is kept, and the same command goes on.
func TestRealRunThatDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	errFull := errors.New("no port is free")
	f := &fakeReal{t: t, refuse: func(n int32) error {
		if n == 4 {
			return errFull
		}
		return nil
	}}
	_, err := tiny(t, onTestbed).Run(t.Context(), Options{Dir: dir, Start: f.start})
	if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "starting online-boutique/") {
		t.Errorf("%v", err)
	}
	if f.started.Load() != 4 || f.stopped.Load() != 3 {
		t.Errorf("%d started, %d stopped", f.started.Load(), f.stopped.Load())
	}
	f.refuse = nil
	r, err := tiny(t, onTestbed).Run(t.Context(), Options{Dir: dir, Start: f.start})
	if err != nil || len(r.Runs) != 12 || f.started.Load() != 13 {
		t.Errorf("%d started in all, %v", f.started.Load(), err)
	}
}

// Processes are ended when a manager panics, and when it does not answer.
func TestRealRunsEndWithTheirManager(t *testing.T) {
	for name, decide := range map[string]func() (*foresail.Plan, error){
		"panic":  func() (*foresail.Plan, error) { panic("out of its mind") },
		"silent": func() (*foresail.Plan, error) { select {} },
	} {
		f := &fakeReal{t: t}
		g := tiny(t, onTestbed, func(e *Experiment) { e.Seeds, e.DecisionLimit = e.Seeds[:1], 100*time.Millisecond })
		r, err := g.Run(t.Context(), Options{Start: f.start, Build: func(*Inputs, *foresail.App, uint64) (foresail.Manager, error) {
			return &broken{name, func(*foresail.History) (*foresail.Plan, error) { return decide() }}, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		if r.Runs[0].Failed == "" || f.started.Load() == 0 || f.running.Load() != 0 {
			t.Errorf("%s: %d started, %d still run: %s", name, f.started.Load(), f.running.Load(), r.Runs[0].Failed)
		}
	}
}

// What only a simulation can do is refused, each where it is.
func TestRealIsNotSimulated(t *testing.T) {
	_, err := Read(experiment(t, `experiment: a
cluster: testbed
applications:
  - application: online-boutique
    loads: [{load: steady.yaml, faults: {fixed: [{kind: bad-release, service: cart, at: 1m, for: 1m, amount: 2}]}}]
managers: [{manager: autothrottle, train: 1h}]
nodes: {machines: [{name: a, cores: 4, memory: 8GiB}]}
training: {seeds: [9]}
seeds: [1]
duration: 1m
`))
	if err == nil {
		t.Fatal("it was read")
	}
	for _, w := range []string{"nodes: are simulated", "applications[0].loads[0].faults: are simulated", "managers[0].train: is simulated time"} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s in %v", w, err)
		}
	}
	if err := appfile.Decode("e", []byte("experiment: a\ncluster: kubernetes\n"), defaults()); err == nil || !strings.Contains(err.Error(), "must be one of sim, testbed") {
		t.Error(err)
	}
}
