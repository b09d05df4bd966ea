package foresail

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
)

// Allocation is what a service has, or should have. CPU and Memory are per replica; totals are over replicas.
type Allocation struct {
	Replicas int                `json:"replicas"`
	CPU      float64            `json:"cpu"`              // cores per replica
	Memory   int64              `json:"memory,omitempty"` // bytes per replica; 0 where memory is not managed
	Settings map[string]float64 `json:"settings,omitempty"`
}

// Cores is the total CPU over replicas.
func (a Allocation) Cores() float64 { return float64(a.Replicas) * a.CPU }

// Equal reports whether two allocations ask for the same, CPU to a thousandth of a core.
func (a Allocation) Equal(b Allocation) bool {
	if a.Replicas != b.Replicas || math.Abs(a.CPU-b.CPU) >= 0.0005 || a.Memory != b.Memory || len(a.Settings) != len(b.Settings) {
		return false
	}
	for k, v := range a.Settings {
		if w, ok := b.Settings[k]; !ok || v != w {
			return false
		}
	}
	return true
}

// clone shares nothing with a.
func (a Allocation) clone() Allocation {
	a.Settings = maps.Clone(a.Settings)
	return a
}

// String reads like "3 × 0.50 cores".
func (a Allocation) String() string { return fmt.Sprintf("%d × %.2f cores", a.Replicas, a.CPU) }

// Bounds are what no plan may leave: both ends belong to the range. A zero Max means that the quantity is fixed at Min.
type Bounds struct {
	MinReplicas, MaxReplicas int
	MinCPU, MaxCPU           float64 // cores per replica
	MinMemory, MaxMemory     int64   // bytes per replica; both 0 where memory is not managed
	Settings                 map[string]Range
}

// Range is a closed interval.
type Range struct{ Min, Max float64 }

// Clamp moves an allocation into the bounds and names what was binding, empty when nothing was. A CPU that is not a
// number becomes MinCPU. Settings that the bounds don't know are dropped.
func (b Bounds) Clamp(a Allocation) (Allocation, string) {
	var bound []string
	lim := func(cond bool, name string) bool {
		if cond {
			bound = append(bound, name)
		}
		return cond
	}
	switch {
	case lim(a.Replicas < b.MinReplicas, "min replicas"):
		a.Replicas = b.MinReplicas
	case lim(a.Replicas > max(b.MaxReplicas, b.MinReplicas), "max replicas"):
		a.Replicas = max(b.MaxReplicas, b.MinReplicas)
	}
	switch {
	case lim(!(a.CPU >= b.MinCPU), "min CPU"): // NaN too
		a.CPU = b.MinCPU
	case lim(a.CPU > max(b.MaxCPU, b.MinCPU), "max CPU"):
		a.CPU = max(b.MaxCPU, b.MinCPU)
	}
	switch {
	case lim(a.Memory < b.MinMemory, "min memory"):
		a.Memory = b.MinMemory
	case b.MaxMemory > 0 && lim(a.Memory > b.MaxMemory, "max memory"):
		a.Memory = b.MaxMemory
	}
	if len(a.Settings) > 0 {
		kept := make(map[string]float64, len(a.Settings))
		for _, k := range slices.Sorted(maps.Keys(a.Settings)) {
			v := a.Settings[k]
			r, ok := b.Settings[k]
			if !ok {
				continue
			}
			switch {
			case lim(!(v >= r.Min), "min "+k): // NaN too
				v = r.Min
			case lim(v > r.Max, "max "+k):
				v = r.Max
			}
			kept[k] = v
		}
		a.Settings = kept
	}
	return a, strings.Join(bound, ", ")
}

// Max is the largest allocation that the bounds allow.
func (b Bounds) Max() Allocation {
	return Allocation{Replicas: max(b.MaxReplicas, b.MinReplicas), CPU: max(b.MaxCPU, b.MinCPU), Memory: max(b.MaxMemory, b.MinMemory)}
}

