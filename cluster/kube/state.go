package kube

import (
	"fmt"
	"math"

	corev1 "k8s.io/api/core/v1"

	"foresail.dev"
)

// State is what Kubernetes knows of one service.
type State struct {
	Found    bool // the workload is there
	Replicas int  // asked for
	Ready    int
	// Allocation is what each replica has: CPU and memory as limits where they are managed by limits, else as requests. It is the
	// least of those that run, and the template's where none does.
	Allocation foresail.Allocation
	Limits     Limits // by which they are managed
	Scaler     string // the HorizontalPodAutoscaler that scales it too, with its range; empty: none
	Restarts   int    // of the managed container, summed over the pods that there are
	Rollout    bool   // pods of another template are still there
	// Waiting says which resizes are not done: deferred, infeasible, or under way; empty: all are done.
	Waiting []string
}

// State of each service, in the application's order.
func (c *Cluster) State() []State {
	out := make([]State, len(c.spec.Workloads))
	for i := range c.spec.Workloads {
		out[i] = c.watch.state(&c.spec.Workloads[i])
	}
	return out
}

func (x *Watch) state(w *Workload) State {
	o, ok := x.workload(w.Ref)
	if !ok {
		return State{}
	}
	s := State{Found: true, Replicas: o.replicas, Rollout: !o.settled}
	s.Limits = w.limits(o.template)
	if h := x.scaler(w.Ref); h != nil {
		s.Scaler = fmt.Sprintf("HorizontalPodAutoscaler %s (%d to %d)", h.Name, count(h.Spec.MinReplicas), h.Spec.MaxReplicas)
	}
	cpu, memory := math.Inf(1), int64(math.MaxInt64)
	for _, p := range x.pods(w.Ref) {
		if ready(p) {
			s.Ready++
		}
		spec, status := w.container(p)
		if spec == nil {
			continue
		}
		if status != nil {
			s.Restarts += int(status.RestartCount)
		}
		has := actual(spec, status)
		cpu, memory = min(cpu, s.Limits.cpu(has)), min(memory, s.Limits.memory(has))
		if why := waiting(p); why != "" {
			s.Waiting = append(s.Waiting, p.Name+": "+why)
		}
	}
	if math.IsInf(cpu, 1) {
		cpu, memory = 0, 0
		if t := containerOf(o.template.Spec.Containers, w.Container); t != nil {
			cpu, memory = s.Limits.cpu(t.Resources), s.Limits.memory(t.Resources)
		}
	}
	s.Allocation = foresail.Allocation{Replicas: o.replicas, CPU: cpu, Memory: memory}
	return s
}

// limits is the policy, with what stands for a missing one.
func (w *Workload) limits(t *corev1.PodTemplateSpec) Limits {
	if w.Limits != "" {
		return w.Limits
	}
	if c := containerOf(t.Spec.Containers, w.Container); c != nil {
		if _, ok := c.Resources.Limits[corev1.ResourceCPU]; ok {
			return LimitsBoth
		}
	}
	return LimitsRequests
}

// of is the quantities that a policy manages.
func (l Limits) of(r corev1.ResourceRequirements) corev1.ResourceList {
	if l == LimitsRequests {
		return r.Requests
	}
	return r.Limits
}

// cpu in cores; 0: none is set.
func (l Limits) cpu(r corev1.ResourceRequirements) float64 {
	list := l.of(r)
	return float64(list.Cpu().MilliValue()) / 1000
}

// memory in bytes; 0: none is set.
func (l Limits) memory(r corev1.ResourceRequirements) int64 {
	list := l.of(r)
	return list.Memory().Value()
}

// containerOf is the container of that name; where the name is empty, the first.
func containerOf(cs []corev1.Container, name string) *corev1.Container {
	for i := range cs {
		if name == "" || cs[i].Name == name {
			return &cs[i]
		}
	}
	return nil
}

// container is the managed one of a pod, and what the kubelet says of it; nil: there is none, or nothing was said yet.
func (w *Workload) container(p *corev1.Pod) (*corev1.Container, *corev1.ContainerStatus) {
	c := containerOf(p.Spec.Containers, w.Container)
	if c == nil {
		return nil, nil
	}
	for i := range p.Status.ContainerStatuses {
		if s := &p.Status.ContainerStatuses[i]; s.Name == c.Name {
			return c, s
		}
	}
	return c, nil
}

// actual is what a container has: what the kubelet says, and before it says so, what was asked for.
func actual(c *corev1.Container, s *corev1.ContainerStatus) corev1.ResourceRequirements {
	if s != nil && s.Resources != nil {
		return *s.Resources
	}
	return c.Resources
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// waiting says what keeps a resize from being done; empty: nothing.
func waiting(p *corev1.Pod) string {
	for _, c := range p.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch {
		case c.Type == corev1.PodResizePending && c.Reason == corev1.PodReasonInfeasible:
			return "resize infeasible: " + c.Message
		case c.Type == corev1.PodResizePending:
			return "resize deferred until there is room on its node: " + c.Message
		case c.Type == corev1.PodResizeInProgress && c.Reason == corev1.PodReasonError:
			return "resize failed: " + c.Message
		case c.Type == corev1.PodResizeInProgress:
			return "resize under way"
		}
	}
	return ""
}
