package sequence

import (
	"fmt"
	"slices"
	"time"

	"foresail.dev"
)

// utilisation is how much of a CPU limit of 1, as knobs count, is used at a step's load in the middle, where the knobs do no harm.
const utilisation = 0.43

// queue is how many requests wait for a worker of an instance at most: so many that none is refused.
const queue = 1 << 16

// Deployment is an application as one step has it: how many instances of each service, and of which kind.
type Deployment struct {
	bp        *foresail.Blueprint
	Kinds     []string // by service
	Instances []int    // by service; 0: nothing is asked of it
	nominal   []float64
	front     foresail.ServiceID
	mix       []foresail.EndpointID // the endpoints that are asked at all
}

// demand is the cores that each service takes at a load of one request a second in the given shares of endpoints.
func demand(bp *foresail.Blueprint, shares []float64) []float64 {
	out := make([]float64, len(bp.Services))
	var visit func(t foresail.Target, rate float64)
	var steps func(s foresail.ServiceID, all []foresail.Step, rate float64)
	steps = func(s foresail.ServiceID, all []foresail.Step, rate float64) {
		for i := range all {
			out[s] += rate * all[i].Work.CPU.Mean
			for k := range all[i].Calls {
				c := &all[i].Calls[k]
				n := rate * c.Probability * float64(max(c.Repeat, 1))
				visit(c.Target, n)
				if c.Cached {
					steps(s, c.Miss, n*(1-c.Hit))
				}
			}
		}
	}
	visit = func(t foresail.Target, rate float64) {
		if rate > 1e-9 {
			steps(t.Service, bp.Services[t.Service].Operations[t.Operation].Steps, rate)
		}
	}
	for e, share := range shares {
		visit(bp.Entries[e], share)
	}
	return out
}

// split gives some services a database of their own: what their operations wait for a disk becomes a call. It changes bp, which must
// be the caller's alone. The databases are called PREFIX-NAME.
func split(bp *foresail.Blueprint, prefix string, names []string) error {
	for _, name := range names {
		s, ok := bp.App.ServiceByName(name)
		if !ok {
			return fmt.Errorf("gets a database, and the application has no service %q", name)
		}
		id := foresail.ServiceID(len(bp.Services))
		db := foresail.ServiceBlueprint{}
		for k := range bp.Services[s].Operations {
			op := &bp.Services[s].Operations[k]
			op.Steps = slices.Clone(op.Steps)
			for i := 0; i < len(op.Steps); i++ {
				w := op.Steps[i].Work
				if w.IO.Mean == 0 {
					continue
				}
				ask := foresail.Operation{Name: fmt.Sprintf("%s-%d", op.Name, i), Request: 256, Response: 1024,
					Steps: []foresail.Step{{Work: foresail.Demand{CPU: foresail.Dist{Shape: foresail.LogNormal, Mean: 400e-6, CV: 0.5}, IO: w.IO, Read: w.Read, Write: w.Write}}}}
				if d := &ask.Steps[0].Work; d.Read+d.Write == 0 {
					d.Read = 4096
				}
				call := foresail.Call{Target: foresail.Target{Service: id, Operation: len(db.Operations)}, Probability: 1, Repeat: 1}
				db.Operations = append(db.Operations, ask)
				after := foresail.Step{Calls: op.Steps[i].Calls}
				op.Steps[i].Work.IO, op.Steps[i].Work.Read, op.Steps[i].Work.Write = foresail.Dist{}, 0, 0
				op.Steps[i].Calls = []foresail.Call{call}
				if len(after.Calls) > 0 {
					op.Steps = slices.Insert(op.Steps, i+1, after)
				}
			}
		}
		if len(db.Operations) == 0 {
			return fmt.Errorf("gets a database, and %s never waits for a disk", name)
		}
		bp.Services = append(bp.Services, db)
		bp.App.Services = append(bp.App.Services, foresail.Service{Name: prefix + "-" + name})
	}
	return nil
}

