package tail

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev"
)

// Run is seconds that follow each other without a gap.
type Run struct {
	Name  string
	Steps []Step
}

// Schema is what a data set or a model must know of the application that it is of. Two with the same Application hash mean
// the same services, endpoints and objectives; bounds may differ.
type Schema struct {
	Application string           `json:"application"` // hash, see SchemaOf
	Name        string           `json:"name"`
	Services    []string         `json:"services"` // names by ServiceID; empty: it has gone
	Cores       []foresail.Range `json:"cores"`    // by ServiceID: total over replicas that bounds allow
	Endpoints   []string         `json:"endpoints"`
	Objectives  []Objective      `json:"objectives"` // by EndpointID
	Reference   float64          `json:"reference_ms"`
}

// Objective is what of an endpoint's objective labels need: zero where it has none.
type Objective struct {
	Latency     float64 `json:"latency_ms,omitempty"`
	Percentile  float64 `json:"percentile,omitempty"`
	MinRequests int     `json:"min_requests,omitempty"`
}

// SchemaOf describes an application. The hash covers its name, the services' names in their order, which of them have gone,
// and the endpoints with their objectives. An error names what keeps it from being managed by tail latency.
func SchemaOf(app *foresail.App) (Schema, error) {
	s := Schema{Name: app.Name, Reference: Reference(app)}
	if math.IsNaN(s.Reference) {
		return s, fmt.Errorf("application %s has no objective: what its tail latency is measured against is missing; give an endpoint one", app.Name)
	}
	for i := range app.Services {
		svc := &app.Services[i]
		name, cores := svc.Name, foresail.Range{}
		if svc.Gone {
			name = ""
		} else {
			b := svc.Bounds
			cores = foresail.Range{Min: float64(b.MinReplicas) * b.MinCPU, Max: b.Max().Cores()}
		}
		s.Services, s.Cores = append(s.Services, name), append(s.Cores, cores)
	}
	for i := range app.Endpoints {
		e := &app.Endpoints[i]
		var o Objective
		if e.Objective != nil {
			o = Objective{ms(e.Objective.Latency), e.Objective.Percentile, e.Objective.MinRequestsOrDefault()}
		}
		s.Endpoints, s.Objectives = append(s.Endpoints, e.Name), append(s.Objectives, o)
	}
	s.Application = s.hash()
	return s, nil
}

// hash is that of what must agree.
func (s *Schema) hash() string {
	data, err := json.Marshal([]any{s.Name, s.Services, s.Endpoints, s.Objectives})
	if err != nil {
		panic(err) // strings and finite numbers
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Check tells all that is wrong with a schema that was read from somewhere.
func (s *Schema) Check() error {
	switch {
	case len(s.Services) == 0 || len(s.Endpoints) == 0:
		return fmt.Errorf("the schema has %d services and %d endpoints: it needs one of each", len(s.Services), len(s.Endpoints))
	case len(s.Cores) != len(s.Services) || len(s.Objectives) != len(s.Endpoints):
		return fmt.Errorf("the schema has bounds for %d of %d services and objectives for %d of %d endpoints", len(s.Cores), len(s.Services), len(s.Objectives), len(s.Endpoints))
	case !(s.Reference > 0) || math.IsInf(s.Reference, 0):
		return fmt.Errorf("the schema's reference latency is %v ms: it must be above 0", s.Reference)
	case s.Application != s.hash():
		return fmt.Errorf("the schema's hash is not that of what it says: it was changed by hand")
	}
	return nil
}

// Fits reports why what is of s can't be used for an application: nil if it can.
func (s *Schema) Fits(app *foresail.App) error {
	now, err := SchemaOf(app)
	if err != nil || now.Application == s.Application {
		return err
	}
	if now.Name != s.Name {
		return fmt.Errorf("it is of application %s, and this is %s", s.Name, now.Name)
	}
	var differ []string
	for i, name := range now.Services {
		switch {
		case i >= len(s.Services):
			if name != "" {
				differ = append(differ, "service "+name+" is new")
			}
		case s.Services[i] != name && name == "":
			differ = append(differ, "service "+s.Services[i]+" has gone")
		case s.Services[i] != name:
			differ = append(differ, fmt.Sprintf("service %d is %s and was %s", i, name, or(s.Services[i], "gone")))
		}
	}
	for _, name := range s.Services[min(len(now.Services), len(s.Services)):] {
		differ = append(differ, "service "+name+" is no longer there")
	}
	if !slices.Equal(now.Endpoints, s.Endpoints) {
		differ = append(differ, fmt.Sprintf("endpoints are %s and were %s", strings.Join(now.Endpoints, ", "), strings.Join(s.Endpoints, ", ")))
	} else if !slices.Equal(now.Objectives, s.Objectives) {
		differ = append(differ, "objectives differ")
	}
	if len(differ) == 0 {
		differ = []string{"it is of another number of services"}
	}
	return fmt.Errorf("it is of another version of %s: %s", s.Name, strings.Join(differ, "; "))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
