package sequence

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"foresail.dev"
	"foresail.dev/appfile"
)

// File is a file of sequences; see docs/formats/sequences.md.
type File struct {
	Seed        uint64    `yaml:"seed"`
	Seeds       int       `yaml:"seeds" rule:"min=1,max=1000"`
	Points      []int     `yaml:"points" rule:"min=2,max=5000"`
	Before      int       `yaml:"before" rule:"min=10,max=5000"`
	Kept        int       `yaml:"kept" rule:"min=2,max=5000"`
	Test        int       `yaml:"test" rule:"min=5,max=5000"`
	Requests    int       `yaml:"requests" rule:"min=100,max=1000000"`
	Evaluations int       `yaml:"evaluations" rule:"min=1,max=1000"`
	Monoliths   int       `yaml:"monolith_evaluations" rule:"min=1,max=1000"`
	Folds       int       `yaml:"folds" rule:"min=2,max=100"`
	Skill       float64   `yaml:"skill" rule:"min=-1,max=0.99"`
	Methods     []string  `yaml:"methods"`
	Spectrum    []string  `yaml:"spectrum"`
	Target      string    `yaml:"target"`
	Sequences   []*Config `yaml:"sequences" rule:"required"`
	Note        string    `yaml:"note"`

	folder string // of applications
}

// Config is one sequence.
type Config struct {
	Name        string              `yaml:"name" rule:"required"`
	Application string              `yaml:"application" rule:"required"`
	Kinds       map[string]string   `yaml:"kinds"`     // of services; the others' follow from what they call
	Databases   map[string][]string `yaml:"databases"` // by kind: services that get one of their own
	Steps       []*Step             `yaml:"steps" rule:"required"`
	Note        string              `yaml:"note"`

	deployments []*Deployment
	loads       []Load
	rings       []string
}

// Step is what the application becomes. What it does not say stays as it was.
type Step struct {
	Name      string             `yaml:"name" rule:"required"`
	Rate      float64            `yaml:"rate" rule:"min=0"`
	Mix       map[string]float64 `yaml:"mix"`
	Instances map[string]int     `yaml:"instances"` // by service, by kind or "*"; the more exact one counts
	Replace   map[string]string  `yaml:"replace"`   // kinds
}

// Default is what a file starts from.
func Default() File {
	return File{Seed: 1, Seeds: 5, Points: []int{10, 25, 100, 300, 500}, Before: 200, Kept: 200, Test: 100, Requests: 2000, Evaluations: 1, Monoliths: 2, Folds: 3, Skill: 0.1,
		Methods: methodNames, Spectrum: []string{"avg", "0.50"}, Target: "0.90"}
}

// leastCPU is what a service needs of which nothing is asked, cores.
const leastCPU = 0.05

// maxInstances bounds how many instances a service may have, and steps how many a sequence.
const maxInstances, maxSteps = 200, 50

// Check asks for what there is.
func (f *File) Check(at appfile.Place) {
	for i, name := range f.Methods {
		if !slices.Contains(methodNames, name) {
			at.At("methods", i).Faultf("is %q; there are %s", name, strings.Join(methodNames, ", "))
		}
	}
	for i, m := range f.Spectrum {
		if !slices.Contains(Metrics, m) {
			at.At("spectrum", i).Faultf("is %q; there are %s", m, strings.Join(Metrics, ", "))
		}
	}
	if !slices.Contains(Metrics, f.Target) {
		at.At("target").Faultf("is %q; there are %s", f.Target, strings.Join(Metrics, ", "))
	}
	if !slices.IsSorted(f.Points) {
		at.At("points").Faultf("must grow")
	}
	seen := map[string]bool{}
	for i, s := range f.Sequences {
		if s == nil {
			continue
		}
		if seen[s.Name] {
			at.At("sequences", i, "name").Faultf("is %q, as another is", s.Name)
		}
		seen[s.Name] = true
		s.prepare(at.At("sequences", i), f.folder)
	}
}

// prepare works out the deployments; faults are told.
func (c *Config) prepare(at appfile.Place, folder string) {
	if c.Application == "" {
		return
	}
	path := c.Application
	if filepath.Ext(path) != "" && !filepath.IsAbs(path) {
		path = filepath.Join(folder, path)
	}
	bp, err := appfile.ReadApp(path)
	if err != nil {
		at.At("application").Faultf("can't be read: %v", err)
		return
	}
	for _, kind := range slices.Sorted(maps.Keys(c.Databases)) {
		if _, ok := kinds[kind]; !ok {
			at.At("databases", kind).Faultf("is no kind of service; there are %s", strings.Join(kindNames(), ", "))
			continue
		}
		before := len(bp.Services)
		if err := split(bp, kind, c.Databases[kind]); err != nil {
			at.At("databases", kind).Faultf("%v", err)
			return
		}
		for _, s := range bp.App.Services[before:] {
			if c.Kinds == nil {
				c.Kinds = map[string]string{}
			}
			c.Kinds[s.Name] = kind
		}
	}
	first := &Deployment{bp: bp, Kinds: make([]string, len(bp.Services)), Instances: make([]int, len(bp.Services))}
	calls, rings := callees(bp)
	c.rings = rings
	first.front = bp.Entries[0].Service
	for s := range bp.Services {
		first.Instances[s], first.Kinds[s] = 1, "leaf"
		if len(calls[s]) > 0 {
			first.Kinds[s] = "caller"
		}
	}
	first.Kinds[first.front] = "front"
	for _, e := range bp.Entries {
		if e.Service != first.front {
			at.At("application").Faultf("has endpoints at several services, which can't be followed")
			return
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Kinds)) {
		s, ok := bp.App.ServiceByName(name)
		if !ok {
			at.At("kinds", name).Faultf("is no service of %s", bp.App.Name)
			continue
		}
		if _, ok := kinds[c.Kinds[name]]; !ok {
			at.At("kinds", name).Faultf("is %q; there are %s", c.Kinds[name], strings.Join(kindNames(), ", "))
			continue
		}
		first.Kinds[s] = c.Kinds[name]
	}
	if len(c.Steps) > maxSteps {
		at.At("steps").Faultf("are %d, at most %d can be", len(c.Steps), maxSteps)
		return
	}
	c.follow(at, first)
}

