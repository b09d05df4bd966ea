package kube

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"foresail.dev"
)

// page is how many objects one answer holds at most: a namespace of thousands is read in parts.
const page = 500

// Discovery says what Discover looks for.
type Discovery struct {
	Name      string // of the application; empty: the namespace's
	Namespace string
	Selector  string // of labels; empty: every workload of the namespace
	// How far recommendations may go from what a replica and a workload have now; 0: four times, both ways.
	Reach float64
}

// Discover makes an application of the Deployments and StatefulSets of a namespace, each a service of its own name, without
// endpoints. Bounds lie around what there is. What it leaves out, and why, is in notes.
func Discover(ctx context.Context, client kubernetes.Interface, d Discovery) (spec Spec, notes []string, err error) {
	if d.Reach == 0 {
		d.Reach = 4
	}
	if !(d.Reach >= 1) || math.IsInf(d.Reach, 1) {
		return spec, nil, fmt.Errorf("kubernetes: a reach of %v: use 1 or more", d.Reach)
	}
	if d.Name == "" {
		d.Name = d.Namespace
	}
	app := &foresail.App{Name: d.Name}
	spec.App = app
	add := func(kind, name string, replicas int, t *corev1.PodTemplateSpec) {
		c := containerOf(t.Spec.Containers, t.Annotations["kubectl.kubernetes.io/default-container"])
		if c == nil {
			c = containerOf(t.Spec.Containers, "")
		}
		ref := Ref{d.Namespace, kind, name}
		if c == nil || replicas == 0 {
			notes = append(notes, fmt.Sprintf("%v has no replicas: left out", ref))
			return
		}
		w := Workload{Ref: ref, Container: c.Name, Autoscaler: Refuse}
		l := w.limits(t)
		has := foresail.Allocation{Replicas: replicas, CPU: l.cpu(c.Resources), Memory: l.memory(c.Resources)}
		if has.CPU == 0 {
			notes = append(notes, fmt.Sprintf("%v asks for no CPU: its replicas are managed, its CPU is not", ref))
		}
		if _, taken := app.ServiceByName(name); taken { // a Deployment and a StatefulSet may have one name
			name = strings.ToLower(kind) + "-" + name
		}
		b := foresail.Bounds{MinReplicas: 1, MaxReplicas: max(int(math.Ceil(float64(replicas)*d.Reach)), 2),
			MinCPU: math.Max(math.Ceil(has.CPU/d.Reach*1000)/1000, 0), MaxCPU: has.CPU * d.Reach}
		app.Services = append(app.Services, foresail.Service{Name: name, Bounds: b,
			Initial: foresail.Allocation{Replicas: replicas, CPU: has.CPU}})
		spec.Workloads = append(spec.Workloads, w)
	}
	opts := metav1.ListOptions{LabelSelector: d.Selector, Limit: page}
	err = pages(func(next string) (string, error) {
		opts.Continue = next
		l, err := client.AppsV1().Deployments(d.Namespace).List(ctx, opts)
		if err != nil {
			return "", err
		}
		for i := range l.Items {
			add(Deployment, l.Items[i].Name, count(l.Items[i].Spec.Replicas), &l.Items[i].Spec.Template)
		}
		return l.Continue, nil
	})
	if err == nil {
		err = pages(func(next string) (string, error) {
			opts.Continue = next
			l, err := client.AppsV1().StatefulSets(d.Namespace).List(ctx, opts)
			if err != nil {
				return "", err
			}
			for i := range l.Items {
				add(StatefulSet, l.Items[i].Name, count(l.Items[i].Spec.Replicas), &l.Items[i].Spec.Template)
			}
			return l.Continue, nil
		})
	}
	if err != nil {
		return spec, nil, fmt.Errorf("kubernetes: workloads of namespace %s: %w", d.Namespace, err)
	}
	if len(app.Services) == 0 {
		return spec, notes, fmt.Errorf("kubernetes: namespace %s has no Deployment or StatefulSet with replicas%s", d.Namespace, among(d.Selector))
	}
	sortByName(&spec)
	return spec, notes, nil
}

func among(selector string) string {
	if selector == "" {
		return ""
	}
	return " that the selector " + selector + " finds"
}

// pages calls a function until it says that there is no more.
func pages(f func(next string) (string, error)) error {
	for next := ""; ; {
		var err error
		if next, err = f(next); err != nil || next == "" {
			return err
		}
	}
}

// sortByName orders services, so that a restart numbers them alike.
func sortByName(s *Spec) {
	order := make([]int, len(s.Workloads))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(s.App.Services[a].Name, s.App.Services[b].Name) })
	services, workloads := make([]foresail.Service, len(order)), make([]Workload, len(order))
	for to, from := range order {
		services[to], workloads[to] = s.App.Services[from], s.Workloads[from]
	}
	s.App.Services, s.Workloads = services, workloads
}
