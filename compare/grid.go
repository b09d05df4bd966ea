package compare

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/fault"
	"foresail.dev/load"
)

// Grid is an experiment with everything that it names read.
type Grid struct {
	exp        *Experiment
	conditions []*condition                      // by application, then load
	took       func(time.Duration) time.Duration // what is noted of how long a decision took; nil: that
}

// contender is a manager in one of the ways that it is run.
type contender struct {
	*Choice
	guarded bool
}

// Prepare reads the applications and loads of an experiment and builds each manager once; the error tells every fault of
// all of them.
func Prepare(e *Experiment) (*Grid, error) {
	g := &Grid{exp: e}
	var errs []error
	names := map[string]string{}
	for i := range e.Applications {
		a := &e.Applications[i]
		b, err := a.read(e)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if other, twice := names[b.App.Name]; twice {
			errs = append(errs, fmt.Errorf("%s and %s are both called %s: results are told apart by the name", other, a, b.App.Name))
			continue
		}
		names[b.App.Name] = a.String()
		conditions, faults := e.conditions(a, b)
		g.conditions = append(g.conditions, conditions...)
		errs = append(errs, faults...)
		errs = append(errs, e.buildAll(b.App)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return g, nil
}

// conditions are an application under each of its loads.
func (e *Experiment) conditions(a *Application, b *foresail.Blueprint) (out []*condition, errs []error) {
	hash := hashOf(b)
	for _, ref := range a.Loads {
		l, err := appfile.ReadLoad(e.relative(ref.Load), b.App)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var faults *fault.Schedule
		if ref.Faults.Given() {
			if faults, err = ref.Faults.For(e.world(b)); err != nil {
				errs = append(errs, err)
			}
		}
		for _, v := range ref.variants(l) {
			c := &condition{application: b.App.Name, load: v.name, blueprint: b, curve: v.curve, loadHash: v.hash, nodes: &e.Nodes, appHash: hash}
			if len(e.Nodes.Nodes) > 0 {
				c.nodesHash = hashOf(e.Nodes)
			}
			if ref.Faults.Given() {
				c.faults, c.faultsHash = faults, hashOf(faults)
			}
			if slices.ContainsFunc(out, func(o *condition) bool { return o.load == c.load }) {
				errs = append(errs, fmt.Errorf("%s: %s has two loads called %s: give one of them another name with as", ref.Load, b.App.Name, c.load))
			}
			out = append(out, c)
		}
	}
	return out, errs
}

// variant is one of the loads that a LoadRef stands for.
type variant struct {
	name, hash string
	curve      *load.Load
}

// variants are the load itself, or one for each factor.
func (ref *LoadRef) variants(l *load.Load) []variant {
	name := l.Name
	if ref.As != "" {
		name = ref.As
	}
	l.Name = "" // a load is what it does
	if len(ref.Times) == 0 {
		return []variant{{name, hashOf(l), l}}
	}
	var out []variant
	for _, factor := range ref.Times {
		f := strconv.FormatFloat(factor, 'f', -1, 64)
		out = append(out, variant{name + "-" + f, hashOf([]any{l, factor}), l.Times(factor)})
	}
	return out
}

// world is what faults are aimed at.
func (e *Experiment) world(b *foresail.Blueprint) *fault.World {
	w := &fault.World{Versions: []fault.Version{{Blueprint: b}}, Duration: e.Warmup + e.Duration}
	for i := range e.Nodes.Nodes {
		w.Nodes = append(w.Nodes, e.Nodes.Nodes[i].Name)
	}
	return w
}

// buildAll tells which managers can't be built for an application.
func (e *Experiment) buildAll(app *foresail.App) (errs []error) {
	for i := range e.Managers {
		if err := errors.Join(e.Managers[i].read(e, app), e.foresight(&e.Managers[i], app)); err != nil {
			errs = append(errs, fmt.Errorf("%s for %s: %w", e.Managers[i].Label(), app.Name, err))
		}
	}
	for _, c := range e.contenders() {
		in := e.inputs(c, app.Name, c.Settings)
		m, err := build(&in, app, 1)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s for %s: %w", label(c.Label(), c.guarded), app.Name, err))
			continue
		}
		if _, ok := m.(foresail.Stateful); c.Train > 0 && !ok {
			errs = append(errs, fmt.Errorf("%s: it has no state, so there is nothing to train: take train out", c.Label()))
		}
	}
	return errs
}

// contenders are the managers in the order of the results, each bare before guarded.
func (e *Experiment) contenders() (out []contender) {
	for i := range e.Managers {
		for _, guarded := range e.Managers[i].Guarded.ways() {
			out = append(out, contender{&e.Managers[i], guarded})
		}
	}
	return out
}

// file is an application's path, or its built-in name.
func (e *Experiment) file(name string) string {
	if strings.ContainsAny(name, "/.") {
		return e.relative(name)
	}
	return name
}

func (e *Experiment) relative(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(e.dir, path)
}

// inputs are those of a contender's runs for an application, but for seed and kind.
func (e *Experiment) inputs(c contender, application string, settings map[string]float64) Inputs {
	in := Inputs{Manager: c.Manager, Settings: settings, Guarded: c.guarded, Cluster: inReal(e.real()), Warmup: e.Warmup.Seconds(), Duration: e.Duration.Seconds()}
	if c.guarded {
		in.Baseline = e.Baseline
	}
	if m := c.models[application]; m != nil {
		in.Model, in.model = m.Hash(), m
	}
	if c.foresees {
		in.Acts, in.foresight = &e.Foresee.Acts, c.foresights[application]
		if in.foresight != nil {
			in.Foresight = in.foresight.Hash()
		}
	}
	if c.Train > 0 {
		in.Train, in.TrainSeeds = c.Train.Seconds(), e.Training.Seeds
	}
	return in
}

// reported are the runs that the results are made of: all conditions and managers with the first seed, then with the
// next, so that a table is there early. settings are those of each contender for each application.
func (g *Grid) reported(settings func(application string, c contender) map[string]float64) []*job {
	var out []*job
	for _, seed := range g.exp.Seeds {
		for _, at := range g.conditions {
			for _, c := range g.exp.contenders() {
				in := g.exp.inputs(c, at.application, settings(at.application, c))
				in.Kind, in.Seed = report, seed
				out = append(out, newJob(at, c.Label(), in))
			}
		}
	}
	return out
}

// training are the runs that jobs need to be made before them.
func training(jobs []*job) []*job {
	var out []*job
	seen := map[string]bool{}
	for _, j := range jobs {
		if in, ok := j.Inputs.training(); ok && !seen[in.key()] {
			seen[in.key()] = true
			out = append(out, newJob(j.at, j.Manager, in))
		}
	}
	return out
}
