package latencies

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
)

// File says which methods are measured, and on what; see docs/formats/latency.md.
type File struct {
	Kind        string        `yaml:"kind"` // runs, or nothing
	Seed        uint64        `yaml:"seed"`
	Repeats     int           `yaml:"repeats" rule:"min=2,max=1000"`
	Train       appfile.Share `yaml:"train" rule:"above=0"`
	Evaluations int           `yaml:"evaluations" rule:"min=1,max=10000"`
	Monoliths   int           `yaml:"monolith_evaluations" rule:"min=1,max=10000"`
	Budget      time.Duration `yaml:"search_budget" rule:"min=0s"`
	Folds       int           `yaml:"folds" rule:"min=2,max=100"`
	Skill       float64       `yaml:"skill" rule:"min=-1,max=0.99"`
	Keep        int           `yaml:"keep" rule:"min=1,max=1000"`
	Rounds      int           `yaml:"selection_rounds" rule:"min=1,max=10000"`
	Methods     []string      `yaml:"methods"`
	Target      string        `yaml:"target" rule:"required"`
	Unit        time.Duration `yaml:"unit" rule:"above=0s"`
	Metrics     []string      `yaml:"metrics" rule:"required"`
	Single      []string      `yaml:"single"`
	Spectrum    []string      `yaml:"spectrum"`
	Shows       []string      `yaml:"shows"`
	Services    []Service     `yaml:"services" rule:"required"`
	Datasets    []dataset     `yaml:"datasets" rule:"required"`
	Note        string        `yaml:"note"`
}

// Service is one of an application, as a file names it.
type Service struct {
	Name  string   `yaml:"name" rule:"required"`
	Calls []string `yaml:"calls"`
	Knobs []string `yaml:"knobs"`
}

type dataset struct {
	Name  string `yaml:"name" rule:"required"`
	File  string `yaml:"file" rule:"required"`
	Rates bool   `yaml:"rates"`
}

// Check asks for methods that there are, and for names that fit together.
func (f *File) Check(at appfile.Place) {
	for i, name := range f.Methods {
		if !slices.Contains(methodNames, name) {
			at.At("methods", i).Faultf("is %q; there are %s", name, strings.Join(methodNames, ", "))
		}
	}
	known := map[string]bool{}
	for i, s := range f.Services {
		if known[s.Name] {
			at.At("services", i, "name").Faultf("is %q, as another is", s.Name)
		}
		known[s.Name] = true
	}
	for i, s := range f.Services {
		for k, callee := range s.Calls {
			if !known[callee] {
				at.At("services", i, "calls", k).Faultf("is %q, which is not among the services", callee)
			}
		}
	}
	for name, list := range map[string][]string{"single": f.Single, "spectrum": f.Spectrum} {
		for i, m := range list {
			if !slices.Contains(f.Metrics, m) {
				at.At(name, i).Faultf("is %q, which is not among the metrics", m)
			}
		}
	}
	if front, _, ok := strings.Cut(f.Target, ":"); f.Target != "" && (!ok || !known[front]) {
		at.At("target").Faultf("is %q: it must be a service's name, a colon and a metric", f.Target)
	}
	seen := map[string]bool{}
	for i, d := range f.Datasets {
		if d.Name != "" && seen[d.Name] {
			at.At("datasets", i, "name").Faultf("is %q, as another is", d.Name)
		}
		seen[d.Name] = true
	}
}

// Dataset is one that was read.
type Dataset struct {
	Name     string
	Table    *latency.Table
	Train    int // rows
	Services []compose.Service
	Inputs   []string // of the graph, and of monoliths
	Notes    []string
}

