package twin

import (
	"errors"
	"fmt"
	"slices"

	"foresail.dev"
)

// Fit makes a blueprint of what was observed. It tells everything at once that is in the way: what is missing, services
// that are not known, services and endpoints of which nothing was seen. The same input gives the same blueprint.
func Fit(in Input) (*foresail.Blueprint, *Report, error) {
	if err := in.validate(); err != nil {
		return nil, nil, err
	}
	f := grow(&in)
	if err := f.complete(); err != nil {
		return nil, nil, err
	}
	report := &Report{Skipped: f.skipped}
	for _, o := range f.ops {
		used := calm(o.clean, throttled(in.Snapshots, o.service))
		v := count(used)
		o.layout = v.lay()
		o.measure(used)
		for _, x := range used {
			o.calls += float64(len(x.calls)) / float64(len(used))
		}
		report.Unclean += len(o.visits) - len(o.clean)
		report.Operations = append(report.Operations, OperationReport{Service: in.App.Services[o.service].Name, Operation: o.name,
			Visits: len(used), Own: o.own, Shapes: shapes(used)})
	}
	b := f.bin(in.Snapshots)
	for id := range in.App.Services {
		f.solveCPU(b, in.Snapshots, foresail.ServiceID(id), f.of(foresail.ServiceID(id)))
	}
	for i, o := range f.ops {
		report.Operations[i].CPU = o.cpu
	}
	return f.build(&in, b), report, nil
}

// of are the operations of a service.
func (f *forest) of(id foresail.ServiceID) (out []int) {
	for i, o := range f.ops {
		if o.service == id {
			out = append(out, i)
		}
	}
	return out
}

// complete tells of what was not seen, or not often enough.
func (f *forest) complete() error {
	var errs []error
	for id := range f.app.Services {
		if len(f.of(foresail.ServiceID(id))) == 0 {
			errs = append(errs, fmt.Errorf("twin: service %s never ran: no server span is its; run a load that reaches it, or take it out of the application file",
				f.app.Services[id].Name))
		}
	}
	for _, o := range f.ops {
		if len(o.clean) < MinVisits {
			errs = append(errs, fmt.Errorf("twin: %s.%s: %d complete visits without a failure (of %d): at least %d are needed; run longer, or trace more of the requests",
				f.app.Services[o.service].Name, o.name, len(o.clean), len(o.visits), MinVisits))
		}
	}
	for _, e := range f.app.Endpoints {
		if _, ok := f.entry(&e); !ok {
			errs = append(errs, fmt.Errorf("twin: endpoint %s was never called: no server span of %s is named %q",
				e.Name, f.app.Services[e.Entry].Name, e.Operation))
		}
	}
	return errors.Join(errs...)
}

func (f *forest) entry(e *foresail.Endpoint) (int, bool) {
	i, ok := f.index[fmt.Sprint(e.Entry, " ", e.Operation)]
	return i, ok
}

// shapes counts the different sets of calls.
func shapes(visits []*visit) int {
	seen := map[string]bool{}
	for _, v := range visits {
		var slots []int
		for i := range v.calls {
			slots = append(slots, v.calls[i].slot)
		}
		slices.Sort(slots)
		seen[fmt.Sprint(slots)] = true
	}
	return len(seen)
}
