package compose

import (
	"errors"
	"math"
	"slices"
	"strings"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// Vertex is how an assignment turned out.
type Vertex struct {
	Label   string
	Inputs  []string          // that it looks at
	Learner learner.Candidate // that was found
	Error   float64           // mean absolute, out-of-fold, in the metric's unit
	Skill   float64           // share of the median's error that it saves
	Used    bool              // it is in the graph
}

// Fit builds the graph and trains it on a table. The error names what is missing.
func Fit(cfg Config, t *latency.Table) (*latency.Graph, []Vertex, error) {
	services, err := cfg.order()
	if err != nil {
		return nil, nil, err
	}
	b := &builder{cfg: cfg, observed: t, t: t, g: latency.NewGraph(), known: map[string]bool{}}
	if cfg.Demand {
		calling := callers(services)
		for _, s := range slices.Backward(services) {
			if err := b.demand(s, calling[s.Name]); err != nil {
				return nil, nil, err
			}
		}
	}
	for _, s := range services {
		if err := b.service(s, services); err != nil {
			return nil, nil, err
		}
	}
	if _, err := b.g.Compile(cfg.Target); err != nil {
		return nil, nil, err
	}
	return b.g, b.vertices, nil
}

type builder struct {
	cfg      Config
	observed *latency.Table
	t        *latency.Table // in which what was predicted out-of-fold takes the place of what was observed
	g        *latency.Graph
	known    map[string]bool // labels that are predicted well enough to be inputs
	vertices []Vertex
}

// demand is how a service's rate follows from its callers' knobs and rates.
func (b *builder) demand(s *Service, callers []*Service) error {
	if len(callers) == 0 || slices.Contains(s.States, label(s, Rate)) || !b.t.Has(label(s, Rate)) {
		return nil
	}
	var own, external []string
	for _, c := range callers {
		own = append(own, c.Knobs...)
		if b.known[label(c, Rate)] {
			external = append(external, label(c, Rate))
		} else {
			own = append(own, c.States...)
		}
	}
	return b.add(s, Rate, own, external, callers)
}

// service adds a service's metrics: those that its callers may look at, and the target.
func (b *builder) service(s *Service, all []*Service) error {
	own := slices.Concat(s.Knobs, s.States)
	if b.known[label(s, Rate)] {
		own = append(own, label(s, Rate))
	}
	var external []string
	var callees []*Service
	for _, name := range s.Calls {
		c := all[slices.IndexFunc(all, func(c *Service) bool { return c.Name == name })]
		callees = append(callees, c)
		for _, in := range c.Shows {
			if !slices.Contains(own, in) {
				own = append(own, in)
			}
		}
		for _, m := range append([]string{Rate}, c.Metrics...) {
			if b.known[label(c, m)] && !slices.Contains(external, label(c, m)) {
				external = append(external, label(c, m))
			}
		}
	}
	metrics := s.Metrics
	if front, metric, _ := strings.Cut(b.cfg.Target, ":"); front == s.Name {
		metrics = append(without(metrics, []string{metric}), metric)
	}
	for _, m := range metrics {
		if err := b.add(s, m, own, external, callees); err != nil {
			return err
		}
	}
	return nil
}

// add trains an assignment and adds it to the graph, unless it is too bad to be of use.
func (b *builder) add(s *Service, metric string, own, external []string, others []*Service) error {
	a, err := latency.NewAssignment(s.Name, metric, own, external)
	if err != nil {
		return err
	}
	t := b.t
	if b.cfg.Observed {
		t = b.observed
	}
	v := Vertex{Label: a.Output(), Inputs: a.Inputs()}
	target := v.Label == b.cfg.Target
	y, ok := b.observed.Column(v.Label)
	if ok && slices.Max(y) == slices.Min(y) && !target {
		b.vertices = append(b.vertices, v) // always the same: no caller learns anything of it
		return nil
	}
	if v.Inputs, err = b.choose(a, t, s); err != nil {
		return err
	}
	learn := b.cfg.Learn
	if !target && b.cfg.Skill > 0 {
		learn.Useless = (1 - b.cfg.Skill) * fromMedian(y)
	}
	report, err := a.Add(t, v.Inputs, "", learn, true)
	if errors.Is(err, learner.ErrUseless) {
		b.vertices = append(b.vertices, v)
		return nil
	}
	if err != nil {
		return err
	}
	v.Learner, v.Error, v.Skill = a.Learner(0), report.Error, 1-report.Error/fromMedian(y)
	if v.Used = target || v.Skill >= b.cfg.Skill; v.Used {
		if err := b.g.Add(a); err != nil {
			return err
		}
		for _, other := range others {
			if b.g.Instances(other.Name) > 0 {
				if err := b.g.Connect(other.Name, s.Name); err != nil {
					return err
				}
			}
		}
		b.known[v.Label] = true
		if b.t, err = b.t.With(v.Label, report.Held); err != nil {
			return err
		}
	}
	b.vertices = append(b.vertices, v)
	return nil
}

// choose is the inputs that an assignment looks at.
func (b *builder) choose(a *latency.Assignment, t *latency.Table, s *Service) ([]string, error) {
	if b.cfg.Keep == 0 || a.Output() != b.cfg.Target {
		return a.Inputs(), nil
	}
	learn := b.cfg.Learn
	learn.Kinds, learn.Evaluations = learn.Kinds[len(learn.Kinds)-1:], 1
	among := without(a.Inputs(), slices.Concat(s.Knobs, s.States))
	return a.SelectInputs(t, latency.SelectConfig{Keep: b.cfg.Keep, Among: among, Rounds: b.cfg.Rounds, Seed: learn.Seed, Learn: learn, Stop: learn.Stop})
}

// fromMedian is the mean absolute deviation from the median.
func fromMedian(y []float64) float64 {
	sorted := slices.Sorted(slices.Values(y))
	sum := 0.0
	for _, v := range y {
		sum += math.Abs(v-sorted[len(sorted)/2]) / float64(len(y))
	}
	return max(sum, math.SmallestNonzeroFloat64)
}

// Best builds a graph as each of several configs says and returns the one whose target is off least, out-of-fold, and which
// that is: of several ways to compose the same services, validation chooses.
func Best(cfgs []Config, t *latency.Table) (g *latency.Graph, vertices []Vertex, chosen int, err error) {
	least := math.Inf(1)
	for i, cfg := range cfgs {
		one, all, err := Fit(cfg, t)
		if err != nil {
			return nil, nil, 0, err
		}
		for _, v := range all {
			if v.Label == cfg.Target && v.Error < least {
				g, vertices, chosen, least = one, all, i, v.Error
			}
		}
	}
	return g, vertices, chosen, nil
}
