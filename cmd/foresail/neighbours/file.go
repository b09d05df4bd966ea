package neighbours

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/resource"
	"foresail.dev/telemetry/agent/probe"
)

// Kind is what a neighbour takes.
type Kind string

// The kinds.
const (
	None   Kind = "none" // there is no neighbour: nothing is to be named
	CPU    Kind = "cpu"
	Memory Kind = "memory"
	Disk   Kind = "disk"
)

// kinds say what each neighbour does, and what may be named for it.
var kinds = map[Kind]struct {
	load  probe.Resource
	names []resource.Resource
}{
	None: {},
	CPU:  {probe.IntegerCore, []resource.Resource{resource.CPU}},
	// Who copies memory throws caches out as well. Which of both a service lacks is the machine's matter, and it is as well named by either.
	Memory: {probe.MemoryBandwidth, []resource.Resource{resource.MemoryBandwidth, resource.Cache}},
	Disk:   {probe.Disk, []resource.Resource{resource.Disk}},
}

// File is an experiment, see docs/formats/neighbours.md.
type File struct {
	Application string        `yaml:"application" rule:"required"`
	Load        string        `yaml:"load" rule:"required"`
	Seed        uint64        `yaml:"seed"`
	Runs        int           `yaml:"runs" rule:"required,min=1,max=1000"` // of each case
	Warm        time.Duration `yaml:"warm" rule:"min=0s,max=10m"`          // before the first run
	Well        time.Duration `yaml:"well" rule:"required,min=3s,max=10m"` // without the neighbour
	Ill         time.Duration `yaml:"ill" rule:"required,min=2s,max=1m"`   // with it
	Settle      time.Duration `yaml:"settle" rule:"min=0s,max=1m"`         // after either, and counted to neither
	Cases       []Case        `yaml:"cases" rule:"required"`

	Blueprint *foresail.Blueprint `yaml:"-"`
	Users     *load.Load          `yaml:"-"`
}

// Case is a neighbour beside a service.
type Case struct {
	Neighbour Kind   `yaml:"neighbour"`
	Beside    string `yaml:"beside"` // the service; with none: on whose CPU gauges are
}

// Read reads an experiment and what it names. Everything that is wrong is told at once.
func Read(path string) (*File, error) {
	var f File
	if err := appfile.ReadFile(path, &f); err != nil {
		return nil, err
	}
	var err, errLoad error
	if strings.HasSuffix(f.Application, ".yaml") { // else it is the name of a built-in one
		f.Application = cli.Relative(filepath.Dir(path), f.Application)
	}
	f.Blueprint, err = appfile.ReadApp(f.Application)
	if err == nil {
		f.Users, errLoad = appfile.ReadLoad(cli.Relative(filepath.Dir(path), f.Load), f.Blueprint.App)
	}
	errs := []error{err, errLoad}
	for i, c := range f.Cases {
		if _, ok := kinds[c.Neighbour]; !ok {
			errs = append(errs, fmt.Errorf("%s: cases[%d].neighbour: %q is no kind; known: none, cpu, memory, disk", path, i, c.Neighbour))
		}
		if err != nil {
			continue
		}
		if _, ok := f.Blueprint.App.ServiceByName(c.Beside); !ok {
			errs = append(errs, fmt.Errorf("%s: cases[%d].beside: %s has no service %q; it has %s", path, i, f.Blueprint.App.Name, c.Beside, strings.Join(names(f.Blueprint.App), ", ")))
		}
	}
	return &f, errors.Join(errs...)
}

func names(app *foresail.App) (out []string) {
	for i := range app.Services {
		out = append(out, app.Services[i].Name)
	}
	slices.Sort(out)
	return out
}
