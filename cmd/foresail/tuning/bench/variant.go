package bench

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"foresail.dev"
)

// What foresail.Cluster is asked for while an application runs, and what its processes are told when they start.
var (
	Applied = []string{"cpu", "memory", "replicas"}
	Started = []string{"workers", "queue", "pool", "cache", "procs", "gc_percent"}
	Real    = []string{"procs", "gc_percent"} // of Started, those that real processes alone have
)

// variant is what the processes of an application are told when they start, by label.
type variant map[string]string

// split sorts values into what must be known at a start and what a plan asks for.
func (b *Bench) split(values map[string]string) (variant, *foresail.Plan, error) {
	v, app := variant{}, b.cfg.Blueprint.App
	plan := &foresail.Plan{Manager: "tune"}
	var faults []error
	for i := range app.Services {
		s := &app.Services[i]
		to, any := s.Initial, false
		for _, name := range Applied {
			text, ok := values[s.Name+":"+name]
			if !ok {
				continue
			}
			x, err := strconv.ParseFloat(text, 64)
			faults = append(faults, err)
			any = true
			switch name {
			case "cpu":
				to.CPU = x
			case "memory":
				to.Memory = int64(x)
			case "replicas":
				to.Replicas = int(x)
			}
		}
		for _, name := range Started {
			if text, ok := values[s.Name+":"+name]; ok {
				if _, err := strconv.ParseFloat(text, 64); err != nil {
					faults = append(faults, err)
				}
				v[s.Name+":"+name] = text
			}
		}
		if any {
			plan.Changes = append(plan.Changes, foresail.Change{Service: foresail.ServiceID(i), To: to,
				Reason: foresail.Reason{Rule: "tune/trial", Text: "a setting is tried"}})
		}
	}
	return v, plan, errors.Join(faults...)
}

// of is an application whose processes are told so, and what of it is no part of a blueprint.
func (v variant) of(bp *foresail.Blueprint) (*foresail.Blueprint, map[foresail.ServiceID]Process) {
	out := *bp
	out.Services = slices.Clone(bp.Services)
	processes := map[foresail.ServiceID]Process{}
	for i := range out.Services {
		id, name := foresail.ServiceID(i), bp.App.Services[i].Name
		for _, k := range Started {
			text, ok := v[name+":"+k]
			if !ok {
				continue
			}
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				continue // split has told
			}
			s, p := &out.Services[i], processes[id]
			switch k {
			case "workers":
				s.Workers = int(x)
			case "queue":
				s.Queue = int(x)
			case "pool":
				s.Pool = int(x)
			case "cache":
				cached(&out, id, x/float64(CacheOf(bp, id)))
			case "procs":
				p.Procs = int(x)
			case "gc_percent":
				p.GCPercent = int(x)
			}
			if p != (Process{}) {
				processes[id] = p
			}
		}
	}
	return &out, processes
}

// CacheOf is the memory that a cache has for what it keeps, as its application file has it: what it starts with, without what it
// needs when it is idle. 0: the service is no cache.
func CacheOf(bp *foresail.Blueprint, id foresail.ServiceID) int64 {
	is := false
	for i := range bp.Services {
		for _, op := range bp.Services[i].Operations {
			each(op.Steps, func(c *foresail.Call) { is = is || c.Cached && c.Target.Service == id })
		}
	}
	if !is {
		return 0
	}
	return max(bp.App.Services[id].Initial.Memory-bp.Services[id].BaseMemory, 0)
}

func each(steps []foresail.Step, visit func(*foresail.Call)) {
	for i := range steps {
		for k := range steps[i].Calls {
			visit(&steps[i].Calls[k])
			each(steps[i].Calls[k].Miss, visit)
		}
	}
}

// cached makes a cache so many times as large. Of items whose popularity falls as Zipf's law has it, with an exponent below 1, the
// share of misses falls with a power of the size; its exponent here is the square root's.
func cached(bp *foresail.Blueprint, id foresail.ServiceID, times float64) {
	var copied func(steps []foresail.Step) []foresail.Step
	copied = func(steps []foresail.Step) []foresail.Step {
		steps = slices.Clone(steps)
		for i := range steps {
			steps[i].Calls = slices.Clone(steps[i].Calls)
			for k := range steps[i].Calls {
				c := &steps[i].Calls[k]
				c.Miss = copied(c.Miss)
				if c.Cached && c.Target.Service == id {
					c.Hit = 1 - math.Min((1-c.Hit)/math.Sqrt(times), 1)
				}
			}
		}
		return steps
	}
	for i := range bp.Services {
		s := &bp.Services[i]
		s.Operations = slices.Clone(s.Operations)
		for k := range s.Operations {
			s.Operations[k].Steps = copied(s.Operations[k].Steps)
		}
	}
}

// Default is what a service has of a knob as its application file says; the error says where there is none.
func Default(bp *foresail.Blueprint, id foresail.ServiceID, knob string) (float64, error) {
	a, s := &bp.App.Services[id], &bp.Services[id]
	switch knob {
	case "cpu":
		return a.Initial.CPU, nil
	case "memory":
		if a.Initial.Memory == 0 {
			return 0, fmt.Errorf("%s has no limit of memory", a.Name)
		}
		return float64(a.Initial.Memory), nil
	case "replicas":
		return float64(a.Initial.Replicas), nil
	case "workers":
		return float64(s.Workers), nil
	case "queue":
		return float64(s.Queue), nil
	case "pool":
		return float64(s.Pool), nil
	case "cache":
		if c := CacheOf(bp, id); c > 0 {
			return float64(c), nil
		}
		return 0, fmt.Errorf("%s is no cache: nobody's calls to it have a hit", a.Name)
	case "procs":
		return 16, nil
	case "gc_percent":
		return 400, nil
	}
	return 0, fmt.Errorf("%s has no default that is known: give one (default)", strings.TrimSpace(knob))
}
