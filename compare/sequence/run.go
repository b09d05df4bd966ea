package sequence

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"foresail.dev/compare"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// ErrStopped is a run that was told to end before all was done.
var ErrStopped = errors.New("stopped")

// Options say how a file is run.
type Options struct {
	Dir     string               // that keeps samples and results; empty: nothing is kept
	Workers int                  // samples at once; 0: as many as there are processors. Training goes one after the other, so that its time can be told
	Program string               // this build
	Reuse   compare.Reuse        // what is used again
	CPU     func() time.Duration // time on processors that this process has used; nil: times are 0
	Told    func(done float64, what string)
}

// Result is how a method did in one step with one number of points and one seed.
type Result struct {
	Program  string
	Trained  Trained   // of composed models
	CPU      float64   // seconds
	Off, Log []float64 // absolute error by test sample: seconds, and of the logarithm
	Signed   float64   // mean error of the logarithm
}

// Cell is all seeds of a method in a step with one number of points.
type Cell struct {
	Sequence string
	Step     int // from 0
	Method   string
	Points   int
	Seeds    []Result
}

// Outcome is what a file came to.
type Outcome struct {
	File  *File
	Cells []*Cell
	// Dev is the target's standard deviation in the test samples, seconds, and Mean its mean, by sequence and step.
	Dev, Mean map[string][]float64
}

type runner struct {
	f    *File
	o    Options
	s    store
	jobs int
	done int
}

// Run runs a file. The error wraps ErrStopped when ctx ended it.
func (f *File) Run(ctx context.Context, o Options) (*Outcome, error) {
	if o.CPU == nil {
		o.CPU = func() time.Duration { return 0 }
	}
	if o.Told == nil {
		o.Told = func(float64, string) {}
	}
	r := &runner{f: f, o: o, s: store{dir: o.Dir, program: o.Program, any: o.Reuse == compare.ReuseAny, none: o.Reuse == compare.ReuseNone}}
	for _, c := range f.Sequences {
		r.jobs += len(c.Steps) * (1 + f.Seeds*len(f.Points)*len(f.Methods))
	}
	out := &Outcome{File: f, Dev: map[string][]float64{}, Mean: map[string][]float64{}}
	for _, c := range f.Sequences {
		if err := r.sequence(ctx, c, out); err != nil {
			if ctx.Err() != nil {
				return nil, fmt.Errorf("%w after %d of %d trainings", ErrStopped, r.done, r.jobs)
			}
			return nil, fmt.Errorf("sequence %s: %w", c.Name, err)
		}
	}
	return out, nil
}

func (r *runner) sequence(ctx context.Context, c *Config, out *Outcome) error {
	f := r.f
	pool := max(slices.Max(f.Points), f.Before, f.Kept)
	tables := make([]*latency.Table, len(c.Steps))
	for i := range c.Steps {
		var err error
		tables[i], err = c.samples(ctx, r.s, i, f.Test+pool, f.Requests, r.o.Workers, f.Seed, func(done int) {
			r.o.Told(float64(r.done)/float64(r.jobs), fmt.Sprintf("%s, step %d: %d of %d samples", c.Name, i+1, done, f.Test+pool))
		})
		if err != nil {
			return err
		}
		r.done++
		y, ok := tables[i].Column(f.target(c.deployments[i]))
		if !ok || slices.Min(y) <= 0 {
			return fmt.Errorf("step %d: in some sample no request was answered: give it more requests", i+1)
		}
		mean, dev := moments(y[:f.Test])
		out.Mean[c.Name], out.Dev[c.Name] = append(out.Mean[c.Name], mean), append(out.Dev[c.Name], dev)
	}
	for i := range c.Steps {
		for _, m := range f.Methods {
			for _, n := range f.Points {
				if m != "monolith-kept" || i > 0 {
					out.Cells = append(out.Cells, &Cell{Sequence: c.Name, Step: i, Method: m, Points: n, Seeds: make([]Result, f.Seeds)})
				}
			}
		}
	}
	for k := range f.Seeds {
		one := &course{r: r, c: c, seed: f.Seed + uint64(k), tables: tables, graphs: make([]*latency.Graph, len(c.Steps)),
			order: rand.New(rand.NewPCG(f.Seed+uint64(k), 0x5e9)).Perm(pool)}
		for _, cell := range out.Cells {
			if cell.Sequence != c.Name {
				continue
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			r.o.Told(float64(r.done)/float64(r.jobs), fmt.Sprintf("%s, step %d, seed %d: %s on %d", c.Name, cell.Step+1, one.seed, cell.Method, cell.Points))
			var err error
			if cell.Seeds[k], err = one.result(cell); err != nil {
				return fmt.Errorf("step %d, %s on %d points: %w", cell.Step+1, cell.Method, cell.Points, err)
			}
			r.done++
		}
	}
	return nil
}

func moments(y []float64) (mean, dev float64) {
	for _, v := range y {
		mean += v / float64(len(y))
	}
	for _, v := range y {
		dev += (v - mean) * (v - mean) / float64(len(y))
	}
	return mean, math.Sqrt(dev)
}

// course is a sequence with one seed.
type course struct {
	r      *runner
	c      *Config
	seed   uint64
	tables []*latency.Table
	order  []int            // in which samples are learned from
	graphs []*latency.Graph // at the end of each step; nil: not needed so far
}

// learned is the first n samples of a step that are learned from.
func (k *course) learned(step, n int) *latency.Table {
	rows := make([]int, n)
	for i := range rows {
		rows[i] = k.r.f.Test + k.order[i]
	}
	return k.tables[step].Pick(rows)
}

func (k *course) test(step int) *latency.Table {
	rows := make([]int, k.r.f.Test)
	for i := range rows {
		rows[i] = i
	}
	return k.tables[step].Pick(rows)
}

// after is the graph at the end of a step, trained on all that was gathered by then.
func (k *course) after(step int) (*latency.Graph, error) {
	if k.graphs[step] != nil {
		return k.graphs[step], nil
	}
	g, _, err := k.composed(step, k.r.f.Before)
	k.graphs[step] = g
	return g, err
}

func (k *course) composed(step, n int) (*latency.Graph, Trained, error) {
	f, d := k.r.f, k.c.deployments[step]
	if step == 0 {
		return f.first(d, k.learned(0, n), k.seed)
	}
	before, err := k.after(step - 1)
	if err != nil {
		return nil, Trained{}, err
	}
	return f.next(before, k.c.deployments[step-1], d, k.learned(step, n), k.seed)
}

// key names a result: all that it hangs on.
func (k *course) key(cell *Cell) (string, error) {
	f, h := k.r.f, sha256.New()
	for i := range cell.Step + 1 {
		s, err := k.c.key(i, f.Seed, f.Requests)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, s)
	}
	fmt.Fprintln(h, revision, cell.Method, cell.Points, k.seed, f.Test, k.order, f.Before, f.Kept, f.Evaluations, f.Monoliths, f.Folds, f.Skill, f.Spectrum, f.Target)
	return hex.EncodeToString(h.Sum(nil)[:10]), nil
}

