package acting

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/compare"
	"foresail.dev/fault"
	"foresail.dev/plan/managers"
)

// File says what is simulated, who manages, and what foresees.
type File struct {
	Application string          `yaml:"application" rule:"required"`
	Managers    []string        `yaml:"managers" rule:"required"`
	Guarded     bool            `yaml:"guarded"`
	Baseline    string          `yaml:"baseline"` // of the guard; absent: hpa
	Low         float64         `yaml:"low" rule:"required,min=0.1,max=1000000"`
	High        float64         `yaml:"high" rule:"required,min=0.1,max=1000000"`
	Runs        int             `yaml:"runs" rule:"required,min=1,max=100000"`
	Calm        int             `yaml:"calm" rule:"min=0,max=100000"` // runs more, in which nothing goes wrong
	Each        time.Duration   `yaml:"each" rule:"required,min=1m,max=24h"`
	Seed        uint64          `yaml:"seed" rule:"required"` // of the first run; the next have the next
	Causes      []string        `yaml:"causes"`               // kinds of faults; absent: those of foresail train seer
	Foresee     compare.Foresee `yaml:"foresee"`
}

// kinds are those that can be drawn, by name.
func kinds() map[string]fault.Kind {
	out := map[string]fault.Kind{}
	for _, k := range append(slices.Clone(seeing.Usual), fault.CacheContention, fault.MemoryContention, fault.NetworkContention, fault.DiskContention) {
		out[k.String()] = k
	}
	return out
}

// Check tells what fields alone can't.
func (f *File) Check(at appfile.Place) {
	if f.Low > f.High && f.High > 0 {
		at.At("low").Faultf("is %v, and high %v: give the lower first", f.Low, f.High)
	}
	known := kinds()
	for i, c := range f.Causes {
		if _, ok := known[c]; !ok {
			at.At("causes", i).Faultf("is %q, which is not drawn here: use %s", c, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		}
	}
	for i, m := range f.Managers {
		if !slices.Contains(managers.Names(), m) {
			at.At("managers", i).Faultf("is %q, which is no manager: use %s", m, strings.Join(managers.Names(), ", "))
		}
	}
	if f.Baseline != "" && !slices.Contains(managers.Names(), f.Baseline) {
		at.At("baseline").Faultf("is %q, which is no manager: use hpa, autoscale-cons or autoscale-opt", f.Baseline)
	}
	if most := float64(math.MaxUint64) / 2; float64(f.Seed) > most {
		at.At("seed").Faultf("is %d, must be at most %.0f: the runs after the first have the next", f.Seed, most)
	}
}

// Read reads a file; the error tells every fault of it at once, and is one of usage.
func Read(path string) (*File, error) {
	f := &File{Baseline: "hpa"}
	if err := appfile.ReadFile(path, f); err != nil {
		return nil, cli.Usage(err)
	}
	dir := filepath.Dir(path)
	if f.Foresee.Model != "" {
		f.Foresee.Model = cli.Relative(dir, f.Foresee.Model)
	}
	if strings.ContainsAny(f.Application, "/.") {
		f.Application = cli.Relative(dir, f.Application)
	}
	return f, nil
}

// causes are the kinds of faults that are drawn.
func (f *File) causes() []fault.Kind {
	if len(f.Causes) == 0 {
		return seeing.Usual
	}
	known, out := kinds(), []fault.Kind{}
	for _, c := range f.Causes {
		out = append(out, known[c])
	}
	return out
}
