package exploring

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/load"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
	"foresail.dev/plan/explore"
)

// Load is what a run is under: a load and, of one that stays, its level.
type Load struct {
	Load  *load.Load
	Level float64
}

// Grid is the runs of a simulated application: each load under each seed.
type Grid struct {
	Blueprint *foresail.Blueprint
	Loads     []Load
	Seeds     []uint64
	Each      time.Duration // what is kept of a run
	Warmup    time.Duration // what is not, before that, with everything at its maximum
	Config    explore.Config
	Dir       string
	Workers   int
	Commit    string
	Progress  func(done float64, finished *Row) // called by one goroutine at a time; finished is nil but when a run has ended
}

// job is one run to come.
type job struct {
	load Load
	seed uint64
	name string
	done time.Duration // simulated so far; the grid's mutex guards it
}

// Jobs names the runs, in their order.
func (g *Grid) jobs() (out []*job) {
	for _, seed := range g.Seeds {
		for i, l := range g.Loads {
			name := l.Load.Name
			if l.Level > 0 {
				name += fmt.Sprintf("-%0*g", 4, l.Level)
			}
			out = append(out, &job{load: l, seed: seed*1_000_003 + uint64(i), name: fmt.Sprintf("%s-seed%d", name, seed)})
		}
	}
	return out
}

// Check tells whether the folder can take the runs: it must hold no data set of another application.
func (g *Grid) Check() error {
	entries, err := filepath.Glob(filepath.Join(g.Dir, "*"+steps.Ext))
	if err != nil || len(entries) == 0 {
		return err
	}
	schema := tail.SchemaOf(g.Blueprint.App)
	_, err = steps.ReadDir(g.Dir, &schema)
	return err
}

// Run makes the runs that are not there yet, and counts those that are. What was finished stays when ctx ends or a run fails.
func (g *Grid) Run(ctx context.Context) ([]Row, Detail, error) {
	if err := os.MkdirAll(g.Dir, 0o777); err != nil {
		return nil, Detail{}, cli.Usage(err)
	}
	jobs := g.jobs()
	rows, tallies := make([]*Row, len(jobs)), make([]*Tally, len(jobs))
	workers := g.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	var failed error
	told := func(j *job, at time.Duration, r *Row) {
		mu.Lock()
		defer mu.Unlock()
		j.done = at
		sum := time.Duration(0)
		for _, k := range jobs {
			sum += k.done
		}
		if g.Progress != nil {
			g.Progress(sum.Seconds()/(g.Each+g.Warmup).Seconds()/float64(len(jobs)), r)
		}
	}
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(jobs)) {
		wg.Go(func() {
			for i := range next {
				j := jobs[i]
				row, tally, err := g.one(ctx, j, func(at time.Duration) { told(j, at, nil) })
				if err != nil {
					mu.Lock()
					if failed == nil {
						failed = fmt.Errorf("%s: %w", j.name, err)
					}
					mu.Unlock()
					cancel()
					continue
				}
				rows[i], tallies[i] = row, tally
				told(j, g.Each+g.Warmup, row)
			}
		})
	}
	for i := range jobs {
		select {
		case next <- i:
		case <-ctx.Done():
		}
	}
	close(next)
	wg.Wait()
	all := NewTally(g.Blueprint.App)
	var out []Row
	for i, r := range rows {
		if r != nil {
			out = append(out, *r)
			all.Join(tallies[i])
		}
	}
	if len(out) < len(jobs) && (failed == nil || errors.Is(failed, context.Canceled)) {
		failed = fmt.Errorf("stopped after %d of %d runs; they are kept in %s: run the same command again to go on", len(out), len(jobs), g.Dir)
	}
	return out, all.Detail(), failed
}

