package tuning

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
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/load"
	"foresail.dev/model/tune"
)

// File says what is tuned, and how; see docs/formats/tune.md.
type File struct {
	Application string                      `yaml:"application" rule:"required"`
	Cluster     string                      `yaml:"cluster" rule:"oneof=sim|testbed"`
	Load        string                      `yaml:"load"`
	Rate        float64                     `yaml:"rate" rule:"min=0"`
	Mix         appfile.OrderedMap[float64] `yaml:"mix"`
	Objective   objective                   `yaml:"objective" rule:"required"`
	Cost        cost                        `yaml:"cost"`
	Knobs       []knobSet                   `yaml:"knobs" rule:"required"`
	Files       []templated                 `yaml:"files"`
	Health      health                      `yaml:"health"`

	Trials  int           `yaml:"trials" rule:"min=2,max=10000"`
	Initial int           `yaml:"initial" rule:"min=1,max=10000"`
	Confirm int           `yaml:"confirm" rule:"min=1,max=100"`
	Budget  time.Duration `yaml:"time_budget" rule:"min=0s"`
	Methods []string      `yaml:"methods"`
	Picks   []string      `yaml:"optimisers"`
	Seeds   []uint64      `yaml:"seeds"`

	Candidates  int           `yaml:"candidates" rule:"min=1,max=10000000"`
	Evaluations int           `yaml:"evaluations" rule:"min=1,max=1000"`
	Percentiles []float64     `yaml:"service_percentiles" rule:"above=0,max=99.9"`
	Settle      time.Duration `yaml:"settle" rule:"min=1s,max=1h"`
	Warmup      time.Duration `yaml:"warmup" rule:"min=0s,max=1h"`
	Duration    time.Duration `yaml:"duration" rule:"min=1s,max=24h"`
	Errors      appfile.Share `yaml:"errors"`
	Silent      time.Duration `yaml:"silent" rule:"min=1s,max=1h"`
	Note        string        `yaml:"note"`
}

type objective struct {
	Endpoint   string  `yaml:"endpoint" rule:"required"`
	Percentile float64 `yaml:"percentile" rule:"above=0,max=99.9"`
}

type cost struct {
	Core      float64       `yaml:"core" rule:"min=0"`
	GiB       float64       `yaml:"gib" rule:"min=0"`
	Most      float64       `yaml:"at_most" rule:"min=0"`
	OfDefault float64       `yaml:"of_default" rule:"min=0,max=1000"`
	Weight    time.Duration `yaml:"weigh" rule:"min=0s"`
}

type health struct {
	Command []string      `yaml:"command"`
	Timeout time.Duration `yaml:"timeout" rule:"above=0s"`
	Every   time.Duration `yaml:"every" rule:"above=0s"`
}

type knobSet struct {
	Services  []string      `yaml:"services" rule:"required"`
	Knob      string        `yaml:"knob" rule:"required"`
	Range     span          `yaml:"range"`
	OfDefault bool          `yaml:"of_default"`
	Scale     string        `yaml:"scale" rule:"oneof=linear|log"`
	Integer   bool          `yaml:"integer"`
	Choices   []word        `yaml:"choices"`
	Default   word          `yaml:"default"`
	Unit      string        `yaml:"unit"`
	Command   []string      `yaml:"command"`
	Timeout   time.Duration `yaml:"timeout" rule:"min=0s"`
}

type templated struct {
	Template string        `yaml:"template" rule:"required"`
	To       string        `yaml:"to" rule:"required"`
	Reload   []string      `yaml:"reload"`
	Timeout  time.Duration `yaml:"timeout" rule:"min=0s"`
}

// span is a range of numbers or sizes: "0.1..4", "64MiB..1GiB".
type span struct {
	Given    bool
	Min, Max float64
}

// word is a text or a number, as it is written.
type word string

// UnmarshalText reads it.
func (w *word) UnmarshalText(text []byte) error {
	*w = word(text)
	return nil
}

// UnmarshalText reads a range.
func (s *span) UnmarshalText(text []byte) error {
	low, high, ok := strings.Cut(string(text), "..")
	min, err1 := size(low)
	max, err2 := size(high)
	if !ok || err1 != nil || err2 != nil || !(min <= max) {
		return fmt.Errorf("is %q: give the least and the most, as in 0.1..4 or 64MiB..1GiB", text)
	}
	*s = span{true, min, max}
	return nil
}

func size(text string) (float64, error) {
	text = strings.TrimSpace(text)
	if v, err := strconv.ParseFloat(text, 64); err == nil {
		if v-v != 0 {
			return 0, fmt.Errorf("%q is no number that can be used", text)
		}
		return v, nil
	}
	var b appfile.Bytes
	err := b.UnmarshalText([]byte(text))
	return float64(b), err
}

