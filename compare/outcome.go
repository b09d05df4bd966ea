package compare

import (
	"foresail.dev/compare/expected"
	"foresail.dev/compare/series"
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

	Alarms int `json:"alarms,omitempty"` // dangers that were foreseen

	// How far the latencies that the manager expects of endpoints were from what was observed then.
	Predictions int `json:"predictions,omitempty"` // of the objectives' percentiles
	expected.Columns

	Decisions      int      `json:"decisions"`
	DecisionErrors int      `json:"decision_errors,omitempty"` // that failed, or could not be applied
	DecisionError  string   `json:"decision_error,omitempty"`  // the first
	Fallbacks      int      `json:"fallbacks,omitempty"`       // decisions that the guard's baseline took
	Fallback       string   `json:"fallback,omitempty"`        // why, the first time
	DecisionP99    *float64 `json:"decision_ms_p99,omitempty"`

	Series *series.Series `json:"series,omitempty"`
	State  []byte         `json:"state,omitempty"` // of a training run: what was learnt

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
