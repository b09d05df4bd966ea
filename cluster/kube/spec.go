package kube

import (
	"fmt"
	"slices"

	"foresail.dev"
)

// Kinds of workloads.
const (
	Deployment  = "Deployment"
	StatefulSet = "StatefulSet"
)

// Ref names a workload.
type Ref struct{ Namespace, Kind, Name string }

// String reads like "Deployment shop/cart".
func (r Ref) String() string { return r.Kind + " " + r.Namespace + "/" + r.Name }

// Limits says what is made of a container's CPU and memory.
type Limits string

// The policies. The zero value is LimitsBoth where the container has a CPU limit, and LimitsRequests where it has none.
const (
	LimitsBoth     Limits = "Both"     // the limit is what the plan says, and the request keeps its share of it
	LimitsRequests Limits = "Requests" // the request is what the plan says; limits are left alone
)

// Autoscaler says what is done about a HorizontalPodAutoscaler that scales the same workload.
type Autoscaler string

// The policies. The zero value is Steer.
const (
	Steer    Autoscaler = "Steer"    // it stays, and its minimum is what the plan says
	Refuse   Autoscaler = "Refuse"   // replicas are left to it
	TakeOver Autoscaler = "TakeOver" // replicas are not touched until it is gone
)

// Workload is what runs one service, and how it may be changed.
type Workload struct {
	Ref
	Container  string // whose CPU and memory are managed; empty: the only one, or the first
	Limits     Limits
	Autoscaler Autoscaler
	// Hold keeps the workload as it is, and is the reason that is told; empty: it may be changed.
	Hold string
}

// Spec is an application and what runs it.
type Spec struct {
	App       *foresail.App
	Workloads []Workload // of each of App.Services, in their order
}

// Check finds what makes a specification useless.
func (s *Spec) Check() error {
	if s.App == nil || len(s.App.Services) == 0 {
		return fmt.Errorf("kubernetes: an application without services")
	}
	if len(s.Workloads) != len(s.App.Services) {
		return fmt.Errorf("kubernetes: %d workloads for %d services of %s", len(s.Workloads), len(s.App.Services), s.App.Name)
	}
	owner := map[Ref]string{}
	for i, w := range s.Workloads {
		name := s.App.Services[i].Name
		if w.Kind != Deployment && w.Kind != StatefulSet {
			return fmt.Errorf("kubernetes: service %s: workloads of kind %q are not managed: use %s or %s", name, w.Kind, Deployment, StatefulSet)
		}
		if other, ok := owner[w.Ref]; ok {
			return fmt.Errorf("kubernetes: services %s and %s both name %v: a workload has one owner", other, name, w.Ref)
		}
		owner[w.Ref] = name
	}
	return nil
}

// namespaces of the workloads, sorted, each once.
func (s *Spec) namespaces() []string {
	var out []string
	for _, w := range s.Workloads {
		out = append(out, w.Namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
