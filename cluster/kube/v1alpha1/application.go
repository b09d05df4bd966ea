package v1alpha1

import (
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Application is services that work together for users, in one namespace, and the latency that users are promised. Foresail
// observes it, and keeps it inside its objectives with as few cores as it can where the mode says so.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=fsapp,categories=foresail
// +kubebuilder:printcolumn:name="Mode",type=string,JSONPath=`.spec.mode`
// +kubebuilder:printcolumn:name="Manager",type=string,JSONPath=`.spec.manager.name`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Objectives met",type=string,JSONPath=`.status.conditions[?(@.type=="ObjectivesMet")].status`
// +kubebuilder:printcolumn:name="Risk",type=string,JSONPath=`.status.violationProbability`
// +kubebuilder:printcolumn:name="Cores",type=string,JSONPath=`.status.cores.allocated`
// +kubebuilder:printcolumn:name="Recommended",type=string,JSONPath=`.status.cores.recommended`
// +kubebuilder:printcolumn:name="Fallback",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Fallback")].reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ApplicationSpec `json:"spec"`
	// +optional
	Status ApplicationStatus `json:"status,omitempty"`
}

// ApplicationList is a list of applications.
//
// +kubebuilder:object:root=true
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Application `json:"items"`
}

// Mode is how far Foresail goes.
//
// +kubebuilder:validation:Enum=Observe;Recommend;Auto
type Mode string

// The modes.
const (
	Observe   Mode = "Observe"   // decides nothing
	Recommend Mode = "Recommend" // decides, and tells
	Auto      Mode = "Auto"      // decides, and applies
)

// ApplicationSpec is what a user asks for.
//
// +kubebuilder:validation:XValidation:rule="!has(self.endpoints) || self.endpoints.all(e, self.workloads.exists(w, w.service == e.service))",message="an endpoint's service must be one of the workloads' services"
// +kubebuilder:validation:XValidation:rule="!has(self.manager) || self.manager.name != 'sinan' || has(self.manager.model)",message="manager sinan decides with a model: name one in manager.model"
type ApplicationSpec struct {
	// Mode is how far Foresail goes: Observe decides nothing, Recommend decides and tells, Auto applies. A workload may go less
	// far than its application, never further.
	// +kubebuilder:default=Observe
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// Paused keeps everything as it is while it is true: Foresail goes on observing and recommending.
	// +optional
	Paused bool `json:"paused,omitempty"`

	// Workloads are the services, each the Deployment or StatefulSet that runs it.
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=service
	Workloads []Workload `json:"workloads"`

	// Endpoints are what users call, each with an objective or without.
	// +kubebuilder:validation:MaxItems=200
	// +listType=map
	// +listMapKey=name
	// +optional
	Endpoints []Endpoint `json:"endpoints,omitempty"`

	// Telemetry is where observations come from.
	// +optional
	Telemetry Telemetry `json:"telemetry,omitempty"`

	// Manager decides.
	// +kubebuilder:default={name: "hpa"}
	// +optional
	Manager Manager `json:"manager,omitempty"`

	// FreezeWindows are stretches of time in which nothing is changed, such as a release or a sale.
	// +kubebuilder:validation:MaxItems=50
	// +optional
	FreezeWindows []FreezeWindow `json:"freezeWindows,omitempty"`
}

// Workload is one service and what runs it.
//
// +kubebuilder:validation:XValidation:rule="has(self.target) != has(self.selector)",message="a workload is named by target or found by selector: exactly one of them"
type Workload struct {
	// Service is its name, as telemetry has it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Service string `json:"service"`

	// Target is the workload by name.
	// +optional
	Target *WorkloadRef `json:"target,omitempty"`

	// Selector finds the workload by its labels: it must match exactly one Deployment or StatefulSet.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`

	// Container is the one whose CPU and memory are managed. It may be left out where the pods have one container.
	// +optional
	Container string `json:"container,omitempty"`

	// Mode of this workload; the application's where it is left out or goes further than that.
	// +optional
	Mode Mode `json:"mode,omitempty"`

	// Bounds are what no plan leaves.
	// +optional
	Bounds Bounds `json:"bounds,omitempty"`

	// Limits says what is made of a container's CPU and memory: Both sets requests and limits alike, Requests leaves limits
	// alone, also where there are none. Left out, it is Both where the container has a CPU limit, and else Requests.
	// +kubebuilder:validation:Enum=Both;Requests
	// +optional
	Limits LimitPolicy `json:"limits,omitempty"`

	// Autoscaler says what is done about an autoscaler that scales the same workload: Steer leaves it there and raises its
	// minimum, Refuse leaves the replicas to it, TakeOver asks that it is gone.
	// +kubebuilder:validation:Enum=Steer;Refuse;TakeOver
	// +kubebuilder:default=Steer
	// +optional
	Autoscaler AutoscalerPolicy `json:"autoscaler,omitempty"`
}

// LimitPolicy says what is made of a container's CPU and memory.
type LimitPolicy string

// The policies.
const (
	LimitsBoth     LimitPolicy = "Both"
	LimitsRequests LimitPolicy = "Requests"
)

// AutoscalerPolicy says what is done about an autoscaler of the same workload.
type AutoscalerPolicy string

// The policies.
const (
	AutoscalerSteer    AutoscalerPolicy = "Steer"
	AutoscalerRefuse   AutoscalerPolicy = "Refuse"
	AutoscalerTakeOver AutoscalerPolicy = "TakeOver"
)

