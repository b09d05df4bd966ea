package tuning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/model/tune"
)

// commandTimeout is how long a command may take where its file does not say.
const commandTimeout = 30 * time.Second

// knobs turns sets of knobs into knobs of single services, and finds what they cost.
func (j *Job) knobs(dir string) error {
	var faults []error
	app := j.Blueprint.App
	owner := map[string]int{}
	for n := range j.File.Knobs {
		set := &j.File.Knobs[n]
		found := 0
		for i := range app.Services {
			name := app.Services[i].Name
			if !set.matches(name) {
				continue
			}
			k, ok, err := j.knob(set, foresail.ServiceID(i))
			if err != nil {
				faults = append(faults, fmt.Errorf("%d, %s of %s: %w", n+1, set.Knob, name, err))
				found++
				continue
			}
			if !ok {
				continue
			}
			found++
			if at, twice := owner[k.Label]; twice && at != n { // the later one is the more special
				i := slices.IndexFunc(j.Space.Knobs, func(o tune.Knob) bool { return o.Label == k.Label })
				j.Space.Knobs[i] = k
			} else {
				j.Space.Knobs = append(j.Space.Knobs, k)
			}
			owner[k.Label] = n
			if len(set.Command) > 0 {
				t := set.Timeout
				if t == 0 {
					t = commandTimeout
				}
				j.Commands = append(j.Commands, bench.Command{Label: k.Label, Unit: set.Unit, Args: set.Command, Timeout: t})
			}
		}
		if found == 0 {
			faults = append(faults, fmt.Errorf("%d, %s: no service of %s that could have it is called %s", n+1, set.Knob, app.Name, strings.Join(set.Services, ", ")))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	j.Space.Cost = j.costOf()
	if c := &j.File.Cost; c.Most > 0 {
		j.Space.Most = c.Most
	} else if c.OfDefault > 0 {
		j.Space.Most = c.OfDefault * j.Space.Cost(j.Space.Default())
	}
	return errors.Join(j.Space.Check(), j.templates(dir))
}

func (s *knobSet) matches(service string) bool {
	return slices.ContainsFunc(s.Services, func(pattern string) bool {
		ok, err := filepath.Match(pattern, service)
		return ok && err == nil
	})
}

// exact is whether a set names a service itself, and not by a pattern.
func (s *knobSet) exact(service string) bool { return slices.Contains(s.Services, service) }

// knob is a service's; false: there is nothing to turn, and the set does not ask for this service by name.
func (j *Job) knob(set *knobSet, id foresail.ServiceID) (k tune.Knob, ok bool, err error) {
	s := &j.Blueprint.App.Services[id]
	if j.File.Cluster == "sim" && slices.Contains(bench.Real, set.Knob) {
		return k, false, errors.New("simulated services have none: use cluster: testbed")
	}
	if j.File.Cluster == "testbed" && set.Knob == "cache" {
		return k, false, errors.New("real processes keep nothing: use cluster: sim")
	}
	k = tune.Knob{Label: s.Name + ":" + set.Knob, Min: set.Range.Min, Max: set.Range.Max, Log: set.Scale == "log", Choices: texts(set.Choices)}
	integer := set.Integer || slices.Contains(bench.Started, set.Knob) || set.Knob == "replicas" || set.Knob == "memory"
	switch {
	case len(set.Choices) > 0:
		k.Kind = tune.Choice
		k.Numbers = numbers(k.Choices)
		if k.Numbers == nil && slices.Contains(slices.Concat(bench.Applied, bench.Started), set.Knob) {
			return k, false, errors.New("its choices must be ascending numbers")
		}
	case integer:
		k.Kind = tune.Integer
	}
	switch b := s.Bounds; {
	case set.Range.Given || k.Kind == tune.Choice:
	case set.Knob == "cpu":
		k.Min, k.Max = b.MinCPU, b.MaxCPU
	case set.Knob == "memory":
		k.Min, k.Max = float64(b.MinMemory), float64(b.MaxMemory)
	case set.Knob == "replicas":
		k.Min, k.Max = float64(b.MinReplicas), float64(b.MaxReplicas)
	}
	if k.Kind != tune.Choice && !set.Range.Given && k.Min >= k.Max && !set.exact(s.Name) {
		return k, false, nil
	}
	defer func() {
		if set.OfDefault && k.Kind != tune.Choice {
			k.Min, k.Max = set.Range.Min*k.Default, set.Range.Max*k.Default
			if b := &s.Bounds; set.Knob == "cpu" {
				k.Min, k.Max = max(k.Min, b.MinCPU), min(k.Max, b.MaxCPU)
			}
			if k.Kind == tune.Integer {
				k.Min, k.Max = math.Ceil(k.Min), math.Floor(k.Max)
			}
		}
	}()
	if set.Default != "" {
		if v, serr := size(string(set.Default)); serr == nil && k.Kind != tune.Choice {
			k.Default = v
		} else if k.Default, err = k.Parse(string(set.Default)); err != nil {
			return k, false, err
		}
	} else {
		v, err := bench.Default(j.Blueprint, id, set.Knob)
		if err != nil {
			if !set.exact(s.Name) {
				return k, false, nil
			}
			return k, false, err
		}
		if k.Default = v; k.Kind == tune.Choice {
			if k.Default, err = k.Parse(strconv.FormatFloat(v, 'g', -1, 64)); err != nil {
				return k, false, fmt.Errorf("what it is set to now must be among the choices: %w", err)
			}
		}
	}
	k.Costs = slices.Contains(bench.Applied, set.Knob) || set.Knob == "cache"
	return k, true, nil
}

// numbers are choices that are all numbers and ascend; nil: they are not.
func numbers(choices []string) (out []float64) {
	for _, c := range choices {
		v, err := strconv.ParseFloat(c, 64)
		if err != nil || len(out) > 0 && v <= out[len(out)-1] {
			return nil
		}
		out = append(out, v)
	}
	return out
}

// costOf is what settings cost: the CPU and the memory of all replicas. It is asked very often.
func (j *Job) costOf() func(tune.Setting) float64 {
	app, f := j.Blueprint.App, &j.File.Cost
	const cpu, memory, replicas, cache = 0, 1, 2, 3
	first := make([][4]float64, len(app.Services))
	for i := range app.Services {
		a := &app.Services[i].Initial
		first[i] = [4]float64{a.CPU, float64(a.Memory), float64(a.Replicas), 0}
	}
	type turned struct {
		knob, service, what int
		less                float64
	}
	var all []turned
	for i := range j.Space.Knobs {
		k := &j.Space.Knobs[i]
		if !k.Costs {
			continue
		}
		service, name, _ := strings.Cut(k.Label, ":")
		id, _ := app.ServiceByName(service)
		t := turned{i, int(id), slices.Index([]string{"cpu", "memory", "replicas", "cache"}, name), 0}
		if t.what == cache {
			t.less = float64(bench.CacheOf(j.Blueprint, id))
		}
		all = append(all, t)
	}
	has := make([][4]float64, len(first))
	return func(v tune.Setting) float64 {
		copy(has, first)
		for _, t := range all {
			x := v[t.knob]
			if n := j.Space.Knobs[t.knob].Numbers; n != nil {
				x = n[int(x)]
			}
			has[t.service][t.what] = x - t.less
		}
		sum := 0.0
		for i := range has {
			h := &has[i]
			sum += h[replicas] * (f.Core*h[cpu] + f.GiB*(h[memory]+h[cache])/(1<<30))
		}
		return sum
	}
}

// templates reads the templates of files, and checks that each knob is applied by something.
func (j *Job) templates(dir string) error {
	var faults []error
	used := map[string]bool{}
	values := j.Texts(j.Space.Default())
	for _, f := range j.File.Files {
		path := cli.Relative(dir, f.Template)
		text, err := os.ReadFile(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("template: %w", err))
			continue
		}
		var asked []string
		note := func(label string) (string, error) {
			asked = append(asked, label)
			return bench.Functions(values)["knob"].(func(string) (string, error))(label)
		}
		t, err := template.New(filepath.Base(path)).Option("missingkey=error").Funcs(template.FuncMap{"knob": note}).Parse(string(text))
		if err == nil {
			err = t.Execute(&strings.Builder{}, nil)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("template %s: %w", path, err))
			continue
		}
		for _, label := range asked {
			used[label] = true
		}
		timeout := f.Timeout
		if timeout == 0 {
			timeout = commandTimeout
		}
		j.Templates = append(j.Templates, bench.Templated{Template: t, To: cli.Relative(dir, f.To), Reload: f.Reload, Timeout: timeout})
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for i := range j.Space.Knobs {
		label := j.Space.Knobs[i].Label
		_, name, _ := strings.Cut(label, ":")
		built := slices.Contains(slices.Concat(bench.Applied, bench.Started), name)
		if !built && !used[label] && !slices.ContainsFunc(j.Commands, func(c bench.Command) bool { return c.Label == label }) {
			faults = append(faults, fmt.Errorf("%s: nothing sets it: give it a command, or a template that asks for it with {{knob %q}}; Foresail itself sets %s", label, label,
				strings.Join(slices.Concat(bench.Applied, bench.Started), ", ")))
		}
	}
	return errors.Join(faults...)
}

// Texts are the values of a setting, by label.
func (j *Job) Texts(v tune.Setting) map[string]string {
	out := make(map[string]string, len(v))
	for i := range v {
		out[j.Space.Knobs[i].Label] = j.Space.Knobs[i].Text(v[i])
	}
	return out
}

// setting is what Texts wrote. Knobs that are missing or of another value are told.
func (j *Job) setting(texts map[string]string) (tune.Setting, error) {
	out := make(tune.Setting, len(j.Space.Knobs))
	var faults []error
	for i := range out {
		k := &j.Space.Knobs[i]
		text, ok := texts[k.Label]
		if !ok {
			faults = append(faults, fmt.Errorf("%s has no value", k.Label))
			continue
		}
		v, err := k.Parse(text)
		out[i] = v
		faults = append(faults, err)
	}
	if len(texts) != len(out) {
		faults = append(faults, fmt.Errorf("it has %d knobs, and %d are searched", len(texts), len(out)))
	}
	return out, errors.Join(faults...)
}

// hash is of all that a trial hangs on: trials of another file can't be gone on with.
func (j *Job) hash() (string, error) {
	f := j.File
	f.Note, f.Budget, f.Trials, f.Confirm, f.Methods, f.Picks, f.Seeds = "", 0, 0, 0, nil, nil, nil
	var knobs []string
	for i := range j.Space.Knobs {
		knobs = append(knobs, fmt.Sprintf("%+v", j.Space.Knobs[i]))
	}
	sort.Strings(knobs)
	b, err := json.Marshal(struct {
		File  File
		Knobs []string
		App   *foresail.Blueprint
	}{f, knobs, j.Blueprint})
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), err
}
