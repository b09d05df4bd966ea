package latencies

import (
	"slices"
	"strings"
	"time"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/evaluate"
	"foresail.dev/model/latency/learner"
)

// methodNames are the methods there are.
var methodNames = []string{"composed", "composed-all", "composed-single", "composed-selected", "composed-own", "composed-observed", "monolith-ridge", "monolith-gp", "monolith-nn", "monolith-gbt", "monolith-selected"}

// monoliths are the learners of each monolithic method.
var monoliths = map[string][]learner.Kind{
	"monolith-ridge": {learner.Ridge},
	"monolith-gp":    {learner.Process, learner.Scaled},
	"monolith-nn":    {learner.Network},
	"monolith-gbt":   {learner.Trees},
	// A Gaussian process of the inputs that are selected just as composed-selected's are.
	"monolith-selected": {learner.Scaled},
}

// learn is how hyper-parameters are looked for.
func (f *File) learn(kinds []learner.Kind, evaluations int, seed uint64) learner.Config {
	c := learner.Config{Kinds: kinds, Evaluations: evaluations, Folds: f.Folds, Seed: seed}
	if f.Budget > 0 {
		began := time.Now()
		c.Stop = func() bool { return time.Since(began) > f.Budget }
	}
	return c
}

// method is a method by its name, for a data set.
func (f *File) method(name string, d *Dataset) evaluate.Method {
	if kinds, ok := monoliths[name]; ok {
		return evaluate.Method{Name: name, Train: func(train *latency.Table, seed uint64) (evaluate.Predict, error) {
			service, metric, _ := strings.Cut(f.Target, ":")
			a, err := latency.NewAssignment(service, metric, d.Inputs, nil)
			if err != nil {
				return nil, err
			}
			var inputs []string
			if name == "monolith-selected" {
				if inputs, err = a.SelectInputs(train, f.selection(d.Inputs, seed)); err != nil {
					return nil, err
				}
			}
			if _, err := a.Add(train, inputs, "", f.learn(kinds, f.Monoliths, seed), true); err != nil {
				return nil, err
			}
			g := latency.NewGraph()
			if err := g.Add(a); err != nil {
				return nil, err
			}
			return graphPredict(g, f.Target)
		}}
	}
	return evaluate.Method{Name: name, Train: func(train *latency.Table, seed uint64) (evaluate.Predict, error) {
		g, _, _, err := compose.Best(f.compose(name, d, seed), train)
		if err != nil {
			return nil, err
		}
		return graphPredict(g, f.Target)
	}}
}

// selection is how inputs are selected among some.
func (f *File) selection(among []string, seed uint64) latency.SelectConfig {
	return latency.SelectConfig{Keep: f.Keep, Among: among, Rounds: f.Rounds, Seed: seed, Learn: f.learn([]learner.Kind{learner.Scaled}, 1, seed)}
}

// compose is the configs of a composed method, of which validation chooses: where rates are given, to take them as they are, or as
// what follows from the knobs.
func (f *File) compose(name string, d *Dataset, seed uint64) []compose.Config {
	c := compose.Default()
	c.Services, c.Target, c.Skill = slices.Clone(d.Services), f.Target, f.Skill
	c.Learn = f.learn([]learner.Kind{learner.Scaled}, f.Evaluations, seed)
	metrics := f.Spectrum
	switch name {
	case "composed-all":
		c.Skill = -1
	case "composed-single":
		metrics = f.Single
	case "composed-selected":
		c.Keep, c.Rounds = f.Keep, f.Rounds
	case "composed-observed":
		c.Observed = true
	case "composed-own":
		c.Demand = false
		for i := range c.Services {
			c.Services[i].Shows = nil
		}
	}
	for i := range c.Services {
		s := &c.Services[i]
		s.Metrics = slices.DeleteFunc(slices.Clone(s.Metrics), func(m string) bool { return !slices.Contains(metrics, m) })
	}
	out := []compose.Config{c}
	if c.Demand && slices.ContainsFunc(c.Services, func(s compose.Service) bool { return len(s.States) > 0 }) {
		c.Services = slices.Clone(c.Services)
		for i := range c.Services {
			s := &c.Services[i]
			s.Shows = slices.DeleteFunc(slices.Clone(s.Shows), func(in string) bool { return slices.Contains(s.States, in) })
			s.States = nil
		}
		out = append(out, c)
	}
	return out
}

func graphPredict(g *latency.Graph, target string) (evaluate.Predict, error) {
	f, err := g.Compile(target)
	if err != nil {
		return nil, err
	}
	return func(t *latency.Table) ([]float64, error) {
		cols := make([][]float64, len(f.Inputs()))
		for i, in := range f.Inputs() {
			var ok bool
			if cols[i], ok = t.Column(in); !ok {
				return nil, &latency.MissingError{Who: target, Inputs: []string{in}, Why: "the data have no such column"}
			}
		}
		out, row := make([]float64, t.Rows()), make([]float64, len(cols))
		for i := range out {
			for k, c := range cols {
				row[k] = c[i]
			}
			out[i] = f.Run(row)
		}
		return out, nil
	}, nil
}
