package compare

import (
	"encoding/json"
	"math"
)

// Outcome is what one run gave. It is kept as one file. Everything but Decisions, DecisionErrors, Fallbacks and
// DecisionP99 is of the time after the warm-up; what was not observed is nil.
type Outcome struct {
	Run
	Key     string `json:"key"`     // the hash of Inputs
	Program string `json:"program"` // that made it

	Failed    string  `json:"failed,omitempty"`    // why the run came to nothing; then only what is above holds
	Abandoned bool    `json:"abandoned,omitempty"` // it failed by the wall clock, so it is made anew the next time
	Observed  float64 `json:"observed_s"`          // of the application's own time

	Cores     *float64 `json:"cores_mean,omitempty"` // held by all replicas, those that start or drain included; mean over time
	CoresUsed *float64 `json:"cores_used_mean,omitempty"`
	Replicas  *float64 `json:"replicas_mean,omitempty"`

	Endpoints []EndpointOutcome `json:"endpoints"` // those with an objective

	Surges      int      `json:"surges,omitempty"`      // spikes and flash crowds of the load
	Recovery    *float64 `json:"recovery_s,omitempty"`  // from one's start until all endpoints were well again; mean over them
	Unrecovered int      `json:"unrecovered,omitempty"` // of them, those that it had not come out of before the next one or the end

	PlanChanges    int `json:"plan_changes"`    // changes of a service's allocation that were applied
	ScalingActions int `json:"scaling_actions"` // of those, changes of the number of replicas

	Decisions      int      `json:"decisions"`
	DecisionErrors int      `json:"decision_errors,omitempty"` // that failed, or could not be applied
	DecisionError  string   `json:"decision_error,omitempty"`  // the first
	Fallbacks      int      `json:"fallbacks,omitempty"`       // decisions that the guard's baseline took
	Fallback       string   `json:"fallback,omitempty"`        // why, the first time
	DecisionP99    *float64 `json:"decision_ms_p99,omitempty"`

	Series *Series `json:"series,omitempty"`
	State  []byte  `json:"state,omitempty"` // of a training run: what was learnt

	// Shortfalls say in what a run on real processes was not what was asked for: requests that were not observed, a load
	// generator that fell behind.
	Shortfalls []string `json:"shortfalls,omitempty"`

	undecided int   // decisions that failed
	unstarted error // why it was never begun: the machine's fault
}

// EndpointOutcome is how one endpoint was served. Latencies are of the requests that did not fail, at most 4.4 % off (a
// sketch's bucket).
type EndpointOutcome struct {
	Endpoint   string   `json:"endpoint"`
	Percentile float64  `json:"objective_percentile"`
	Objective  float64  `json:"objective_ms"`
	Requests   float64  `json:"requests"`
	Errors     float64  `json:"errors"`
	Windows    int      `json:"windows"`  // judged
	Violated   int      `json:"violated"` // of those, in violation
	Episodes   int      `json:"episodes"`
	P50        *float64 `json:"p50_ms,omitempty"`
	P95        *float64 `json:"p95_ms,omitempty"`
	P99        *float64 `json:"p99_ms,omitempty"`
	At         *float64 `json:"objective_percentile_ms,omitempty"` // latency at the objective's percentile
}

// share is the share of judged windows in violation; ok is false where none was judged.
func (e *EndpointOutcome) share() (share float64, ok bool) {
	if e.Windows == 0 {
		return 0, false
	}
	return float64(e.Violated) / float64(e.Windows), true
}

// Series is a run over time, warm-up included, in steps of equal length.
type Series struct {
	Step      float64          `json:"step_s"`
	Warmup    float64          `json:"warmup_s"`
	Rate      Points           `json:"rate"` // requests/s that ended
	Cores     Points           `json:"cores"`
	Used      Points           `json:"cores_used"`
	Replicas  Points           `json:"replicas"`
	Services  []ServiceSeries  `json:"services"`  // those that hold most, most first
	Endpoints []EndpointSeries `json:"endpoints"` // those with an objective
}

// ServiceSeries is the cores that a service holds, and those that it uses.
type ServiceSeries struct {
	Service string `json:"service"`
	Cores   Points `json:"cores"`
	Used    Points `json:"cores_used,omitempty"`
}

// EndpointSeries is an endpoint's latency at its objective's percentile, in milliseconds, and when it was in violation.
type EndpointSeries struct {
	Endpoint string       `json:"endpoint"`
	Latency  Points       `json:"latency_ms"`
	Violated [][2]float64 `json:"violated,omitempty"` // stretches in violation, seconds from the start
}

// Points are values in steps of a Series; NaN where there is none, which JSON writes as null. Three or four digits are
// kept: they are drawn, not computed with.
type Points []float64

// MarshalJSON writes null for NaN.
func (p Points) MarshalJSON() ([]byte, error) {
	out := make([]*float64, len(p))
	for i, v := range p {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			v = brief(v)
			out[i] = &v
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads null as NaN.
func (p *Points) UnmarshalJSON(b []byte) error {
	var in []*float64
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*p = make(Points, len(in))
	for i, v := range in {
		(*p)[i] = math.NaN()
		if v != nil {
			(*p)[i] = *v
		}
	}
	return nil
}

// brief keeps three decimals of small numbers and four digits of others.
func brief(v float64) float64 {
	scale := 1000.0
	if a := math.Abs(v); a >= 10 {
		scale = math.Pow(10, math.Max(3-math.Floor(math.Log10(a)), 0))
	}
	return math.Round(v*scale) / scale
}