// Plan is what should be: an allocation for each service that is to change, with its reason. A service left out keeps
// what it has.
type Plan struct {
	At      time.Time `json:"at"`      // the end of the last snapshot it was decided on
	Manager string    `json:"manager"` // who decided, wrappers included, for example "guard(hpa)"
	Changes []Change  `json:"changes"` // ordered by service, at most one each
	Note    string    `json:"note,omitempty"`
	// Fallback says why another manager than the one asked decided; empty in the normal case.
	Fallback string `json:"fallback,omitempty"`
	// Forecasts are what the manager expects, where it forecasts and did so anew, ordered by service and then by time.
	Forecasts []Forecast `json:"forecasts,omitempty"`
	// Outlook is what the manager expects of users' latency, where it predicts that; nil: it does not.
	Outlook *Outlook `json:"outlook,omitempty"`
	// Expected is what the manager expects of endpoints under what it decided, where it predicts them one by one and did so
	// anew, ordered by endpoint.
	Expected []Expectation `json:"expected,omitempty"`
	// Alarms are the dangers that were foreseen just now, where the manager foresees: one for each, when it begins.
	Alarms []Alarm `json:"alarms,omitempty"`
	// Over are the services of earlier alarms whose danger ended just now.
	Over []ServiceID `json:"over,omitempty"`
}

// Alarm says that a violation is about to start: where, how sure that is, and how long there is to act.
type Alarm struct {
	Service     ServiceID     `json:"service"`     // the culprit: the service that is expected to start it
	Probability float64       `json:"probability"` // of a violation within Within, 0..1
	Share       float64       `json:"share"`       // of that, the probability that it starts at Service, 0..1
	Within      time.Duration `json:"within"`      // nanoseconds; how long there is to act at most
	Text        string        `json:"text"`        // one sentence for people
}

// Outlook is the latency that a manager expects under what it decided, and how far it is to be believed.
type Outlook struct {
	Known      bool    `json:"known"`                // a model was asked; else only what is said of trust holds
	Percentile float64 `json:"percentile,omitempty"` // of Latency, over the requests of all endpoints, as in 99
	Latency    float64 `json:"latency_s,omitempty"`  // in the next second
	Limit      float64 `json:"limit_s,omitempty"`    // what it had to stay under to count as safe
	Violation  float64 `json:"violation,omitempty"`  // the probability that an objective is missed in the seconds after, 0..1
	Trusted    bool    `json:"trusted"`              // the model's word is taken: too many of its newest predictions missed a violation otherwise
	Scored     int     `json:"scored"`               // of its newest predictions, those that were held against what happened
	Missed     int     `json:"missed"`               // of those, violations that had been predicted safe
}

// Expectation is the latency that is expected at one endpoint.
type Expectation struct {
	Endpoint   EndpointID `json:"endpoint"`
	From       time.Time  `json:"from"`
	To         time.Time  `json:"to"`
	Percentile float64    `json:"percentile"` // over the requests that end in the interval, as in 99
	Latency    float64    `json:"latency_s"`
}

// Forecast is what is expected to arrive at one service in one interval ahead.
type Forecast struct {
	Service   ServiceID  `json:"service"`
	From      time.Time  `json:"from"`
	To        time.Time  `json:"to"`
	Arrivals  float64    `json:"arrivals"` // requests in the interval, mean
	Quantiles []Quantile `json:"quantiles,omitempty"`
}

// Quantile is a number of requests that is not exceeded with probability Share, 0..1.
type Quantile struct {
	Share    float64 `json:"share"`
	Arrivals float64 `json:"arrivals"`
}

// Change is the allocation that one service should have.
type Change struct {
	Service ServiceID  `json:"service"`
	To      Allocation `json:"to"`
	Reason  Reason     `json:"reason"`
}

// Reason tells a person why: what was seen or predicted, which bound was binding, what else was considered.
type Reason struct {
	Rule       string   `json:"rule"`                 // stable and short: "hpa/utilisation", "guard/step-limit"
	Text       string   `json:"text"`                 // one sentence with figures and units
	Bound      string   `json:"bound,omitempty"`      // what was binding, for example "max replicas"
	Considered []string `json:"considered,omitempty"` // what else was weighed, and why not
}

// Change finds the change for a service.
func (p *Plan) Change(id ServiceID) (Change, bool) {
	if p != nil {
		for _, c := range p.Changes {
			if c.Service == id {
				return c, true
			}
		}
	}
	return Change{}, false
}