// follow is the deployment and load of each step.
func (c *Config) follow(at appfile.Place, d *Deployment) {
	app := d.bp.App
	var rate float64
	shares := make([]float64, len(app.Endpoints))
	nominal := make([]float64, len(d.bp.Services)) // cores; known once the last step is
	for s := range nominal {
		nominal[s] = leastCPU
	}
	for i, st := range c.Steps {
		here := at.At("steps", i)
		if st == nil {
			return
		}
		next := *d
		next.Kinds, next.Instances = slices.Clone(d.Kinds), slices.Clone(d.Instances)
		d = &next
		if st.Rate > 0 {
			rate = st.Rate
		}
		if rate == 0 {
			here.At("rate").Faultf("is missing: how many requests a second there are in the first step")
			return
		}
		if len(st.Mix) > 0 {
			clear(shares)
		} else if i == 0 {
			for e := range shares {
				shares[e] = 1
			}
		}
		for _, name := range slices.Sorted(maps.Keys(st.Mix)) {
			e, ok := app.EndpointByName(name)
			if !ok || !(st.Mix[name] > 0) {
				here.At("mix", name).Faultf("is %v: it must be above 0, and an endpoint of %s", st.Mix[name], app.Name)
				return
			}
			shares[e] = st.Mix[name]
		}
		for _, old := range slices.Sorted(maps.Keys(st.Replace)) {
			if _, ok := kinds[st.Replace[old]]; !ok || !slices.Contains(d.Kinds, old) {
				here.At("replace", old).Faultf("is %q: a kind that services have is replaced by another of %s", st.Replace[old], strings.Join(kindNames(), ", "))
				return
			}
			for s := range d.Kinds {
				if d.Kinds[s] == old {
					d.Kinds[s] = st.Replace[old]
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(st.Instances)) {
			_, known := app.ServiceByName(name)
			if n := st.Instances[name]; n < 1 || n > maxInstances || name != "*" && !known && !slices.Contains(d.Kinds, name) {
				here.At("instances", name).Faultf("is %d: it must be from 1 to %d, of a service, a kind that one has, or *", n, maxInstances)
				return
			}
		}
		for s := range d.Instances {
			for _, name := range []string{"*", d.Kinds[s], app.Services[s].Name} {
				if n, ok := st.Instances[name]; ok {
					d.Instances[s] = n
				}
			}
		}
		d.mix = nil
		l := Load{Rate: rate}
		sum := 0.0
		for e, v := range shares {
			if v > 0 {
				d.mix, l.Shares = append(d.mix, foresail.EndpointID(e)), append(l.Shares, v)
				sum += v
			}
		}
		all := make([]float64, len(shares))
		for e, v := range shares {
			all[e] = rate * v / sum
		}
		for s, cores := range demand(d.bp, all) {
			nominal[s] = max(nominal[s], cores/float64(d.Instances[s])/utilisation)
		}
		d.nominal = nominal
		if i > 0 && !slices.Equal(d.mix, c.deployments[0].mix) {
			here.At("mix").Faultf("asks other endpoints than the first step's: give each step the same ones, if only a little of some")
			return
		}
		c.deployments, c.loads = append(c.deployments, d), append(c.loads, l)
	}
}

// Read reads a file of sequences; the error tells all that is wrong. Applications are built-in ones, or files beside it.
func Read(path string) (*File, error) {
	f := Default()
	f.folder = filepath.Dir(path)
	return f.checked(path, appfile.ReadFile(path, &f))
}

// Parse reads what a file holds, as Read does.
func Parse(name string, data []byte) (*File, error) {
	f := Default()
	return f.checked(name, appfile.Decode(name, data, &f))
}

func (f *File) checked(name string, err error) (*File, error) {
	if err != nil {
		return nil, err
	}
	for _, s := range f.Sequences {
		if s == nil || len(s.deployments) != len(s.Steps) {
			return nil, fmt.Errorf("%s: a sequence can't be followed", name)
		}
	}
	return f, nil
}

// String says what a deployment is, in short.
func (d *Deployment) String() string {
	return fmt.Sprintf("%d instances of %d services, %d inputs", d.Count(), len(d.Instances), len(d.Inputs()))
}