// result trains a cell's method and tests it; or it was kept.
func (k *course) result(cell *Cell) (Result, error) {
	key, err := k.key(cell)
	if err != nil {
		return Result{}, err
	}
	path := filepath.Join(k.r.o.Dir, "trained", key+".json")
	var out Result
	if k.r.o.Dir != "" {
		if b, err := os.ReadFile(path); err == nil && json.Unmarshal(b, &out) == nil && k.r.s.ours(out.Program) && len(out.Off) == k.r.f.Test {
			return out, nil
		}
	}
	if cell.Method == "composed" && cell.Step > 0 {
		if _, err := k.after(cell.Step - 1); err != nil { // which is not part of this training
			return Result{}, err
		}
	}
	out = Result{Program: k.r.o.Program}
	d := k.c.deployments[cell.Step]
	target := k.r.f.target(d)
	began := k.r.o.CPU()
	g, err := k.train(cell, target, &out.Trained)
	if err != nil {
		return out, err
	}
	out.CPU = (k.r.o.CPU() - began).Seconds()
	test := k.test(cell.Step)
	got, err := predict(g, target, test)
	if err != nil {
		return out, err
	}
	y, _ := test.Column(target)
	for i, v := range got {
		log := math.Log(v / y[i])
		out.Off, out.Log = append(out.Off, math.Abs(v-y[i])), append(out.Log, math.Abs(log))
		out.Signed += log / float64(len(y))
	}
	if k.r.o.Dir == "" {
		return out, nil
	}
	b, err := json.Marshal(out)
	if err != nil {
		return out, err
	}
	return out, errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), compare.WriteFile(path, b))
}

func (k *course) train(cell *Cell, target string, trained *Trained) (g *latency.Graph, err error) {
	f, d := k.r.f, k.c.deployments[cell.Step]
	gp := []learner.Kind{learner.Process, learner.Scaled}
	switch cell.Method {
	case "composed":
		g, *trained, err = k.composed(cell.Step, cell.Points)
		return g, err
	case "monolith-gp":
		return f.monolith(gp, d.Inputs(), target, k.learned(cell.Step, cell.Points), k.seed)
	case "monolith-nn":
		return f.monolith([]learner.Kind{learner.Network}, d.Inputs(), target, k.learned(cell.Step, cell.Points), k.seed)
	case "monolith-kept":
		t, err := carry(k.learned(cell.Step-1, f.Kept), k.c.deployments[cell.Step-1], k.learned(cell.Step, cell.Points), d, target)
		if err != nil {
			return nil, err
		}
		return f.monolith(gp, d.Inputs(), target, t, k.seed)
	}
	return nil, fmt.Errorf("no method is called %q", cell.Method)
}