// one makes a run, or counts it where it is there.
func (g *Grid) one(ctx context.Context, j *job, told func(time.Duration)) (*Row, *Tally, error) {
	path := filepath.Join(g.Dir, j.name+steps.Ext)
	h := g.header(j)
	tally := NewTally(g.Blueprint.App)
	row := func(kept bool) *Row {
		r := tally.Row()
		r.Run, r.Load, r.Level, r.Seed, r.Kept = j.name, h.Load, h.Level, h.Seed, kept
		return &r
	}
	switch f, err := steps.ReadFile(path); {
	case err == nil:
		if err := g.same(f, &h); err != nil {
			return nil, nil, err
		}
		for _, r := range f.Runs {
			for i := range r.Steps {
				tally.Add(&r.Steps[i])
			}
		}
		return row(true), tally, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	w, err := steps.Create(part, h)
	if err != nil {
		return nil, nil, err
	}
	err = g.simulate(ctx, j, w, tally, told)
	err = errors.Join(err, w.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return nil, nil, errors.Join(err, os.Remove(part)) // a part of a run would be made anew anyhow
	}
	return row(false), tally, nil
}

// same tells whether a file holds the run that would be made.
func (g *Grid) same(f *steps.File, h *steps.Header) error {
	was, is := f.Header, *h
	was.Commit, is.Commit = "", ""
	if fmt.Sprint(was) != fmt.Sprint(is) || f.Steps() != int(g.Each/tail.Interval) {
		return cli.Usagef("%s holds a run with other settings, %d steps of load %s under seed %d after %v: give another folder, or remove it", f.Path, f.Steps(), was.Load, was.Seed, was.Warmup)
	}
	return nil
}

func (g *Grid) header(j *job) steps.Header {
	h := NewHeader(g.Blueprint.App, "sim", j.load.Load.Name, j.seed, g.Commit)
	h.Level, h.Warmup, h.Settings = j.load.Level, g.Warmup, Settings(&g.Config)
	return h
}

// NewHeader is the header of a data set that this program makes of an application.
func NewHeader(app *foresail.App, cluster, load string, seed uint64, commit string) steps.Header {
	h := steps.Header{Schema: tail.SchemaOf(app), Cluster: cluster, Manager: "explore", Load: load, Seed: seed, Commit: commit}
	for i := range app.Endpoints {
		text := ""
		if o := app.Endpoints[i].Objective; o != nil {
			text = o.String()
		}
		h.Objectives = append(h.Objectives, text)
	}
	return h
}

// Settings are those that change what is explored, where they are not the defaults.
func Settings(c *explore.Config) map[string]float64 {
	out := map[string]float64{}
	if c.Replicas {
		out["replicas"] = 1
	}
	for name, v := range map[string][2]float64{"unit": {c.Unit, 1}, "reach": {c.Reach, 0}, "dwell": {float64(c.Dwell), 1}} {
		if v[0] != 0 && v[0] != v[1] {
			out[name] = v[0]
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// simulate makes a run. Its snapshots are of a second each, and nothing is traced: nobody looks closer.
func (g *Grid) simulate(ctx context.Context, j *job, w *steps.Writer, tally *Tally, told func(time.Duration)) error {
	c := g.Config
	c.Warmup = max(int(g.Warmup/tail.Interval), 1)
	m, err := explore.New(g.Blueprint.App, c, j.seed)
	if err != nil {
		return cli.Usage(err)
	}
	length := g.Warmup + g.Each
	cluster, err := sim.New(sim.Config{Blueprint: g.Blueprint, Load: j.load.Load, Seed: j.seed, Start: epoch, Duration: length, Beat: tail.Interval})
	if err != nil {
		return cli.Usage(err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = loop.Run(ctx, cluster, m, loop.Options{Mode: loop.Auto, Events: loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			at := s.End.Sub(epoch)
			if at > g.Warmup {
				step := tail.Observe(h.App(), s)
				tally.Add(&step)
				if err := w.Add(&step); err != nil {
					cancel(err)
				}
			}
			if at%(20*time.Second) == 0 {
				told(at)
			}
		},
		Decided: func(d loop.Decision) {
			if d.Err != nil {
				cancel(d.Err)
			}
		},
	}})
	if err == nil {
		err = context.Cause(ctx)
	}
	return err
}

// epoch is when simulated time starts: a fixed instant, so that the same seed gives the same bytes.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
