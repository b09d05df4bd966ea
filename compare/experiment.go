package compare

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/apps/random"
	"foresail.dev/plan/managers"
)

// Experiment is an experiment file, field by field; docs/formats/experiment.md says what each means.
type Experiment struct {
	Name         string        `yaml:"experiment" rule:"required"`
	Note         string        `yaml:"note"`
	Applications []Application `yaml:"applications" rule:"required"`
	Loads        []LoadRef     `yaml:"loads"` // of each application that lists none
	Managers     []Choice      `yaml:"managers" rule:"required"`
	Guarded      Guarding      `yaml:"guarded"`  // of each manager that does not say
	Foreseen     Guarding      `yaml:"foreseen"` // whether managers are wrapped by package seer, of each that does not say
	Foresee      Foresee       `yaml:"foresee"`
	Baseline     string        `yaml:"baseline"`
	Reference    string        `yaml:"reference"` // the manager that the others are compared with
	Cluster      string        `yaml:"cluster" rule:"oneof=sim|testbed"`
	Nodes        appfile.Nodes `yaml:"nodes"` // that replicas share; none: each has a machine for itself
	Seeds        []uint64      `yaml:"seeds" rule:"required"`
	Duration     time.Duration `yaml:"duration" rule:"required,min=1s,max=30d"` // judged, after the warm-up
	Warmup       time.Duration `yaml:"warmup" rule:"max=30d"`
	// Violations is the share of windows in violation up to which a manager counts as keeping its objectives.
	Violations    appfile.Share `yaml:"violations"`
	Tuning        *Tuning       `yaml:"tuning"`
	Training      *Training     `yaml:"training"`
	DecisionLimit time.Duration `yaml:"decision_limit" rule:"min=100ms,max=1h"` // of the wall clock

	dir string // that paths are relative to
}

// Application is one application of an experiment, and the loads that it is put under.
type Application struct {
	Application string    `yaml:"application"` // a built-in name, or a file relative to the experiment's
	Random      *Random   `yaml:"random"`      // instead: one that is drawn
	Loads       []LoadRef `yaml:"loads"`
	// These take the place of what the application says of every service; zero: they don't.
	Startup  time.Duration `yaml:"startup" rule:"max=1h"`
	Replicas Bounds        `yaml:"replicas"`                  // the bounds
	CPU      float64       `yaml:"cpu" rule:"min=0,max=1024"` // cores of a replica, which stay so
}

// Random is an application that is drawn; see package random. Its endpoints get the same share of a load without a mix.
type Random struct {
	Services int     `yaml:"services" rule:"required,min=4,max=10000"`
	Seed     uint64  `yaml:"seed" rule:"required"`
	Rate     float64 `yaml:"rate" rule:"above=0"` // requests/s that its initial allocation is for; 0: random's own
}

// Bounds are the least and the most replicas, like 1..8.
type Bounds struct{ Min, Max int }

// UnmarshalText reads them.
func (b *Bounds) UnmarshalText(text []byte) error {
	if n, err := fmt.Sscanf(string(text)+"\n", "%d..%d\n", &b.Min, &b.Max); n != 2 || err != nil || b.Min < 1 || b.Max < b.Min || b.Max > 10_000 {
		return fmt.Errorf("is %q, must be the least and the most replicas, like 1..8", text)
	}
	return nil
}

// read is the application's blueprint, with what the experiment says of all services.
func (a *Application) read(e *Experiment) (*foresail.Blueprint, error) {
	b, err := a.plain(e)
	if err != nil {
		return nil, err
	}
	for i := range b.Services {
		if a.Startup > 0 {
			b.Services[i].Start = a.Startup
		}
		svc := &b.App.Services[i]
		if a.CPU > 0 {
			svc.Bounds.MinCPU, svc.Bounds.MaxCPU, svc.Initial.CPU = a.CPU, a.CPU, a.CPU
		}
		if a.Replicas.Max > 0 {
			svc.Bounds.MinReplicas, svc.Bounds.MaxReplicas = a.Replicas.Min, a.Replicas.Max
			svc.Initial.Replicas = min(max(svc.Initial.Replicas, a.Replicas.Min), a.Replicas.Max)
		}
	}
	return b, nil
}

