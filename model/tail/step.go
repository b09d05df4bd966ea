package tail

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Percentiles are the quantiles of end-to-end latency that a step holds and a model predicts, as Sinan has them.
var Percentiles = [5]float64{0.90, 0.95, 0.98, 0.99, 0.999}

// P99 is where the 99th percentile lies in Percentiles.
const P99 = 3

// Interval is the length of a step.
const Interval = time.Second

// FailedFactor is how many times the objective a failed request is taken to have lasted: the user had no answer.
const FailedFactor = 10

// Step is what is known of one second of an application. What was not observed is NaN.
type Step struct {
	End       time.Time
	Rate      float64    // requests/s that arrived, over all endpoints
	Latency   [5]float64 // ms, by Percentiles, over the requests of all endpoints with an objective; see Reference
	Endpoints []EndpointStep
	Services  []ServiceStep // by ServiceID
}

// EndpointStep is what users saw of one endpoint in a second, by EndpointID.
type EndpointStep struct {
	Requests float64 // that ended, failed ones included
	Late     float64 // of those, over the objective or failed
}

// ServiceStep is what was seen of one service in a second. A service that has gone is all zero.
type ServiceStep struct {
	Replicas float64
	Cores    float64 // total over replicas, in effect at the end of the second: what was decided at its beginning
	Used     float64 // cores, mean over replicas
	Memory   float64 // MB (1e6 bytes), mean over replicas
	InFlight float64 // mean over the second, of all replicas
	Arrivals float64 // requests/s
	Wait     float64 // share of the second in which it was throttled, mean over replicas
}

// Reference is the latency, in ms, that an application's latencies are measured against: the smallest objective. Latencies
// of an endpoint with a larger objective are scaled down in proportion before they are pooled, so that a request at its
// objective counts the same wherever it went. It is NaN without an objective.
func Reference(app *foresail.App) float64 {
	least := math.NaN()
	for _, e := range app.Endpoints {
		if o := e.Objective; o != nil && !(ms(o.Latency) >= least) {
			least = ms(o.Latency)
		}
	}
	return least
}

// Observe makes a step of a snapshot, which should cover Interval; rates are per second whatever it covers.
func Observe(app *foresail.App, s *foresail.Snapshot) Step {
	d := s.Duration()
	step := Step{End: s.End, Rate: math.NaN(), Endpoints: make([]EndpointStep, len(app.Endpoints)), Services: make([]ServiceStep, len(app.Services))}
	for i := range step.Latency {
		step.Latency[i] = math.NaN()
	}
	if s.Has.Has(foresail.SignalEndpoints) {
		step.see(app, s)
	}
	for i := range step.Services {
		if app.Services[i].Gone {
			continue
		}
		if i >= len(s.Services) {
			n := math.NaN()
			step.Services[i] = ServiceStep{n, n, n, n, n, n, n}
			continue
		}
		step.Services[i] = service(&s.Services[i], d)
	}
	return step
}

// see fills in what users saw.
func (step *Step) see(app *foresail.App, s *foresail.Snapshot) {
	reference := Reference(app)
	var pooled sketch.Sketch
	var failed float64
	step.Rate = 0
	for i := range min(len(s.Endpoints), len(app.Endpoints)) {
		e := &s.Endpoints[i]
		step.Rate += e.Arrivals / s.Duration().Seconds()
		step.Endpoints[i] = EndpointStep{Requests: e.Requests, Late: e.Late}
		o := app.Endpoints[i].Objective
		if o == nil {
			continue
		}
		failed += e.Errors
		switch {
		case e.Latency == nil:
		case ms(o.Latency) == reference:
			pooled.Merge(e.Latency)
		default:
			for b, n := range e.Latency.Buckets() {
				v := sketch.UpperBound(b) * reference / ms(o.Latency)
				pooled.AddN(v, n)
			}
		}
	}
	pooled.AddN(FailedFactor*reference/1000, failed)
	if pooled.Count() > 0 {
		for i, q := range Percentiles {
			step.Latency[i] = pooled.Quantile(q) * 1000
		}
	}
}

func service(s *foresail.ServiceStats, d time.Duration) ServiceStep {
	n := math.NaN()
	out := ServiceStep{n, n, n, n, n, n, n}
	replicas := math.NaN()
	if s.Has.Has(foresail.SignalAllocation) {
		replicas = float64(s.Allocation.Replicas)
		out.Replicas, out.Cores = replicas, s.Allocation.Cores()
	} else if s.Has.Has(foresail.SignalReady) {
		replicas = float64(s.Ready)
		out.Replicas = replicas
	}
	if used, ok := s.Cores(d); ok {
		out.Used = per(used, replicas)
	}
	if s.Has.Has(foresail.SignalMemory) {
		out.Memory = per(float64(s.Memory)/1e6, replicas)
	}
	if s.Has.Has(foresail.SignalInFlight) {
		out.InFlight = s.InFlight.Mean
	}
	if s.Has.Has(foresail.SignalArrivals) {
		out.Arrivals = s.Arrivals / d.Seconds()
	}
	if s.Has.Has(foresail.SignalThrottled) {
		out.Wait = per(s.Throttled.Seconds()/d.Seconds(), replicas)
	}
	return out
}

// Violated reports whether an endpoint's objective was missed in the second: more of its requests were late than the
// objective's percentile allows.
func (step *Step) Violated(app *foresail.App) bool {
	for i, e := range step.Endpoints {
		if o := app.Endpoints[i].Objective; o != nil && e.Late > (1-o.Percentile/100)*e.Requests {
			return true
		}
	}
	return false
}

// per is the mean over replicas; 0 where there are none.
func per(v, replicas float64) float64 {
	if replicas == 0 {
		return 0
	}
	return v / replicas
}

func ms(d time.Duration) float64 { return d.Seconds() * 1000 }