// callees are the services that each calls, ascending. Calls that would close a ring are left out, and told in rings: latencies
// that hang on each other can't be composed.
func callees(bp *foresail.Blueprint) (out [][]foresail.ServiceID, rings []string) {
	all := make([][]foresail.ServiceID, len(bp.Services))
	for s := range bp.Services {
		var walk func(steps []foresail.Step)
		walk = func(steps []foresail.Step) {
			for i := range steps {
				for k := range steps[i].Calls {
					c := &steps[i].Calls[k]
					if !c.Async && c.Probability > 0 && c.Target.Service != foresail.ServiceID(s) {
						all[s] = append(all[s], c.Target.Service)
					}
					walk(c.Miss)
				}
			}
		}
		for k := range bp.Services[s].Operations {
			walk(bp.Services[s].Operations[k].Steps)
		}
		slices.Sort(all[s])
		all[s] = slices.Compact(all[s])
	}
	out = make([][]foresail.ServiceID, len(all))
	state := make([]int, len(all)) // 1: on the way, 2: done
	var visit func(s foresail.ServiceID)
	visit = func(s foresail.ServiceID) {
		state[s] = 1
		for _, d := range all[s] {
			if state[d] == 1 {
				rings = append(rings, bp.App.Services[s].Name+" → "+bp.App.Services[d].Name)
				continue
			}
			out[s] = append(out[s], d)
			if state[d] == 0 {
				visit(d)
			}
		}
		state[s] = 2
	}
	for _, e := range bp.Entries {
		if state[e.Service] == 0 {
			visit(e.Service)
		}
	}
	return out, rings
}

// Count is how many instances there are.
func (d *Deployment) Count() (n int) {
	for _, k := range d.Instances {
		n += k
	}
	return n
}

// instance is one of a service's.
type instance struct {
	service foresail.ServiceID
	at      int // from 0
	name    string
	set     knobs
	effect
}

// Label is what an instance's columns begin with, before the colon.
func (d *Deployment) label(s foresail.ServiceID, at int) string {
	if d.Instances[s] > 1 {
		return fmt.Sprintf("%s#%d", d.bp.App.Services[s].Name, at+1)
	}
	return d.bp.App.Services[s].Name
}

// build is the application with every instance a service of its own. Instances are in the order of services.
func (d *Deployment) build(all []instance) *foresail.Blueprint {
	first := make([]int, len(d.Instances)) // instance by service
	for i := range slices.Backward(all) {
		first[all[i].service] = i
	}
	app := &foresail.App{Name: d.bp.App.Name}
	out := &foresail.Blueprint{App: app}
	for i := range all {
		in := &all[i]
		app.Services = append(app.Services, foresail.Service{Name: in.name,
			Initial: foresail.Allocation{Replicas: 1, CPU: in.set["cpu"], Memory: 1 << 30},
			Bounds:  foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: in.set["cpu"], MaxCPU: in.set["cpu"], MinMemory: 1 << 30}})
		from := &d.bp.Services[in.service]
		s := foresail.ServiceBlueprint{Workers: in.Workers, Queue: queue, Pool: in.Pool}
		for k := range from.Operations {
			op := from.Operations[k]
			op.Steps = d.steps(op.Steps, in, all, first)
			s.Operations = append(s.Operations, op)
		}
		out.Services = append(out.Services, s)
	}
	for at := range d.Instances[d.front] {
		for _, e := range d.mix {
			id := foresail.ServiceID(first[d.front] + at)
			app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: fmt.Sprintf("%s#%d", d.bp.App.Endpoints[e].Name, at+1), Entry: id, Operation: d.bp.App.Endpoints[e].Operation})
			out.Entries = append(out.Entries, foresail.Target{Service: id, Operation: d.bp.Entries[e].Operation})
			out.Timeouts = append(out.Timeouts, foresail.Patience{})
		}
	}
	return out
}

// steps are those of one instance: with its effects, and calls spread over the callees' instances.
func (d *Deployment) steps(from []foresail.Step, in *instance, all []instance, first []int) []foresail.Step {
	out := slices.Clone(from)
	for i := range out {
		w := &out[i].Work
		w.CPU.Mean *= in.CPU
		w.Memory = 0
		if w.Write > 0 {
			w.IO.Mean *= in.Write
		} else {
			w.IO.Mean *= in.Read
		}
		calls := make([]foresail.Call, 0, len(out[i].Calls))
		for _, c := range out[i].Calls {
			c.Patience = foresail.Patience{}
			s := c.Target.Service
			n := d.Instances[s]
			if n == 0 {
				continue // never made: its probability is 0, or nobody asks for the operation
			}
			some := make([]foresail.Call, n)
			for k := range some {
				some[k] = c
				some[k].Target.Service = foresail.ServiceID(first[s] + k)
				if c.Cached {
					some[k].Hit = 1 - min((1-c.Hit)*all[first[s]+k].Miss, 0.95)
					some[k].Miss = d.steps(c.Miss, in, all, first)
				}
			}
			if n == 1 {
				calls = append(calls, some[0])
			} else {
				calls = append(calls, foresail.Call{Either: some})
			}
		}
		out[i].Calls = calls
	}
	return out
}

// seconds is how long is measured for about so many requests, in whole quarters of a second.
func seconds(requests int, rate float64) time.Duration {
	n := int(4*float64(requests)/rate) + 1
	return time.Duration(max(n, 4)) * 250 * time.Millisecond
}
