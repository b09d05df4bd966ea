package sequence

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"foresail.dev"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/learner"
)

var methodNames = []string{"composed", "monolith-gp", "monolith-nn", "monolith-kept"}

// learn is how an assignment's, or a monolith's, hyper-parameters are looked for.
func (f *File) learn(kinds []learner.Kind, evaluations int, seed uint64) learner.Config {
	return learner.Config{Kinds: kinds, Evaluations: evaluations, Folds: f.Folds, Seed: seed}
}

// target is the label of what is predicted.
func (f *File) target(d *Deployment) string { return d.name(d.front) + ":" + f.Target }

func (d *Deployment) name(s foresail.ServiceID) string { return d.bp.App.Services[s].Name }

// Trained says what a composed model's training was.
type Trained struct {
	Assignments int // there are, service-vertices included
	New         int // of those, trained now
}

// first is the graph of a deployment with one instance of each service, trained on a table.
func (f *File) first(d *Deployment, t *latency.Table, seed uint64) (*latency.Graph, Trained, error) {
	calls, _ := callees(d.bp)
	c := compose.Default()
	c.Target, c.Demand, c.Skill, c.Observed = f.target(d), false, f.Skill, true
	c.Learn = f.learn([]learner.Kind{learner.Scaled}, f.Evaluations, seed)
	there := map[string]bool{}
	for s := range d.Instances {
		if metrics := f.metrics(d, t, foresail.ServiceID(s)); len(metrics) > 0 {
			own, states := d.inputs(foresail.ServiceID(s), 0)
			c.Services = append(c.Services, compose.Service{Name: d.name(foresail.ServiceID(s)), Knobs: own, States: states, Metrics: metrics})
			there[d.name(foresail.ServiceID(s))] = true
		}
	}
	for i := range c.Services {
		s, _ := d.bp.App.ServiceByName(c.Services[i].Name)
		for _, callee := range calls[s] {
			if there[d.name(callee)] {
				c.Services[i].Calls = append(c.Services[i].Calls, d.name(callee))
			}
		}
	}
	g, vertices, err := compose.Fit(c, t)
	return g, Trained{len(vertices), len(vertices)}, err
}

// metrics are those of a service that callers may look at: observed in every row.
func (f *File) metrics(d *Deployment, t *latency.Table, s foresail.ServiceID) (out []string) {
	for _, m := range f.Spectrum {
		if y, ok := t.Column(latency.Label(d.name(s), m)); ok && slices.Min(y) > 0 {
			out = append(out, m)
		}
	}
	return out
}

// next is the graph after a step: of g, which stays as it is, with what changed from one deployment to the next trained on a table of
// after the step.
func (f *File) next(g *latency.Graph, was, d *Deployment, t *latency.Table, seed uint64) (*latency.Graph, Trained, error) {
	g = g.Clone()
	var trained Trained
	for s := range d.Instances {
		id := foresail.ServiceID(s)
		name := d.name(id)
		if g.Instances(name) == 0 {
			continue
		}
		replaced, scaled := was.Kinds[s] != d.Kinds[s], was.Instances[s] != d.Instances[s]
		if scaled {
			if err := g.Scale(name, d.Instances[s]); err != nil {
				return nil, trained, err
			}
		}
		for _, m := range f.all() {
			a := g.Assignment(latency.Label(name, m))
			if a == nil {
				continue
			}
			trained.Assignments++
			if replaced {
				own, states := d.inputs(id, 0)
				n, err := latency.NewAssignment(name, m, unnumbered(name, append(own, states...)), externals(a))
				if err != nil {
					return nil, trained, err
				}
				table, err := d.stack(t, id, n, g)
				if err != nil {
					return nil, trained, err
				}
				if _, err := n.Add(table, nil, "", f.learn([]learner.Kind{learner.Ridge, learner.Scaled}, max(f.Evaluations, 2), seed), true); err != nil {
					return nil, trained, err
				}
				if err := g.Replace(n); err != nil {
					return nil, trained, err
				}
				trained.New++
			}
		}
	}
	err := f.merges(g, was, d, t, &trained)
	return g, trained, err
}

// all are the metrics that graphs may have.
func (f *File) all() []string {
	out := slices.Clone(f.Spectrum)
	if !slices.Contains(out, f.Target) {
		out = append(out, f.Target)
	}
	return out
}

