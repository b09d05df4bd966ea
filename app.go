package foresail

import (
	"fmt"
	"time"
)

// ServiceID numbers a service within its application. A service keeps its number for as long as it is known: numbers
// are only appended, so they index slices safely across generations.
type ServiceID int

// EndpointID numbers an endpoint within its application, under the same rule as ServiceID.
type EndpointID int

// App is an application as managers see it: services with the bounds they may be moved in, and the endpoints that
// users call, with an objective for each. It says nothing of how the application behaves inside; see Blueprint.
//
// Invariants, checked by whoever builds one (appfile for files):
//  1. names of services are unique and not empty, and so are names of endpoints;
//  2. every Endpoint.Entry indexes Services;
//  3. every Initial allocation lies within its Bounds.
type App struct {
	Name       string
	Generation int // grows when services come or go
	Services   []Service
	Endpoints  []Endpoint
}

// Service is one microservice.
type Service struct {
	Name    string
	Initial Allocation // what the application file asks for
	Bounds  Bounds     // what no plan may leave
	// Gone: it is no longer part of the application. It keeps its number and its name, and its Initial and Bounds are zero.
	Gone bool
}

// Endpoint is an entry operation: what users call.
type Endpoint struct {
	Name      string
	Entry     ServiceID  // the service that receives the call
	Operation string     // the operation's name there, as its server span carries it
	Objective *Objective // nil: observed, but without an objective
	Gone      bool       // users no longer call it; it keeps its number and its name, and has no objective
}

// Objective states that percentile Percentile of an endpoint's latency stays under Latency, judged over tumbling
// windows aligned to the clock. Failed, refused and timed-out requests count as over Latency.
type Objective struct {
	Percentile  float64       // 0..100, for example 99
	Latency     time.Duration // the bound
	Window      time.Duration // one judgement's length; 0 means DefaultWindow
	MinRequests int           // a window with fewer is joined with the next; 0 means DefaultMinRequests
}

// Defaults of an Objective.
const (
	DefaultWindow      = time.Second
	DefaultMinRequests = 100
)

// WindowOrDefault is the window's length with the default filled in.
func (o *Objective) WindowOrDefault() time.Duration {
	if o.Window <= 0 {
		return DefaultWindow
	}
	return o.Window
}

// MinRequestsOrDefault is the least number of requests that a window is judged on, with the default filled in.
func (o *Objective) MinRequestsOrDefault() int {
	if o.MinRequests <= 0 {
		return DefaultMinRequests
	}
	return o.MinRequests
}

// Allowed is the share of requests that may be late or failed: 1 - Percentile/100.
func (o *Objective) Allowed() float64 { return 1 - o.Percentile/100 }

// String reads like "p99 < 200ms".
func (o *Objective) String() string { return fmt.Sprintf("p%g < %s", o.Percentile, o.Latency) }

// ServiceByName finds a service's number.
func (a *App) ServiceByName(name string) (ServiceID, bool) {
	for i := range a.Services {
		if a.Services[i].Name == name {
			return ServiceID(i), true
		}
	}
	return 0, false
}

// EndpointByName finds an endpoint's number.
func (a *App) EndpointByName(name string) (EndpointID, bool) {
	for i := range a.Endpoints {
		if a.Endpoints[i].Name == name {
			return EndpointID(i), true
		}
	}
	return 0, false
}