func (a *Application) plain(e *Experiment) (*foresail.Blueprint, error) {
	if r := a.Random; r != nil {
		return random.New(random.Config{Services: r.Services, Seed: r.Seed, Rate: r.Rate})
	}
	return appfile.ReadApp(e.file(a.Application))
}

// String is how the experiment names it.
func (a *Application) String() string {
	if r := a.Random; r != nil {
		return fmt.Sprintf("random %d/%d", r.Services, r.Seed)
	}
	return a.Application
}

// UnmarshalText takes the application's name or file alone.
func (a *Application) UnmarshalText(b []byte) error { a.Application = string(b); return nil }

// LoadRef is a load file, relative to the experiment's.
type LoadRef struct {
	Load string `yaml:"load" rule:"required"`
	As   string `yaml:"as"` // its name in the results; empty: the name that the file gives
	// Times make a load of each of these factors, which the file's curve is multiplied by: its name ends in "-" and the factor.
	Times []float64 `yaml:"times" rule:"above=0,max=10000000"`
	// Faults are what goes wrong in reported runs; what is random in it is drawn from the run's seed, so all managers meet
	// the same. Tuning and training know of none.
	Faults appfile.FaultSchedule `yaml:"faults"`
}

// UnmarshalText takes the file alone.
func (l *LoadRef) UnmarshalText(b []byte) error { l.Load = string(b); return nil }

// Choice is a manager of an experiment.
type Choice struct {
	Manager  string             `yaml:"manager" rule:"required"`
	As       string             `yaml:"as"`       // its name in the results; empty: the manager's
	Settings map[string]float64 `yaml:"settings"` // see managers.Params; what is left out keeps its default
	// Forecaster is the method that a manager which forecasts uses, by name; empty: its own.
	Forecaster string `yaml:"forecaster"`
	// Model is the file of the model that the manager decides with, relative to the experiment's; {application} in it stands for
	// the application's name. Empty: the one that Foresail brings along.
	Model   string   `yaml:"model"`
	Guarded Guarding `yaml:"guarded"`
	// Foreseen says whether violations that are foreseen are met before they start, whatever the manager does: see Experiment.Foresee.
	Foreseen Guarding      `yaml:"foreseen"`
	Tune     *bool         `yaml:"tune"`  // nil: where the experiment tunes and the manager has settings
	Train    time.Duration `yaml:"train"` // simulated on each training seed before the reported runs

	models     map[string]*managers.Model // what it decides with, by application; see Prepare
	foresees   bool                       // it is wrapped by package seer
	foresights map[string]*managers.Foresight
}

// UnmarshalText takes the manager's name alone.
func (c *Choice) UnmarshalText(b []byte) error { c.Manager = string(b); return nil }

// Label is the manager's name in the results.
func (c *Choice) Label() string {
	name := cmp.Or(c.As, c.Manager)
	if c.foresees {
		return foreseenAs(name)
	}
	return name
}

// allManagers stands for every manager there is, but those that decide with a model that was trained before.
const allManagers = "all"

// every are the managers that "all" stands for.
func every() []string { return slices.DeleteFunc(managers.Names(), managers.UsesModel) }

// Tuning says how settings are searched: for each application and manager, Trials settings (the first is the default) on
// each tuning seed and each load of the application.
type Tuning struct {
	Trials   int           `yaml:"trials" rule:"required,min=2,max=10000"`
	Seeds    []uint64      `yaml:"seeds" rule:"required"`
	Duration time.Duration `yaml:"duration" rule:"min=1s,max=30d"` // 0: the experiment's
}

