package tail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev"
)

// Schema says which application steps or a model are of. Its slices are by ServiceID and by EndpointID; what has gone keeps
// its number and its name.
type Schema struct {
	Name        string    `json:"name"`        // of the application
	Application string    `json:"application"` // hash over all that must be the same: see SchemaOf
	Services    []string  `json:"services"`
	Min         []float64 `json:"min_cores"` // fewest cores of a service, total over replicas; 0 of one that has gone
	Max         []float64 `json:"max_cores"` // most cores of a service, total over replicas
	Endpoints   []string  `json:"endpoints"`
	Reference   float64   `json:"reference_ms,omitempty"` // the function Reference's, in ms; 0: no endpoint has an objective

	Objectives []Objective `json:"objectives,omitempty"` // by EndpointID
}

// Objective is what of an endpoint's objective labels are made with; zero where it has none.
type Objective struct {
	Latency     float64 `json:"latency_ms,omitempty"`
	Percentile  float64 `json:"percentile,omitempty"`
	MinRequests int     `json:"min_requests,omitempty"`
}

// Gone reports whether a service is no longer part of the application.
func (s *Schema) Gone(i int) bool { return s.Max[i] == 0 }

// SchemaOf is the schema of an application. The hash is over its name, its services, its endpoints and their objectives:
// what gives a number its meaning. Bounds are not in it, since cores mean the same within others.
func SchemaOf(app *foresail.App) Schema {
	s := Schema{Name: app.Name}
	if r := Reference(app); r > 0 {
		s.Reference = r
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%q\n", app.Name)
	for i := range app.Services {
		svc := &app.Services[i]
		least, most := CoreBounds(svc)
		s.Services, s.Min, s.Max = append(s.Services, svc.Name), append(s.Min, least), append(s.Max, most)
		fmt.Fprintf(&text, "service %q %v\n", svc.Name, svc.Gone)
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		s.Endpoints = append(s.Endpoints, e.Name)
		fmt.Fprintf(&text, "endpoint %q %d %v", e.Name, e.Entry, e.Gone)
		var bound Objective
		if o := e.Objective; o != nil {
			fmt.Fprintf(&text, " p%g %v", o.Percentile, o.Latency)
			bound = Objective{ms(o.Latency), o.Percentile, o.MinRequestsOrDefault()}
		}
		s.Objectives = append(s.Objectives, bound)
		text.WriteByte('\n')
	}
	sum := sha256.Sum256([]byte(text.String()))
	s.Application = hex.EncodeToString(sum[:8])
	return s
}

// CoreBounds are the fewest and the most cores that a service's bounds allow, total over replicas; 0 and 0 of one that has gone.
func CoreBounds(svc *foresail.Service) (least, most float64) {
	if svc.Gone {
		return 0, 0
	}
	b := svc.Bounds
	return float64(b.MinReplicas) * b.MinCPU, b.Max().Cores()
}

// Differs says in what way s is of another application than want, or of another version of it; nil: it is not.
func (s *Schema) Differs(want *Schema) error {
	switch {
	case s.Application == want.Application:
		return nil
	case s.Name != want.Name:
		return fmt.Errorf("it is of application %q and this one is %q", s.Name, want.Name)
	case !slices.Equal(s.Services, want.Services):
		return fmt.Errorf("it is of another version of application %q: %s", s.Name, other("service", s.Services, want.Services))
	case !slices.Equal(s.Endpoints, want.Endpoints):
		return fmt.Errorf("it is of another version of application %q: %s", s.Name, other("endpoint", s.Endpoints, want.Endpoints))
	default:
		return fmt.Errorf("it is of another version of application %q, with other objectives or other services gone", s.Name)
	}
}

// other says where two lists of names part.
func other(what string, have, want []string) string {
	for _, n := range have {
		if !slices.Contains(want, n) {
			return fmt.Sprintf("%s %q is not in this one", what, n)
		}
	}
	for _, n := range want {
		if !slices.Contains(have, n) {
			return fmt.Sprintf("%s %q is new in this one", what, n)
		}
	}
	return fmt.Sprintf("its %ss are in another order", what)
}

// Check reports what is wrong with a schema that was read from a file.
func (s *Schema) Check() error {
	switch n := len(s.Services); {
	case s.Application == "":
		return fmt.Errorf("it does not say which application it is of")
	case n == 0:
		return fmt.Errorf("its application has no services")
	case len(s.Min) != n || len(s.Max) != n:
		return fmt.Errorf("it has %d services with %d and %d bounds of cores", n, len(s.Min), len(s.Max))
	case len(s.Objectives) != 0 && len(s.Objectives) != len(s.Endpoints):
		return fmt.Errorf("it has %d endpoints and objectives for %d", len(s.Endpoints), len(s.Objectives))
	case !(s.Reference >= 0) || math.IsInf(s.Reference, 0):
		return fmt.Errorf("its reference latency is %v ms", s.Reference)
	}
	for i, v := range s.Max {
		if !(s.Min[i] >= 0 && v >= s.Min[i]) || math.IsInf(v, 0) {
			return fmt.Errorf("service %q has from %v to %v cores", s.Services[i], s.Min[i], v)
		}
	}
	return nil
}
