package foresail

import (
	"fmt"
	"slices"
)

// Align renumbers a blueprint that was read anew so that it follows an older one of the same application: services,
// endpoints and operations keep the numbers that they had under their names, and new ones are appended. A service or an
// endpoint that is no longer there keeps its place as Gone, a service with the names of its operations alone; an operation
// that is no longer there keeps its place and does nothing. The generation is the older one's and one. Neither input is
// changed; next keeps the invariants of a Blueprint, and so does the result.
func Align(old, next *Blueprint) *Blueprint {
	a := aligner{old: old, next: next}
	a.number()
	out := *next
	app := *next.App
	app.Generation = old.App.Generation + 1
	app.Services, out.Services = a.services()
	app.Endpoints, out.Entries, out.Timeouts = a.endpoints()
	out.App = &app
	out.Cycles = make([][]ServiceID, len(next.Cycles))
	for i, ring := range next.Cycles {
		out.Cycles[i] = slices.Clone(ring)
		for k := range out.Cycles[i] {
			out.Cycles[i][k] = a.service[ring[k]]
		}
	}
	return &out
}

// aligner knows the new numbers of what next numbers.
type aligner struct {
	old, next  *Blueprint
	service    []ServiceID // by number in next
	operations [][]int     // by service in next, by operation
	names      [][]string  // of operations, by service in the result
	count      int         // of services in the result
}

func (a *aligner) number() {
	for i := range a.old.Services {
		var names []string
		for _, op := range a.old.Services[i].Operations {
			names = append(names, op.Name)
		}
		a.names = append(a.names, names)
	}
	a.count = len(a.old.Services)
	for i := range a.next.Services {
		id, known := a.old.App.ServiceByName(a.next.App.Services[i].Name)
		if !known {
			id = ServiceID(a.count)
			a.count++
			a.names = append(a.names, nil)
		}
		a.service = append(a.service, id)
		var numbers []int
		for _, op := range a.next.Services[i].Operations {
			at := slices.Index(a.names[id], op.Name)
			if at < 0 {
				at = len(a.names[id])
				a.names[id] = append(a.names[id], op.Name)
			}
			numbers = append(numbers, at)
		}
		a.operations = append(a.operations, numbers)
	}
}

func (a *aligner) services() ([]Service, []ServiceBlueprint) {
	list, blueprints := make([]Service, a.count), make([]ServiceBlueprint, a.count)
	for i := range a.old.Services {
		list[i] = Service{Name: a.old.App.Services[i].Name, Gone: true}
	}
	for i, id := range a.service {
		list[id], blueprints[id] = a.next.App.Services[i], a.next.Services[i]
	}
	for id := range blueprints {
		blueprints[id].Operations = make([]Operation, len(a.names[id]))
		for k, name := range a.names[id] {
			blueprints[id].Operations[k].Name = name
		}
	}
	for i, id := range a.service {
		for k, op := range a.next.Services[i].Operations {
			op.Steps = a.steps(op.Steps)
			blueprints[id].Operations[a.operations[i][k]] = op
		}
	}
	return list, blueprints
}

func (a *aligner) steps(steps []Step) []Step {
	out := slices.Clone(steps)
	for i := range out {
		out[i].Calls = slices.Clone(out[i].Calls)
		for k := range out[i].Calls {
			c := &out[i].Calls[k]
			c.Target, c.Miss = a.target(c.Target), a.steps(c.Miss)
		}
	}
	return out
}

func (a *aligner) target(t Target) Target {
	return Target{Service: a.service[t.Service], Operation: a.operations[t.Service][t.Operation]}
}

func (a *aligner) endpoints() (list []Endpoint, entries []Target, timeouts []Patience) {
	for i := range a.old.App.Endpoints {
		list = append(list, Endpoint{Name: a.old.App.Endpoints[i].Name, Gone: true})
	}
	entries, timeouts = make([]Target, len(list)), make([]Patience, len(list))
	for i, e := range a.next.App.Endpoints {
		id, known := a.old.App.EndpointByName(e.Name)
		if !known {
			id = EndpointID(len(list))
			list, entries, timeouts = append(list, Endpoint{}), append(entries, Target{}), append(timeouts, Patience{})
		}
		e.Entry = a.service[e.Entry]
		list[id], entries[id] = e, a.target(a.next.Entries[i])
		if i < len(a.next.Timeouts) {
			timeouts[id] = a.next.Timeouts[i]
		}
	}
	return list, entries, timeouts
}

// Follows says what the blueprint numbers otherwise than an older one did; nil: nothing, as after Align.
func (b *Blueprint) Follows(old *Blueprint) error {
	for i := range old.App.Services {
		name := old.App.Services[i].Name
		if i >= len(b.App.Services) || b.App.Services[i].Name != name {
			return fmt.Errorf("service %d is not %s any more", i, name)
		}
		for k, op := range old.Services[i].Operations {
			if ops := b.Services[i].Operations; k >= len(ops) || ops[k].Name != op.Name {
				return fmt.Errorf("operation %d of %s is not %s any more", k, name, op.Name)
			}
		}
	}
	for i, e := range old.App.Endpoints {
		if i >= len(b.App.Endpoints) || b.App.Endpoints[i].Name != e.Name {
			return fmt.Errorf("endpoint %d is not %s any more", i, e.Name)
		}
	}
	return nil
}
