package changing

import (
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/simulated"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/learner"
	"foresail.dev/model/latency/observed"
)

// Common is what all files of this package have; see docs/formats/latency.md.
type Common struct {
	Kind        string        `yaml:"kind" rule:"required"`
	Seed        uint64        `yaml:"seed"`
	Application string        `yaml:"application" rule:"required"`
	Target      string        `yaml:"target" rule:"required"`
	Metrics     []string      `yaml:"metrics"`
	Interval    time.Duration `yaml:"interval" rule:"min=1s,max=10m"`
	CPU         span          `yaml:"cpu"`
	Least       float64       `yaml:"least" rule:"min=1"`
	Skill       float64       `yaml:"skill" rule:"min=-1,max=0.99"`
	Evaluations int           `yaml:"evaluations" rule:"min=1,max=1000"`
	Folds       int           `yaml:"folds" rule:"min=2,max=100"`
	Note        string        `yaml:"note"`
}

// span is a range of positive numbers.
type span struct {
	From float64 `yaml:"from"`
	To   float64 `yaml:"to"`
}

func (s *span) check(at appfile.Place) {
	if !(s.From > 0 && s.To >= s.From && s.To < 1e9) {
		at.Faultf("is from %v to %v: both must be above 0, the second no less than the first", s.From, s.To)
	}
}

func common(kind string) Common {
	return Common{Kind: kind, Seed: 1, Metrics: []string{"0.50", "0.90"}, Interval: 10 * time.Second, CPU: span{0.3, 1}, Least: 100, Skill: 0.1, Evaluations: 1, Folds: 5}
}

func (c *Common) check(at appfile.Place) {
	c.CPU.check(at.At("cpu"))
	service, metric, _ := strings.Cut(c.Target, ":")
	if _, ok := observed.Percentile(metric); c.Target != "" && (service == "" || !ok || !slices.Contains(c.Metrics, metric)) {
		at.At("target").Faultf("is %q: it must be a service's name, a colon and one of the metrics", c.Target)
	}
	for i, m := range c.Metrics {
		if _, ok := observed.Percentile(m); !ok {
			at.At("metrics", i).Faultf("is %q: it must be a percentile like 0.90", m)
		}
	}
}

func (c *Common) maker(path string) (*simulated.Maker, error) {
	bp, err := appfile.ReadApp(cli.Relative(path, c.Application))
	if slices.Contains(appfile.BuiltIn(), c.Application) {
		bp, err = appfile.ReadApp(c.Application)
	}
	if err != nil {
		return nil, fmt.Errorf("application: %w", err)
	}
	return &simulated.Maker{Blueprint: bp, Interval: c.Interval, CPU: [2]float64{c.CPU.From, c.CPU.To}, Observed: observed.Config{Metrics: c.Metrics, Least: c.Least}}, nil
}

// shares are a mix by endpoint; the error names endpoints that there are none of.
func shares(app *foresail.App, mix map[string]float64) ([]float64, error) {
	out := make([]float64, len(app.Endpoints))
	for name, share := range mix {
		id, ok := app.EndpointByName(name)
		if !ok || !(share >= 0) || math.IsInf(share, 0) {
			var all []string
			for _, e := range app.Endpoints {
				all = append(all, e.Name)
			}
			return nil, fmt.Errorf("%s: %v: a mix has shares of at least 0, of %s", name, share, strings.Join(all, ", "))
		}
		out[id] = share
	}
	return out, nil
}

func (c *Common) learn(seed uint64, kinds ...learner.Kind) learner.Config {
	if kinds == nil {
		kinds = []learner.Kind{learner.Scaled}
	}
	return learner.Config{Kinds: kinds, Evaluations: c.Evaluations, Folds: c.Folds, Seed: seed}
}

// fit composes a graph.
func (c *Common) fit(services []compose.Service, t *latency.Table, seed uint64) (*latency.Graph, []compose.Vertex, error) {
	cfg := compose.Default()
	cfg.Services, cfg.Target, cfg.Learn, cfg.Skill, cfg.Demand = services, c.Target, c.learn(seed), c.Skill, false
	return compose.Fit(cfg, t)
}

// inputs are the labels of all knobs and states.
func inputs(services []compose.Service) (out []string) {
	for i := range services {
		for _, in := range slices.Concat(services[i].Knobs, services[i].States) {
			if !slices.Contains(out, in) {
				out = append(out, in)
			}
		}
	}
	return out
}

// labels are all that is learnt from.
func labels(services []compose.Service, target string) []string {
	out := append(inputs(services), target)
	for i := range services {
		for _, m := range services[i].Metrics {
			out = append(out, latency.Label(services[i].Name, m))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// monolith is one model of all inputs.
func (c *Common) monolith(services []compose.Service, t *latency.Table, seed uint64, kinds ...learner.Kind) (*latency.Graph, error) {
	service, metric, _ := strings.Cut(c.Target, ":")
	a, err := latency.NewAssignment(service, metric, inputs(services), nil)
	if err != nil {
		return nil, err
	}
	if _, err := a.Add(t, nil, "", c.learn(seed, kinds...), true); err != nil {
		return nil, err
	}
	g := latency.NewGraph()
	return g, g.Add(a)
}

// off is how far a graph's predictions of the target are off in a table, row by row: absolute, and of logarithms.
func (c *Common) off(g *latency.Graph, t *latency.Table) (abs, log []float64, err error) {
	f, err := g.Compile(c.Target)
	if err != nil {
		return nil, nil, err
	}
	cols := make([][]float64, len(f.Inputs()))
	for i, in := range f.Inputs() {
		var ok bool
		if cols[i], ok = t.Column(in); !ok {
			return nil, nil, &latency.MissingError{Who: c.Target, Inputs: []string{in}, Why: "the data have no such column"}
		}
	}
	y, ok := t.Column(c.Target)
	if !ok {
		return nil, nil, &latency.MissingError{Who: c.Target, Inputs: []string{c.Target}, Why: "it was not observed"}
	}
	row := make([]float64, len(cols))
	for i := range y {
		for k := range cols {
			row[k] = cols[k][i]
		}
		v := f.Run(row)
		abs, log = append(abs, math.Abs(v-y[i])), append(log, math.Abs(math.Log(v/y[i])))
	}
	return abs, log, nil
}

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x / float64(len(v))
	}
	return sum
}

// seedOf is the seed of a run.
func seedOf(seed uint64, what string, n int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %q %d", seed, what, n)
	return h.Sum64()
}

// slice is rows of a table, from one to before another.
func slice(t *latency.Table, from, to int) *latency.Table {
	var rows []int
	for i := max(from, 0); i < min(to, t.Rows()); i++ {
		rows = append(rows, i)
	}
	return t.Pick(rows)
}
