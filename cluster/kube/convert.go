package kube

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"foresail.dev"
	"foresail.dev/cluster/kube/v1alpha1"
)

// Finder finds workloads, for those that an Application names by their labels, and says what each has.
type Finder interface {
	// Find names the workload that a selector matches: exactly one.
	Find(namespace string, by labels.Selector) (Ref, error)
	// Has is what a workload's replicas have now, and how it is managed. ok is false where there is none of that name.
	Has(w Workload) (a foresail.Allocation, ok bool)
}

// FromApplication makes of a resource what is managed: the application with its bounds and objectives, and the workload of each
// service. What is not bounded stays as it is. It names every fault at once.
func FromApplication(a *v1alpha1.Application, f Finder) (Spec, error) {
	out := Spec{App: &foresail.App{Name: a.Namespace + "/" + a.Name, Generation: int(a.Generation)}}
	var faults []error
	for i := range a.Spec.Workloads {
		w := &a.Spec.Workloads[i]
		x, service, err := workloadOf(a, w, f)
		if err != nil {
			faults = append(faults, fmt.Errorf("workloads[%s]: %w", w.Service, err))
		}
		out.Workloads = append(out.Workloads, x)
		out.App.Services = append(out.App.Services, service)
	}
	for _, e := range a.Spec.Endpoints {
		entry, ok := out.App.ServiceByName(e.Service)
		if !ok {
			faults = append(faults, fmt.Errorf("endpoints[%s]: %q is none of the workloads' services", e.Name, e.Service))
		}
		point := foresail.Endpoint{Name: e.Name, Entry: entry, Operation: e.Operation}
		if point.Operation == "" {
			point.Operation = e.Name
		}
		if e.Objective != "" {
			o, err := parseObjective(e.Objective)
			if err != nil {
				faults = append(faults, fmt.Errorf("endpoints[%s]: %w", e.Name, err))
			} else {
				if e.Window != nil {
					o.Window = e.Window.Duration
				}
				if e.MinRequests != nil {
					o.MinRequests = int(*e.MinRequests)
				}
				point.Objective = o
			}
		}
		out.App.Endpoints = append(out.App.Endpoints, point)
	}
	if err := errors.Join(faults...); err != nil {
		return Spec{}, err
	}
	return out, out.Check()
}

// workloadOf is one of them.
func workloadOf(a *v1alpha1.Application, w *v1alpha1.Workload, f Finder) (x Workload, s foresail.Service, err error) {
	s.Name = w.Service
	x = Workload{Container: w.Container, Limits: Limits(w.Limits), Autoscaler: Autoscaler(w.Autoscaler)}
	switch {
	case w.Target != nil:
		x.Ref = Ref{a.Namespace, w.Target.Kind, w.Target.Name}
		if x.Kind == "" {
			x.Kind = Deployment
		}
	case w.Selector != nil:
		by, err := metav1.LabelSelectorAsSelector(w.Selector)
		if err != nil {
			return x, s, fmt.Errorf("selector: %w", err)
		}
		if x.Ref, err = f.Find(a.Namespace, by); err != nil {
			return x, s, err
		}
	default:
		return x, s, errors.New("names no workload: give target or selector")
	}
	has, ok := f.Has(x)
	if !ok {
		return x, s, fmt.Errorf("there is no %v", x.Ref)
	}
	s.Initial = has
	// What is not bounded is fixed at what it is.
	s.Bounds = foresail.Bounds{MinReplicas: has.Replicas, MaxReplicas: has.Replicas, MinCPU: has.CPU, MaxCPU: has.CPU}
	if r := w.Bounds.Replicas; r != nil {
		s.Bounds.MinReplicas, s.Bounds.MaxReplicas = int(r.Min), int(r.Max)
	}
	if r := w.Bounds.CPU; r != nil {
		lo, hi, err := rangeOf(r)
		if err != nil {
			return x, s, fmt.Errorf("bounds.cpu: %w", err)
		}
		s.Bounds.MinCPU, s.Bounds.MaxCPU = lo, hi
	}
	if r := w.Bounds.Memory; r != nil {
		lo, hi, err := rangeOf(r)
		if err != nil {
			return x, s, fmt.Errorf("bounds.memory: %w", err)
		}
		s.Bounds.MinMemory, s.Bounds.MaxMemory = int64(lo), int64(math.Ceil(hi))
	} else {
		s.Initial.Memory = 0
	}
	s.Initial, _ = s.Bounds.Clamp(s.Initial)
	return x, s, nil
}

// rangeOf reads both ends. The schema refuses what is no quantity; a schema of another version may not.
func rangeOf(r *v1alpha1.QuantityRange) (lo, hi float64, err error) {
	a, err := resource.ParseQuantity(string(r.Min))
	if err != nil {
		return 0, 0, fmt.Errorf("min %q: %w", r.Min, err)
	}
	b, err := resource.ParseQuantity(string(r.Max))
	if err != nil {
		return 0, 0, fmt.Errorf("max %q: %w", r.Max, err)
	}
	if a.Cmp(b) > 0 || a.Sign() < 0 {
		return 0, 0, fmt.Errorf("%v to %v is no range", r.Min, r.Max)
	}
	return a.AsApproximateFloat64(), b.AsApproximateFloat64(), nil
}

var objectiveForm = regexp.MustCompile(`^p([1-9][0-9]?(?:\.[0-9]{1,4})?) *< *([0-9]+(?:\.[0-9]+)?(?:us|ms|s))$`)

// parseObjective reads "p99 < 300ms".
func parseObjective(text string) (*foresail.Objective, error) {
	m := objectiveForm.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("objective %q: write a percentile and its bound, as p99 < 300ms", text)
	}
	p, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return nil, fmt.Errorf("objective %q: %w", text, err)
	}
	d, err := time.ParseDuration(m[2])
	if err != nil || d <= 0 {
		return nil, fmt.Errorf("objective %q: the bound must be longer than zero", text)
	}
	return &foresail.Objective{Percentile: p, Latency: d}, nil
}
