package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// The conditions of an application. Each has a reason that a person can act on.
const (
	Ready          = "Ready"          // it is observed, and where the mode says so, managed
	TelemetryFresh = "TelemetryFresh" // observations are as new as they should be
	ModelReady     = "ModelReady"     // the manager's model is there, and fits
	ObjectivesMet  = "ObjectivesMet"  // no objective was missed in the last minutes
	Fallback       = "Fallback"       // another than the manager asked for decides
)

// ApplicationStatus is what Foresail found.
type ApplicationStatus struct {
	// ObservedGeneration is the generation of the spec that this is of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// Cores are totals over the workloads.
	// +optional
	Cores Cores `json:"cores,omitempty"`
	// ViolationProbability is that of an objective being missed in the seconds to come, where it is predicted, such as 0.03.
	// +optional
	ViolationProbability string `json:"violationProbability,omitempty"`
	// Recommendations say for each workload what it has and what it should have.
	// +listType=map
	// +listMapKey=service
	// +optional
	Recommendations []Recommendation `json:"recommendations,omitempty"`
	// Endpoints say how objectives are kept.
	// +listType=map
	// +listMapKey=name
	// +optional
	Endpoints []EndpointStatus `json:"endpoints,omitempty"`
	// Decisions are the last that changed something, newest first.
	// +kubebuilder:validation:MaxItems=10
	// +listType=atomic
	// +optional
	Decisions []Decision `json:"decisions,omitempty"`
}

// Cores are numbers of cores, such as 12.5; absent where not known.
type Cores struct {
	// +optional
	Allocated string `json:"allocated,omitempty"`
	// +optional
	Used string `json:"used,omitempty"`
	// +optional
	Recommended string `json:"recommended,omitempty"`
}

// Size is what a workload has, or should have.
type Size struct {
	// +optional
	Replicas int32 `json:"replicas,omitempty"`
	// CPU of one replica.
	// +optional
	CPU string `json:"cpu,omitempty"`
	// Memory of one replica.
	// +optional
	Memory string `json:"memory,omitempty"`
}

// Recommendation is what one workload should have, and why.
type Recommendation struct {
	Service string `json:"service"`
	Now     Size   `json:"now"`
	// +optional
	Target *Size `json:"target,omitempty"`
	// Reason is a sentence with figures.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Held says why it is not applied: the mode, a pause, a freeze window, a quota, an autoscaler, a resize that waits.
	// +optional
	Held string `json:"held,omitempty"`
}

// EndpointStatus is how an objective is kept.
type EndpointStatus struct {
	Name string `json:"name"`
	// +optional
	Objective string `json:"objective,omitempty"`
	// Latency at the objective's percentile over the last minute, such as 212ms.
	// +optional
	Latency string `json:"latency,omitempty"`
	// +optional
	Met *bool `json:"met,omitempty"`
}

// Decision is one that changed something.
type Decision struct {
	At      metav1.Time `json:"at"`
	Manager string      `json:"manager"`
	// Changes are a line for each workload.
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	// +optional
	Changes []string `json:"changes,omitempty"`
	// +optional
	Note string `json:"note,omitempty"`
}