// Read reads a file and the data sets that it names; the error tells all that is wrong.
func Read(path string) (f File, all []Dataset, err error) {
	f = File{Seed: 1, Repeats: 10, Train: 2. / 3, Evaluations: 6, Monoliths: 24, Folds: 5, Skill: 0.3, Keep: 8, Rounds: 30, Unit: time.Second}
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, err
	}
	if len(f.Methods) == 0 {
		f.Methods = methodNames
	}
	if len(f.Spectrum) == 0 {
		f.Spectrum = slices.DeleteFunc(slices.Clone(f.Metrics), func(m string) bool { return m == compose.Rate })
	}
	if len(f.Single) == 0 {
		_, metric, _ := strings.Cut(f.Target, ":")
		f.Single = []string{metric}
	}
	var errs []error
	for _, d := range f.Datasets {
		one, err := f.read(d, cli.Relative(filepath.Dir(path), d.File))
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: data set %s: %w", path, d.Name, err))
			continue
		}
		all = append(all, one)
	}
	return f, all, errors.Join(errs...)
}

func (f *File) read(d dataset, path string) (Dataset, error) {
	t, notes, err := ReadRuns(path)
	if err != nil {
		return Dataset{}, err
	}
	out := Dataset{Name: d.Name, Table: t, Notes: notes, Train: int(math.Round(float64(f.Train) * float64(t.Rows())))}
	if out.Train < 10 || t.Rows()-out.Train < 5 {
		return out, fmt.Errorf("%d runs, of which %d are to train on: at least 10, and 5 others, are needed", t.Rows(), out.Train)
	}
	y, ok := t.Column(f.Target)
	if !ok {
		return out, fmt.Errorf("it has no column %s, which is the target", f.Target)
	}
	if slices.Min(y) <= 0 {
		return out, fmt.Errorf("column %s is not above 0 in every run: it is no latency", f.Target)
	}
	var faults []error
	for _, s := range f.Services {
		one, err := f.describe(s, d.Rates, t)
		faults = append(faults, err)
		out.Services = append(out.Services, one)
		for _, in := range slices.Concat(one.Knobs, one.States) {
			if !slices.Contains(out.Inputs, in) {
				out.Inputs = append(out.Inputs, in)
			}
		}
	}
	if len(out.Inputs) == 0 {
		faults = append(faults, errors.New("its columns have no knob of any service"))
	}
	return out, errors.Join(faults...)
}

// describe is a service as its columns say.
func (f *File) describe(s Service, rates bool, t *latency.Table) (compose.Service, error) {
	return s.Describe(t.Names(), f.Metrics, f.Shows, rates)
}

// Describe finds a service's columns: its metrics are known by their names, and what else has its name before the colon is a knob. Rates
// says whether its rate is given.
func (s *Service) Describe(columns, metrics, shows []string, rates bool) (compose.Service, error) {
	out := compose.Service{Name: s.Name, Calls: s.Calls}
	for _, column := range columns {
		of, name, _ := strings.Cut(column, ":")
		if of != s.Name {
			continue
		}
		switch {
		case name == compose.Rate:
			if rates {
				out.States, out.Shows = append(out.States, column), append(out.Shows, column)
			}
		case slices.Contains(metrics, name):
			out.Metrics = append(out.Metrics, name)
		default:
			out.Knobs = append(out.Knobs, column)
			if slices.Contains(shows, name) {
				out.Shows = append(out.Shows, column)
			}
		}
	}
	var faults []error
	for _, k := range s.Knobs { // of others, a whole service's with a star
		of, all := strings.CutSuffix(k, ":*")
		found := false
		for _, column := range columns {
			if column == k || all && strings.HasPrefix(column, of+":") {
				out.Knobs, found = append(out.Knobs, column), true
			}
		}
		if !found {
			faults = append(faults, fmt.Errorf("service %s has the knob %s, and there is no such column", s.Name, k))
		}
	}
	if len(out.Metrics) == 0 {
		faults = append(faults, fmt.Errorf("no column has a metric of service %s: one of %s", s.Name, strings.Join(metrics, ", ")))
	}
	return out, errors.Join(faults...)
}
