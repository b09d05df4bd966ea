package fault

import (
	"slices"
	"time"

	"foresail.dev"
)

// World is what faults are aimed at: the application over the time of a run, and where it runs.
type World struct {
	Versions []Version     // in the order of time, the first from the start on
	Nodes    []string      // names; empty: nodes are not told apart
	Duration time.Duration // of the run; 0: for ever
}

// Version is the application from an instant on.
type Version struct {
	At        time.Duration
	Blueprint *foresail.Blueprint
}

// during lists the versions that are in effect at some instant of a fault.
func (w *World) during(f *Fault) []Version {
	var out []Version
	for i, v := range w.Versions {
		v.At = max(v.At, 0)
		while := Fault{At: v.At}
		if i+1 < len(w.Versions) {
			if while.For = w.Versions[i+1].At - v.At; while.For <= 0 {
				continue // replaced at once
			}
		}
		if while.together(f) {
			out = append(out, v)
		}
	}
	return out
}

// service finds one that is there.
func (v *Version) service(name string) (foresail.ServiceID, bool) {
	id, ok := v.Blueprint.App.ServiceByName(name)
	if !ok || v.Blueprint.App.Services[id].Gone || int(id) >= len(v.Blueprint.Services) {
		return 0, false
	}
	return id, true
}

// names lists the services that are there.
func (v *Version) names() []string {
	var out []string
	for i := range v.Blueprint.App.Services {
		if s := &v.Blueprint.App.Services[i]; !s.Gone {
			out = append(out, s.Name)
		}
	}
	return out
}

// callees lists whom a service calls, each once, ascending.
func (v *Version) callees(id foresail.ServiceID) []foresail.ServiceID {
	var out []foresail.ServiceID
	v.steps(id, func(s *foresail.Step) {
		for i := range s.Calls {
			out = append(out, s.Calls[i].Target.Service)
		}
	})
	slices.Sort(out)
	return slices.Compact(out)
}

// usesDisk reports whether a service has disk I/O to do.
func (v *Version) usesDisk(id foresail.ServiceID) (any bool) {
	v.steps(id, func(s *foresail.Step) { any = any || s.Work.IO.Mean > 0 })
	return any
}

// steps calls f with each step of a service, those after cache misses included.
func (v *Version) steps(id foresail.ServiceID, f func(*foresail.Step)) {
	var walk func([]foresail.Step)
	walk = func(steps []foresail.Step) {
		for i := range steps {
			f(&steps[i])
			for k := range steps[i].Calls {
				walk(steps[i].Calls[k].Miss)
			}
		}
	}
	for i := range v.Blueprint.Services[id].Operations {
		walk(v.Blueprint.Services[id].Operations[i].Steps)
	}
}
