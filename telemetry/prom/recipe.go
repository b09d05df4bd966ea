package prom

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/common/model"

	"foresail.dev/appfile"
)

// Recipe says which series of one source mean what. docs/formats/recipes.md has the format.
type Recipe struct {
	Name   string   `yaml:"name" rule:"required"`
	Doc    string   `yaml:"doc"`
	Labels          // where a series leaves them out
	Series []Series `yaml:"series" rule:"required"`
}

// Series is one kind of series, under the names that it has had. A service is read from the first name that it has.
type Series struct {
	Gives Kind `yaml:"gives" rule:"required"`
	// Metrics are names: exact ones, or with Spelling otel those of the semantic conventions, each of which is looked for in
	// all ways that it is written in Prometheus. A histogram's name has no _bucket.
	Metrics []Metric `yaml:"metrics" rule:"required"`
	Labels
}

// Labels say what series are called by, and what their labels mean.
type Labels struct {
	Spelling string   `yaml:"spelling" rule:"oneof=|exact|otel"`
	Unit     string   `yaml:"unit" rule:"oneof=|s|ms|us|By|1"` // of the value; default: seconds, bytes or none, as the kind has it
	Where    string   `yaml:"where"`                           // further label matchers, as PromQL writes them
	Service  []string `yaml:"service"`                         // labels that may hold the service's name; the first that does is used
	Replica  []string `yaml:"replica"`                         // labels that tell replicas apart; the first that is there names them
	From     []string `yaml:"from"`                            // of calls: labels that may hold the caller; default: Service
	To       []string `yaml:"to"`                              // of calls: the callee
	// Operation are labels that together, or one of them alone, name what was called.
	Operation []string          `yaml:"operation"`
	Failed    map[string]string `yaml:"failed"` // a label that matches its regular expression wholly: the request failed
}

// or is the labels with those of d where they are left out.
func (l Labels) or(d *Labels) Labels {
	text := func(x *string, d string) {
		if *x == "" {
			*x = d
		}
	}
	list := func(x *[]string, d []string) {
		if len(*x) == 0 {
			*x = d
		}
	}
	text(&l.Spelling, d.Spelling)
	text(&l.Unit, d.Unit)
	text(&l.Where, d.Where)
	list(&l.Service, d.Service)
	list(&l.Replica, d.Replica)
	list(&l.From, d.From)
	list(&l.From, l.Service)
	list(&l.To, d.To)
	list(&l.Operation, d.Operation)
	if len(l.Failed) == 0 {
		l.Failed = d.Failed
	}
	return l
}

// Metric is a name, with a unit of its own where that differs from the others'. In a file it may be the name alone.
type Metric struct {
	Name string `yaml:"name" rule:"required"`
	Unit string `yaml:"unit" rule:"oneof=|s|ms|us|By|1"`
}

// UnmarshalText reads a name.
func (m *Metric) UnmarshalText(b []byte) error {
	m.Name = string(b)
	return nil
}

// Spellings of names.
const spellingOTel = "otel"

//go:embed recipes.yaml
var builtin []byte

// File is a file of recipes.
type File struct {
	Recipes []Recipe `yaml:"recipes" rule:"required"`
}

// Builtin are the recipes that come with Foresail, the most trusted first.
func Builtin() []Recipe {
	var f File
	if err := appfile.Decode("recipes.yaml", builtin, &f); err != nil {
		panic("prom: " + err.Error()) // it is part of the program
	}
	return f.Recipes
}

// Check finds what a file's syntax can't, and fills in what series leave out.
func (r *Recipe) Check(at appfile.Place) {
	for i := range r.Series {
		s := &r.Series[i]
		if s.Gives == 0 {
			continue // told already
		}
		s.Labels = s.Labels.or(&r.Labels)
		for _, err := range s.faults() {
			at.Faultf("series %d: %v", i+1, err)
		}
	}
}

func (s *Series) faults() (out []error) {
	edge := s.Gives.edge()
	if edge && (len(s.From) == 0 || len(s.To) == 0) {
		out = append(out, fmt.Errorf("gives %s: name the labels of both ends, from and to", s.Gives))
	}
	if !edge && len(s.Service) == 0 {
		out = append(out, fmt.Errorf("gives %s: name the labels that may hold the service, as service", s.Gives))
	}
	for _, l := range slices.Concat(s.Service, s.Replica, s.From, s.To, s.Operation) {
		if !model.UTF8Validation.IsValidLabelName(l) {
			out = append(out, fmt.Errorf("%q is no label's name", l))
		}
	}
	for _, m := range s.Metrics {
		if !model.UTF8Validation.IsValidMetricName(m.Name) {
			out = append(out, fmt.Errorf("%q is no metric's name", m.Name))
		}
	}
	for l, pattern := range s.Failed {
		if _, err := regexp.Compile(anchored(pattern)); err != nil {
			out = append(out, fmt.Errorf("failed: %s: %v", l, err))
		}
	}
	return out
}

func anchored(pattern string) string { return "^(?:" + pattern + ")$" }

// Select is the recipes named, in that order; all, where none is. Own ones come before built-in ones, and replace those of
// the same name.
func Select(own []Recipe, names []string) ([]Recipe, error) {
	all := slices.Clone(own)
	for _, b := range Builtin() {
		if !slices.ContainsFunc(all, func(r Recipe) bool { return r.Name == b.Name }) {
			all = append(all, b)
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	var out []Recipe
	for _, n := range names {
		i := slices.IndexFunc(all, func(r Recipe) bool { return r.Name == n })
		if i < 0 {
			var known []string
			for _, r := range all {
				known = append(known, r.Name)
			}
			return nil, fmt.Errorf("there is no recipe %q: use %s", n, strings.Join(known, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// spelled is one way to write a series in Prometheus.
type spelled struct {
	metric string
	scale  float64 // what a value is multiplied by
	dotted bool    // labels are written with dots as well
}

// otelSuffix is what Prometheus' translation adds for a unit.
var otelSuffix = map[string]string{"s": "_seconds", "ms": "_milliseconds", "us": "_microseconds", "By": "_bytes"}

// scaleOf is how many seconds or bytes a unit is.
var scaleOf = map[string]float64{"": 1, "s": 1, "ms": 1e-3, "us": 1e-6, "By": 1, "1": 1}

// spellings are the ways in which a metric is written, the most usual first: with underscores or, since Prometheus 3, with
// dots; with the unit and, of counters, _total added or not.
func (s *Series) spellings() (out []spelled) {
	for _, m := range s.Metrics {
		name, unit := m.Name, m.Unit
		if unit == "" {
			unit = s.Unit
		}
		scale := scaleOf[unit]
		if s.Spelling != spellingOTel {
			out = append(out, spelled{metric: name, scale: scale})
			continue
		}
		suffix := otelSuffix[unit]
		if s.Gives.counter() {
			suffix += "_total"
		}
		flat := strings.ReplaceAll(name, ".", "_")
		all := []spelled{{flat + suffix, scale, false}, {flat, scale, false}, {name + suffix, scale, true}, {name, scale, true}}
		for _, x := range all {
			if !slices.ContainsFunc(out, func(y spelled) bool { return y.metric == x.metric }) {
				out = append(out, x)
			}
		}
	}
	return out
}

// labels are names as they are written beside a spelling.
func (s *Series) labels(names []string, dotted bool) []string {
	if s.Spelling != spellingOTel || dotted {
		return names
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ReplaceAll(n, ".", "_")
	}
	return out
}