// WorkloadRef names a workload in the application's namespace.
type WorkloadRef struct {
	// +kubebuilder:validation:Enum=Deployment;StatefulSet
	// +kubebuilder:default=Deployment
	// +optional
	Kind string `json:"kind,omitempty"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// Bounds are what no plan leaves, per replica and of their number. What is left out is not changed.
//
// +kubebuilder:validation:XValidation:rule="!has(self.cpu) || quantity(self.cpu.min).compareTo(quantity(self.cpu.max)) <= 0",message="cpu.min is above cpu.max"
// +kubebuilder:validation:XValidation:rule="!has(self.memory) || quantity(self.memory.min).compareTo(quantity(self.memory.max)) <= 0",message="memory.min is above memory.max"
type Bounds struct {
	// +optional
	Replicas *ReplicaRange `json:"replicas,omitempty"`
	// CPU of one replica.
	// +optional
	CPU *QuantityRange `json:"cpu,omitempty"`
	// Memory of one replica.
	// +optional
	Memory *QuantityRange `json:"memory,omitempty"`
}

// ReplicaRange bounds the number of replicas.
//
// +kubebuilder:validation:XValidation:rule="self.min <= self.max",message="replicas.min is above replicas.max"
type ReplicaRange struct {
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Min int32 `json:"min"`
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Max int32 `json:"max"`
}

// QuantityRange bounds CPU or memory.
type QuantityRange struct {
	Min Quantity `json:"min"`
	Max Quantity `json:"max"`
}

// Quantity is an amount as Kubernetes writes it, such as 250m or 1.5Gi. It is a string of bounded length, and no resource.Quantity,
// so that the API server can tell beforehand what it costs to compare those of a thousand workloads, and accepts the rule.
//
// +kubebuilder:validation:MaxLength=16
// +kubebuilder:validation:Pattern=`^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$`
type Quantity string

// Endpoint is what users call.
type Endpoint struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// Service that receives the call: one of the workloads'.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=100
	Service string `json:"service"`
	// Operation there, as its server span or its metrics' label has it; the endpoint's name where it is left out.
	// +optional
	Operation string `json:"operation,omitempty"`
	// Objective is a percentile of latency and its bound, such as p99 < 300ms. Failed and refused requests count as late.
	// +kubebuilder:validation:Pattern=`^p([1-9][0-9]?)(\.[0-9]{1,4})? *< *[0-9]+(\.[0-9]+)?(us|ms|s)$`
	// +optional
	Objective string `json:"objective,omitempty"`
	// Window is how long one judgement takes; 1s where it is left out.
	// +optional
	Window *metav1.Duration `json:"window,omitempty"`
	// MinRequests: a window with fewer is joined with the next; 100 where it is left out.
	// +kubebuilder:validation:Minimum=1
	// +optional
	MinRequests *int32 `json:"minRequests,omitempty"`
}

// Telemetry is where observations come from. Kubernetes itself tells of replicas and allocations in any case.
//
// +kubebuilder:validation:XValidation:rule="!has(self.prometheus) || self.prometheus.url.matches('^https?://')",message="prometheus.url must begin with http:// or https://"
type Telemetry struct {
	// Prometheus, or what answers as it does.
	// +optional
	Prometheus *Prometheus `json:"prometheus,omitempty"`
}

// Prometheus is a server that is asked.
type Prometheus struct {
	// +kubebuilder:validation:MinLength=1
	URL string `json:"url"`
	// Recipes name how metrics become observations, most trusted first: of those that Foresail brings along, all where it is left
	// out.
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	// +optional
	Recipes []string `json:"recipes,omitempty"`
	// Selector are label matchers that every series must meet, as PromQL writes them; namespace="that of the application" where it is
	// left out.
	// +optional
	Selector string `json:"selector,omitempty"`
	// TokenSecret is a Secret of the application's namespace whose key token is sent as a bearer token.
	// +optional
	TokenSecret string `json:"tokenSecret,omitempty"`
	// Every is how often it is asked; 15s where it is left out.
	// +optional
	Every *metav1.Duration `json:"every,omitempty"`
}

// Manager decides.
type Manager struct {
	// Name of the manager: foresail run --help lists them.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:default=hpa
	// +optional
	Name string `json:"name,omitempty"`
	// Settings of the manager, by name, each a number.
	// +optional
	Settings map[string]resource.Quantity `json:"settings,omitempty"`
	// Model that it decides with: the path of a file that the operator can read, such as one of a volume that is mounted there.
	// +optional
	Model string `json:"model,omitempty"`
	// Baseline takes over when the manager fails, its model is missing or telemetry goes silent.
	// +kubebuilder:default=hpa
	// +optional
	Baseline string `json:"baseline,omitempty"`
}

// FreezeWindow is time in which nothing is changed: once, from From to To, or again and again, as Schedule says.
//
// +kubebuilder:validation:XValidation:rule="has(self.from) ? has(self.to) && !has(self.schedule) : has(self.schedule) && has(self.duration)",message="a freeze window is from and to, or schedule and duration"
// +kubebuilder:validation:XValidation:rule="!has(self.from) || !has(self.to) || timestamp(self.from) < timestamp(self.to)",message="from is not before to"
type FreezeWindow struct {
	// +optional
	From *metav1.Time `json:"from,omitempty"`
	// +optional
	To *metav1.Time `json:"to,omitempty"`
	// Schedule is a line of five fields as cron has them.
	// +kubebuilder:validation:Pattern=`^\S+ \S+ \S+ \S+ \S+$`
	// +optional
	Schedule string `json:"schedule,omitempty"`
	// +optional
	Duration *metav1.Duration `json:"duration,omitempty"`
	// TimeZone of the schedule, as the IANA database names it; UTC where it is left out.
	// +optional
	TimeZone string `json:"timeZone,omitempty"`
	// Reason is shown where something is not done because of it.
	// +optional
	Reason string `json:"reason,omitempty"`
}
