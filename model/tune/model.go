package tune

import (
	"fmt"
	"slices"
	"strings"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/learner"
)

// Model is what predicts latency.
type Model string

// The models. None tries settings at random, and is what the others must beat.
const (
	Composed   Model = "composed"    // an inference graph of the services (Fluxion)
	MonolithGP Model = "monolith-gp" // one Gaussian process of all knobs
	MonolithNN Model = "monolith-nn" // networks of all knobs
	None       Model = "random"
)

// Models are all there are.
var Models = []Model{Composed, MonolithGP, MonolithNN, None}

// kinds are the learners of a model, of which validation chooses.
func (m Model) kinds() []learner.Kind {
	switch m {
	case MonolithNN:
		return []learner.Kind{learner.Network}
	case MonolithGP:
		return []learner.Kind{learner.Process, learner.Scaled}
	}
	return []learner.Kind{learner.Scaled}
}

// Names of what is predicted of the service that the tuned endpoint calls.
const (
	target = "target" // the percentile that is tuned
	slack  = "slack"  // see Trial.Slack
)

// predictor predicts of settings what would be measured. It must not be used by several goroutines at once.
type predictor struct {
	cfg     *Config
	latency output
	slack   output // its Inference is nil: no trial came near any objective, or all are alike
	row     []float64
	trials  []Trial // that latency was learnt from
}

type output struct {
	f  *latency.Inference
	at []int // of the graph's inputs, in the encoded setting
	in []float64
}

// fit trains the model on the trials that worked, and what says which settings will not on all. That is a Gaussian process of all
// knobs, the same for every model: models differ in what they say of latency.
func (c *Config) fit(trials []Trial, seed uint64) (*predictor, error) {
	var worked []Trial
	var times []float64
	for i := range trials {
		if trials[i].worked() {
			worked, times = append(worked, trials[i]), append(times, trials[i].Latency)
		}
	}
	p := &predictor{cfg: c, trials: worked}
	t, err := c.table(worked, latency.Label(c.Entry, target), times)
	if err != nil {
		return nil, err
	}
	if c.Model == Composed {
		for _, label := range metrics(worked) {
			if t, err = t.With(label, metric(worked, label)); err != nil {
				return nil, err
			}
		}
	}
	if p.latency, err = c.output(t, target, c.Model, worked, seed); err != nil {
		return nil, fmt.Errorf("the model of latency, on %d trials: %w", len(worked), err)
	}
	if all := slacks(trials); slices.Max(all) > careless && slices.Min(all) < slices.Max(all) {
		t, err := c.table(trials, latency.Label(c.Entry, slack), all)
		if err != nil {
			return nil, err
		}
		if p.slack, err = c.output(t, slack, MonolithGP, trials, seed); err != nil {
			return nil, fmt.Errorf("the model of objectives, on %d trials: %w", len(trials), err)
		}
	}
	return p, nil
}

// table is settings and one thing that was measured under them.
func (c *Config) table(trials []Trial, label string, y []float64) (*latency.Table, error) {
	names := append(c.Space.Inputs(), label)
	columns := make([][]float64, len(names))
	var row []float64
	for i := range trials {
		row = append(c.Space.encode(row[:0], trials[i].Setting), y[i])
		for k, v := range row {
			columns[k] = append(columns[k], v)
		}
	}
	return latency.NewTable(names, columns)
}

// careless is a slack below which objectives are left out of account: no trial came near any of them.
const careless = 0.6

// metrics are the labels of what was measured of services in any trial.
func metrics(trials []Trial) (out []string) {
	for i := range trials {
		for label := range trials[i].Metrics {
			out = append(out, label)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *Config) learn(m Model, seed uint64) learner.Config {
	return learner.Config{Kinds: m.kinds(), Evaluations: c.Evaluations, Folds: 5, Seed: seed}
}

// output trains what predicts one metric of the entry service.
func (c *Config) output(t *latency.Table, name string, m Model, trials []Trial, seed uint64) (out output, err error) {
	var g *latency.Graph
	label := latency.Label(c.Entry, name)
	inputs := c.Space.Inputs()
	if m == Composed {
		g, err = c.compose(t, label, trials, seed)
	} else {
		g = latency.NewGraph()
		var a *latency.Assignment
		if a, err = latency.NewAssignment(c.Entry, name, inputs, nil); err == nil {
			if _, err = a.Add(t, nil, "", c.learn(m, seed), true); err == nil {
				err = g.Add(a)
			}
		}
	}
	if err != nil {
		return out, err
	}
	if out.f, err = g.Compile(label); err != nil {
		return out, err
	}
	for _, in := range out.f.Inputs() {
		out.at = append(out.at, slices.Index(inputs, in))
	}
	out.in = make([]float64, len(out.at))
	return out, nil
}

// compose builds the graph: callers are told the latencies of whom they call, and what these have.
func (c *Config) compose(t *latency.Table, label string, trials []Trial, seed uint64) (*latency.Graph, error) {
	cfg := compose.Default()
	cfg.Target, cfg.Demand, cfg.Learn = label, false, c.learn(Composed, seed)
	// All that was measured is used: where a service in the middle were left out, its callers would know nothing of what lies behind.
	cfg.Skill = -1
	called := calls(trials)
	var services []string
	of := func(label string) string { name, _, _ := strings.Cut(label, ":"); return name }
	know := func(name string) {
		if !slices.Contains(services, name) {
			services = append(services, name)
		}
	}
	know(c.Entry)
	for _, in := range c.Space.Inputs() {
		know(of(in))
	}
	for caller, callees := range called {
		know(caller)
		for _, callee := range callees {
			know(callee)
		}
	}
	slices.Sort(services)
	all := metrics(trials)
	for _, name := range services {
		s := compose.Service{Name: name, Calls: called[name]}
		for _, in := range c.Space.Inputs() {
			if of(in) == name {
				s.Knobs = append(s.Knobs, in)
				s.Shows = append(s.Shows, in)
			}
		}
		for _, m := range all {
			if of(m) == name {
				_, metric, _ := strings.Cut(m, ":")
				s.Metrics = append(s.Metrics, metric)
			}
		}
		cfg.Services = append(cfg.Services, s)
	}
	// The entry service's own metrics have no caller that looks at them.
	for i := range cfg.Services {
		if cfg.Services[i].Name == c.Entry {
			cfg.Services[i].Metrics = nil
		}
	}
	g, _, err := compose.Fit(cfg, t)
	return g, err
}

func (o *output) pick(row []float64) []float64 {
	for k, i := range o.at {
		o.in[k] = row[i]
	}
	return o.in
}

// value is the latency that is expected of a setting, in seconds.
func (p *predictor) value(v Setting) float64 {
	p.row = p.cfg.Space.encode(p.row[:0], v)
	return p.latency.f.Run(p.latency.pick(p.row))
}

// holds is whether the other objectives are expected to hold.
func (p *predictor) holds(v Setting) bool {
	if p.slack.f == nil {
		return true
	}
	p.row = p.cfg.Space.encode(p.row[:0], v)
	return p.slack.f.Run(p.slack.pick(p.row)) <= 1
}

// predict is the latency that is expected of a setting, and how likely it is that the other objectives hold.
func (p *predictor) predict(v Setting) (learner.Prediction, float64) {
	p.row = p.cfg.Space.encode(p.row[:0], v)
	latency := p.latency.f.Moments(p.latency.pick(p.row))
	if p.slack.f == nil {
		return latency, 1
	}
	s := p.slack.f.Moments(p.slack.pick(p.row))
	return latency, below(s, 1)
}