// Check asks for names that there are.
func (f *File) Check(at appfile.Place) {
	known := func(field string, list []string, all []string) {
		for i, name := range list {
			if !slices.Contains(all, name) {
				at.At(field, i).Faultf("is %q; there are %s", name, strings.Join(all, ", "))
			} else if slices.Index(list, name) < i {
				at.At(field, i).Faultf("is %q, as another is", name)
			}
		}
	}
	known("methods", f.Methods, texts(tune.Models))
	known("optimisers", f.Picks, texts(tune.Optimisers))
	for i, s := range f.Seeds {
		if slices.Index(f.Seeds, s) < i {
			at.At("seeds", i).Faultf("is %d, as another is", s)
		}
	}
	if (f.Load == "") == (f.Rate == 0) {
		at.At("load").Faultf("or rate: give one of them, a load file or requests a second")
	}
	if f.Load != "" && len(f.Mix) > 0 {
		at.At("mix").Faultf("is the load file's to say: leave it out")
	}
	if f.Initial > f.Trials {
		at.At("initial").Faultf("is %d: of %d trials, so many can't be the initial ones", f.Initial, f.Trials)
	}
	if f.Cost.Most > 0 && f.Cost.OfDefault > 0 {
		at.At("cost").Faultf("has at_most and of_default: give one of them")
	}
	for i := range f.Knobs {
		f.Knobs[i].check(at.At("knobs", i))
	}
}

func (k *knobSet) check(at appfile.Place) {
	built := slices.Concat(bench.Applied, bench.Started)
	if len(k.Command) > 0 && slices.Contains(built, k.Knob) {
		at.At("command").Faultf("is given for %s, which Foresail sets itself: leave it out, or name the knob otherwise", k.Knob)
	}
	if strings.ContainsAny(k.Knob, ":#= ") {
		at.At("knob").Faultf("is %q: a knob's name has no space, colon, # or =", k.Knob)
	}
	if k.Range.Given && len(k.Choices) > 0 {
		at.At("choices").Faultf("beside a range: give one of them")
	}
	if !k.Range.Given && len(k.Choices) == 0 && !slices.Contains(bench.Applied, k.Knob) {
		at.At("range").Faultf("is not given, nor are choices: what can %s be set to?", k.Knob)
	}
	if k.OfDefault && (!k.Range.Given || !(k.Range.Min > 0)) {
		at.At("of_default").Faultf("is for a range of factors, above 0, of what is set to now")
	}
	if k.Scale == "log" && k.Range.Given && !(k.Range.Min > 0) {
		at.At("scale").Faultf("is log: the range must begin above 0")
	}
	if !slices.Contains(built, k.Knob) && k.Default == "" {
		at.At("default").Faultf("is not given: what is %s set to before?", k.Knob)
	}
	for i, c := range k.Choices {
		if slices.Index(k.Choices, c) < i || c == "" {
			at.At("choices", i).Faultf("is %q: each must be there once, and not be empty", c)
		}
	}
}

func texts[T ~string](list []T) (out []string) {
	for _, v := range list {
		out = append(out, string(v))
	}
	return out
}

// Job is a file with all that it names.
type Job struct {
	File      File
	Hash      string // of what trials hang on
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Endpoint  foresail.EndpointID
	Space     tune.Space
	Commands  []bench.Command
	Templates []bench.Templated
}

// Read reads a file and what it names; the error tells all that is wrong.
func Read(path string) (*Job, error) {
	f := File{Cluster: "sim", Trials: 60, Initial: 20, Confirm: 5, Candidates: 100_000, Evaluations: 4,
		Settle: time.Minute, Warmup: 10 * time.Second, Duration: 30 * time.Second, Errors: 0.2, Silent: 10 * time.Second,
		Objective: objective{Percentile: 90}, Cost: cost{Core: 1}, Health: health{Timeout: 5 * time.Second, Every: 5 * time.Second}}
	if err := appfile.ReadFile(path, &f); err != nil {
		return nil, err
	}
	fill(&f.Methods, string(tune.Composed))
	fill(&f.Picks, string(tune.Bayesian))
	fill(&f.Seeds, 1)
	fill(&f.Percentiles, 50, 90)
	dir := filepath.Dir(path)
	name := f.Application
	if strings.ContainsAny(name, "/.") {
		name = cli.Relative(dir, name)
	}
	j := &Job{File: f}
	var err error
	if j.Blueprint, err = appfile.ReadApp(name); err != nil {
		return nil, err
	}
	var faults []error
	fault := func(err error, where string) {
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %s: %w", path, where, err))
		}
	}
	app := j.Blueprint.App
	id, ok := app.EndpointByName(f.Objective.Endpoint)
	if !ok {
		fault(fmt.Errorf("%q is no endpoint of %s", f.Objective.Endpoint, app.Name), "objective.endpoint")
	}
	j.Endpoint = id
	j.Load, err = f.load(dir, app)
	fault(err, "load")
	fault(j.knobs(dir), "knobs")
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	j.Hash, err = j.hash()
	return j, err
}

func fill[T any](list *[]T, with ...T) {
	if len(*list) == 0 {
		*list = with
	}
}

func (f *File) load(dir string, app *foresail.App) (*load.Load, error) {
	if f.Load != "" {
		return appfile.ReadLoad(cli.Relative(dir, f.Load), app)
	}
	l := &load.Load{Name: fmt.Sprintf("%g requests/s", f.Rate), Curve: []load.Segment{{From: f.Rate}}}
	if len(f.Mix) == 0 {
		return l, nil
	}
	shares := make([]float64, len(app.Endpoints))
	for _, e := range f.Mix {
		id, ok := app.EndpointByName(e.Key)
		if !ok {
			return nil, fmt.Errorf("mix: %q is no endpoint of %s", e.Key, app.Name)
		}
		if !(e.Value > 0) {
			return nil, fmt.Errorf("mix: the share of %s is %v: give one above 0, or leave it out", e.Key, e.Value)
		}
		shares[id] = e.Value
	}
	l.Mix = []load.MixPoint{{Shares: shares}}
	return l, nil
}
