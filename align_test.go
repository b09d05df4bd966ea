package foresail_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// drawBlueprint draws an application of services named after letters, each with operations named after numbers, which
// call each other at will; endpoints are named after the letters, too.
func drawBlueprint(t *rapid.T, label string) *foresail.Blueprint {
	names := rapid.SliceOfNDistinct(rapid.StringMatching("[a-f]"), 1, 6, rapid.ID[string]).Draw(t, label+" services")
	app := &foresail.App{Name: "drawn", Generation: rapid.IntRange(0, 3).Draw(t, label+" generation")}
	bp := &foresail.Blueprint{App: app}
	ops := make([][]string, len(names))
	for i, name := range names {
		app.Services = append(app.Services, foresail.Service{Name: name, Initial: foresail.Allocation{Replicas: 1 + i, CPU: 1}, Bounds: foresail.Bounds{MinReplicas: 1, MinCPU: 1, MaxReplicas: 9}})
		ops[i] = rapid.SliceOfNDistinct(rapid.StringMatching("[1-4]"), 1, 4, rapid.ID[string]).Draw(t, label+" operations")
	}
	target := func() foresail.Target {
		s := rapid.IntRange(0, len(names)-1).Draw(t, "to")
		return foresail.Target{Service: foresail.ServiceID(s), Operation: rapid.IntRange(0, len(ops[s])-1).Draw(t, "operation")}
	}
	for i := range names {
		s := foresail.ServiceBlueprint{Workers: i}
		for _, op := range ops[i] {
			call := foresail.Call{Target: target(), Cached: true, Miss: []foresail.Step{{Calls: []foresail.Call{{Target: target()}}}}}
			s.Operations = append(s.Operations, foresail.Operation{Name: op, Request: int64(i), Steps: []foresail.Step{{Calls: []foresail.Call{call}}}})
		}
		bp.Services = append(bp.Services, s)
	}
	for _, e := range rapid.SliceOfNDistinct(rapid.StringMatching("[a-f]"), 1, 4, rapid.ID[string]).Draw(t, label+" endpoints") {
		to := target()
		app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: e, Entry: to.Service, Operation: ops[to.Service][to.Operation], Objective: &foresail.Objective{}})
		bp.Entries = append(bp.Entries, to)
		bp.Timeouts = append(bp.Timeouts, foresail.Patience{Timeout: time.Duration(len(bp.Timeouts))})
	}
	bp.Cycles = [][]foresail.ServiceID{{foresail.ServiceID(len(names) - 1), 0}}
	return bp
}

// byName says all that a blueprint does, by names alone, without what is gone.
func byName(bp *foresail.Blueprint) []string {
	var out []string
	name := func(t foresail.Target) string {
		return bp.App.Services[t.Service].Name + "." + bp.Services[t.Service].Operations[t.Operation].Name
	}
	for i, s := range bp.App.Services {
		if s.Gone {
			continue
		}
		for _, op := range bp.Services[i].Operations {
			if len(op.Steps) == 0 {
				continue // gone
			}
			c := op.Steps[0].Calls[0]
			out = append(out, fmt.Sprint(s, bp.Services[i].Workers, op.Name, op.Request, name(c.Target), name(c.Miss[0].Calls[0].Target)))
		}
	}
	for i, e := range bp.App.Endpoints {
		if !e.Gone {
			out = append(out, fmt.Sprint("endpoint ", e.Name, bp.App.Services[e.Entry].Name, e.Operation, name(bp.Entries[i]), bp.Timeouts[i]))
		}
	}
	for _, ring := range bp.Cycles {
		for _, id := range ring {
			out = append(out, "ring "+bp.App.Services[id].Name)
		}
	}
	return out
}

// Aligned, a blueprint means what it meant, and what the older one numbered keeps its number, whether it is there or gone.
func TestAlignKeepsNumbersAndMeaning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, next := drawBlueprint(t, "old"), drawBlueprint(t, "next")
		before := fmt.Sprintf("%+v", byName(next))
		got := foresail.Align(old, next)
		for i, s := range old.App.Services {
			if got.App.Services[i].Name != s.Name {
				t.Fatalf("service %d was %s and is %s", i, s.Name, got.App.Services[i].Name)
			}
			for k, op := range old.Services[i].Operations {
				if got.Services[i].Operations[k].Name != op.Name {
					t.Fatalf("operation %d of %s was %s and is %s", k, s.Name, op.Name, got.Services[i].Operations[k].Name)
				}
			}
		}
		for i, e := range old.App.Endpoints {
			if got.App.Endpoints[i].Name != e.Name {
				t.Fatalf("endpoint %d was %s and is %s", i, e.Name, got.App.Endpoints[i].Name)
			}
		}
		for _, s := range got.App.Services {
			if _, there := next.App.ServiceByName(s.Name); there == s.Gone {
				t.Fatalf("%s: there %v, gone %v", s.Name, there, s.Gone)
			}
		}
		for _, e := range got.App.Endpoints {
			if _, there := next.App.EndpointByName(e.Name); there == e.Gone || e.Gone && e.Objective != nil {
				t.Fatalf("%s: there %v, gone %v", e.Name, there, e.Gone)
			}
		}
		want, have := map[string]bool{}, map[string]bool{}
		for _, x := range byName(next) {
			want[x] = true
		}
		for _, x := range byName(got) {
			have[x] = true
		}
		if !reflect.DeepEqual(want, have) || got.App.Generation != old.App.Generation+1 {
			t.Fatalf("%v means now %v", want, have)
		}
		if after := fmt.Sprintf("%+v", byName(next)); after != before {
			t.Fatalf("the input %s became %s", before, after)
		}
		if err := got.Follows(old); err != nil {
			t.Fatal(err)
		}
		if again := foresail.Align(got, next); !reflect.DeepEqual(byName(again), byName(got)) {
			t.Fatalf("aligned again: %v, was %v", byName(again), byName(got))
		}
	})
}