// Training says what managers learn on before the reported runs.
type Training struct {
	Seeds []uint64 `yaml:"seeds" rule:"required"`
}

// Guarding says whether a manager runs bare, in the guard, or once each way.
type Guarding uint8

// The ways to run a manager.
const (
	guardUnsaid Guarding = iota
	Bare
	Guarded
	Both
)

// UnmarshalText reads true, false or both.
func (g *Guarding) UnmarshalText(b []byte) error {
	i := slices.Index([]string{"false", "true", "both"}, string(b))
	if i < 0 {
		return fmt.Errorf("is %q, must be true, false or both", b)
	}
	*g = Bare + Guarding(i)
	return nil
}

// ways are the values of "guarded" that g stands for.
func (g Guarding) ways() []bool {
	switch g {
	case Guarded:
		return []bool{true}
	case Both:
		return []bool{false, true}
	}
	return []bool{false}
}

// Defaults of an Experiment.
const (
	DefaultBaseline      = "hpa"
	DefaultReference     = "autoscale-cons"
	DefaultViolations    = 0.01
	DefaultDecisionLimit = 10 * time.Second
)

// Read reads an experiment file; the error tells every fault of it at once. What it names is read by Prepare.
func Read(path string) (*Experiment, error) {
	e := defaults()
	e.dir = filepath.Dir(path)
	if err := appfile.ReadFile(path, e); err != nil {
		return nil, err
	}
	e.fill()
	return e, nil
}

func defaults() *Experiment {
	return &Experiment{Cluster: simulatedCluster, Baseline: DefaultBaseline, Violations: DefaultViolations, DecisionLimit: DefaultDecisionLimit}
}

// fill puts every manager in the place of "all", and what is said for all in each.
func (e *Experiment) fill() {
	var list []Choice
	for _, c := range e.Managers {
		if c.Manager != allManagers {
			list = append(list, e.foreseen(c)...)
			continue
		}
		for _, name := range every() {
			c.Manager = name
			list = append(list, e.foreseen(c)...)
		}
	}
	e.Managers = list
	for i := range e.Managers {
		c := &e.Managers[i]
		if c.Guarded == guardUnsaid {
			c.Guarded = e.Guarded
		}
		c.choose()
	}
	for i := range e.Applications {
		if len(e.Applications[i].Loads) == 0 {
			e.Applications[i].Loads = e.Loads
		}
	}
	if e.Tuning != nil && e.Tuning.Duration == 0 {
		e.Tuning.Duration = e.Duration
	}
	if e.Reference == "" {
		e.Reference = e.Managers[0].Label()
		if slices.ContainsFunc(e.Managers, func(c Choice) bool { return c.Label() == DefaultReference }) {
			e.Reference = DefaultReference
		}
	}
}

// choose turns the forecaster's name into the setting that it is.
func (c *Choice) choose() {
	if i := slices.Index(c.forecasters(), c.Forecaster); i >= 0 {
		c.Settings = maps.Clone(c.Settings)
		if c.Settings == nil {
			c.Settings = map[string]float64{}
		}
		c.Settings["forecaster"] = float64(i)
	}
}

// forecasters are those that the manager may use; none where it does not forecast.
func (c *Choice) forecasters() []string {
	for _, p := range managers.Params(c.Manager) {
		if p.Name == "forecaster" {
			return p.Choices
		}
	}
	return nil
}

// tuned reports whether a manager's settings are searched.
func (e *Experiment) tuned(c *Choice) bool {
	if e.Tuning == nil || c.Tune != nil && !*c.Tune {
		return false
	}
	return len(free(c)) > 0
}

// free are the settings of a manager that the experiment leaves open to tuning.
func free(c *Choice) []managers.Param {
	return slices.DeleteFunc(managers.Params(c.Manager), func(p managers.Param) bool {
		_, given := c.Settings[p.Name]
		return given || p.Fixed
	})
}

// known lists names for messages.
func known(names []string) string { return strings.Join(names, ", ") }
