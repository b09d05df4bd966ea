package foresee

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"foresail.dev"
)

// Schema says which application a run or a model is of. Services are by ServiceID; what has gone keeps its number.
type Schema struct {
	Name        string   `json:"name"`
	Application string   `json:"application"` // hash over the name, the services, the endpoints and their objectives
	Services    []string `json:"services"`
}

// SchemaOf is the schema of an application. Bounds and allocations are not in it: they may change and the model stays.
func SchemaOf(app *foresail.App) Schema {
	s := Schema{Name: app.Name}
	var text strings.Builder
	fmt.Fprintf(&text, "%q\n", app.Name)
	for i := range app.Services {
		s.Services = append(s.Services, app.Services[i].Name)
		fmt.Fprintf(&text, "service %q %v\n", app.Services[i].Name, app.Services[i].Gone)
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		fmt.Fprintf(&text, "endpoint %q %d %v", e.Name, e.Entry, e.Gone)
		if o := e.Objective; o != nil {
			fmt.Fprintf(&text, " p%g %v", o.Percentile, o.Latency)
		}
		text.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(text.String()))
	s.Application = hex.EncodeToString(sum[:8])
	return s
}

// Differs says in what way s is of another application than want, or of another version of it; nil: it is not.
func (s *Schema) Differs(want *Schema) error {
	switch {
	case s.Application == want.Application:
		return nil
	case s.Name != want.Name:
		return fmt.Errorf("it is of application %q and this one is %q", s.Name, want.Name)
	case !slices.Equal(s.Services, want.Services):
		return fmt.Errorf("it is of another version of application %q, with %d services, and this one has %d", s.Name, len(s.Services), len(want.Services))
	default:
		return fmt.Errorf("it is of another version of application %q, with other endpoints or objectives", s.Name)
	}
}

// Order is the services in topological order, those furthest back first, so that services that call each other are
// neighbours: the order in which a walk along the calls, from services that nobody calls, leaves them. Rings are cut where the walk
// meets them.
func Order(services int, calls [][2]foresail.ServiceID) []foresail.ServiceID {
	next, called := make([][]foresail.ServiceID, services), make([]bool, services)
	for _, c := range calls {
		if c[0] != c[1] {
			next[c[0]] = append(next[c[0]], c[1])
			called[c[1]] = true
		}
	}
	for _, n := range next {
		slices.Sort(n)
	}
	out, seen := make([]foresail.ServiceID, 0, services), make([]bool, services)
	var visit func(foresail.ServiceID)
	visit = func(s foresail.ServiceID) {
		if seen[s] {
			return
		}
		seen[s] = true
		for _, n := range next[s] {
			visit(n)
		}
		out = append(out, s)
	}
	for _, entries := range []bool{true, false} { // what is left lies on rings that nobody else calls
		for s := range services {
			if called[s] != entries {
				visit(foresail.ServiceID(s))
			}
		}
	}
	return out
}