// merges trains the service-vertices of services that were scaled or replaced, or that hang on such: what reaches those is other than it
// was, and a factor costs nothing. Callees come before callers, since each is trained on what the graph predicts of instances.
func (f *File) merges(g *latency.Graph, was, d *Deployment, t *latency.Table, trained *Trained) error {
	calls, _ := callees(d.bp)
	done, touched := make([]bool, len(calls)), make([]bool, len(calls))
	var visit func(s foresail.ServiceID) error
	visit = func(s foresail.ServiceID) error {
		if done[s] {
			return nil
		}
		done[s], touched[s] = true, was.Kinds[s] != d.Kinds[s] || was.Instances[s] != d.Instances[s]
		for _, c := range calls[s] {
			if err := visit(c); err != nil {
				return err
			}
			touched[s] = touched[s] || touched[c]
		}
		if d.Instances[s] < 2 {
			return nil
		}
		for _, m := range f.all() {
			if g.Assignment(latency.Label(d.name(s), m)) == nil {
				continue
			}
			trained.Assignments++
			if !touched[s] {
				continue
			}
			trained.New++
			if _, err := g.Calibrate(d.name(s), m, t); err != nil {
				return err
			}
		}
		return nil
	}
	return visit(d.front)
}

// externals are the inputs of an assignment that are not its service's own.
func externals(a *latency.Assignment) (out []string) {
	of, _, _ := strings.Cut(a.Output(), ":")
	for _, in := range a.Inputs() {
		if !strings.HasPrefix(in, of+":") {
			out = append(out, in)
		}
	}
	return out
}

// unnumbered takes an instance's number out of labels.
func unnumbered(service string, labels []string) []string {
	out := make([]string, len(labels))
	for i, in := range labels {
		_, name, _ := strings.Cut(in, ":")
		out[i] = latency.Label(service, name)
	}
	return out
}

// stack is a table of what an assignment of a service learns from, in which each instance of it has rows.
func (d *Deployment) stack(t *latency.Table, s foresail.ServiceID, a *latency.Assignment, g *latency.Graph) (*latency.Table, error) {
	names := append(a.Inputs(), a.Output())
	cols := make([][]float64, len(names))
	for at := range d.Instances[s] {
		for i, label := range names {
			of, name, _ := strings.Cut(label, ":")
			if of == d.name(s) {
				label = latency.Label(d.label(s, at), name)
			}
			c, ok := t.Column(label)
			if !ok {
				return nil, fmt.Errorf("the samples have no column %s", label)
			}
			cols[i] = append(cols[i], c...)
		}
	}
	return latency.NewTable(names, cols)
}

// monolith trains one model of all inputs.
func (f *File) monolith(kinds []learner.Kind, inputs []string, target string, t *latency.Table, seed uint64) (*latency.Graph, error) {
	service, metric, _ := strings.Cut(target, ":")
	a, err := latency.NewAssignment(service, metric, inputs, nil)
	if err != nil {
		return nil, err
	}
	if _, err := a.Add(t, nil, "", f.learn(kinds, f.Monoliths, seed), true); err != nil {
		return nil, err
	}
	g := latency.NewGraph()
	return g, g.Add(a)
}

// predict is a graph's predictions of a table's rows.
func predict(g *latency.Graph, target string, t *latency.Table) ([]float64, error) {
	inf, err := g.Compile(target)
	if err != nil {
		return nil, err
	}
	cols := make([][]float64, len(inf.Inputs()))
	for i, in := range inf.Inputs() {
		var ok bool
		if cols[i], ok = t.Column(in); !ok {
			return nil, &latency.MissingError{Who: target, Inputs: []string{in}, Why: "the samples have no such column"}
		}
	}
	out, row := make([]float64, t.Rows()), make([]float64, len(cols))
	for i := range out {
		for k, c := range cols {
			row[k] = c[i]
		}
		out[i] = inf.Run(row)
	}
	return out, nil
}

// carry is rows of before a step as if they were of after it: an instance that was not there has what its service's had in the mean,
// and a knob that was not there what it has in the middle after the step.
func carry(old *latency.Table, was *Deployment, new *latency.Table, d *Deployment, target string) (*latency.Table, error) {
	names := append(d.Inputs(), target)
	cols := make([][]float64, len(names))
	for i, label := range names {
		of, name, _ := strings.Cut(label, ":")
		of, _, _ = strings.Cut(of, "#")
		var from [][]float64
		if s, ok := was.bp.App.ServiceByName(of); ok && label != target {
			for at := range was.Instances[s] {
				if c, ok := old.Column(latency.Label(was.label(s, at), name)); ok {
					from = append(from, c)
				}
			}
		}
		if c, ok := old.Column(label); ok {
			from = [][]float64{c}
		}
		after, _ := new.Column(label)
		cols[i] = make([]float64, old.Rows(), old.Rows()+new.Rows())
		for row := range cols[i] {
			for _, c := range from {
				cols[i][row] += c[row] / float64(len(from))
			}
			if len(from) == 0 {
				cols[i][row] = stat.Mean(after, nil)
			}
		}
		cols[i] = append(cols[i], after...)
	}
	return latency.NewTable(names, cols)
}
