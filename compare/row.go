package compare

import (
	"cmp"
	"math"
	"slices"

	"foresail.dev/compare/expected"
)

// Row is an application under a load with a manager: means over the seeds whose run did not fail. What was not observed
// is absent. Latency, objective, violations and episodes are of the worst endpoint: the one with the largest violation
// share over the seeds, and of equals the one that comes nearest its objective.
type Row struct {
	Application string `json:"application"`
	Load        string `json:"load"`
	Manager     string `json:"manager"`
	Guarded     bool   `json:"guarded"`
	Seeds       int    `json:"seeds"`             // that the means are over
	Failed      int    `json:"failed,omitempty"`  // runs that came to nothing
	Failure     string `json:"failure,omitempty"` // why, the first of them

	Cores     *float64 `json:"cores_mean,omitempty"`
	CoresCI   *float64 `json:"cores_ci95,omitempty"` // half the width of the 95 % interval; absent for one seed
	CoresUsed *float64 `json:"cores_used_mean,omitempty"`
	Replicas  *float64 `json:"replicas_mean,omitempty"`

	Violations   *float64 `json:"violation_share,omitempty"`
	ViolationsCI *float64 `json:"violation_ci95,omitempty"`
	Episodes     *float64 `json:"episodes,omitempty"`

	Endpoint   string   `json:"endpoint,omitempty"`
	P95        *float64 `json:"p95_ms,omitempty"`
	P99        *float64 `json:"p99_ms,omitempty"`
	Objective  *float64 `json:"objective_ms,omitempty"`
	Percentile *float64 `json:"objective_percentile,omitempty"`

	Recovery    *float64 `json:"recovery_s,omitempty"` // absent where the load has no spike and no flash crowd
	RecoveryCI  *float64 `json:"recovery_ci95,omitempty"`
	Unrecovered *float64 `json:"unrecovered,omitempty"` // of a run; absent where there were none

	PlanChanges      *float64 `json:"plan_changes,omitempty"`
	ScalingActions   *float64 `json:"scaling_actions,omitempty"`
	Alarms           *float64 `json:"alarms,omitempty"` // dangers foreseen in a run; absent where nothing was foreseen
	expected.Columns          // absent where no latencies of endpoints were predicted

	Fallbacks      *float64 `json:"fallbacks,omitempty"` // decisions that the guard's baseline took; absent where there were none
	Fallback       string   `json:"fallback,omitempty"`  // why, the first time
	DecisionErrors *float64 `json:"decision_errors,omitempty"`
	DecisionError  string   `json:"decision_error,omitempty"`
	DecisionP99    *float64 `json:"decision_ms_p99,omitempty"` // of the wall clock

	bySeed map[uint64]seedValues
}

// seedValues are what differences are taken of.
type seedValues struct{ cores, violations *float64 }

// endpoint finds an endpoint's outcome.
func (o *Outcome) endpoint(name string) *EndpointOutcome {
	for i := range o.Endpoints {
		if o.Endpoints[i].Endpoint == name {
			return &o.Endpoints[i]
		}
	}
	return nil
}

// worst names the worst endpoint over runs that differ in their seed; ok is false where none was judged.
func worst(runs []*Outcome) (name string, ok bool) {
	type standing struct {
		name            string
		share, nearness float64
	}
	var all []standing
	for _, e := range runs[0].Endpoints {
		s, n := standing{name: e.Endpoint}, 0.0
		for _, o := range runs {
			at := o.endpoint(e.Endpoint)
			if at == nil {
				continue
			}
			if v, judged := at.share(); judged {
				n++
				s.share += v
				if at.At != nil {
					s.nearness += *at.At / at.Objective
				}
			}
		}
		if n > 0 {
			s.share, s.nearness = s.share/n, s.nearness/n
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return "", false
	}
	return slices.MaxFunc(all, func(a, b standing) int {
		return cmp.Or(cmp.Compare(a.share, b.share), cmp.Compare(a.nearness, b.nearness), cmp.Compare(b.name, a.name))
	}).name, true
}

// newRow makes the row of runs that differ in their seed. runs is not empty.
func newRow(runs []*Outcome) *Row {
	first := runs[0]
	r := &Row{Application: first.Application, Load: first.Load, Manager: first.Manager, Guarded: first.Inputs.Guarded, bySeed: map[uint64]seedValues{}}
	var good []*Outcome
	var predicted []expected.Columns
	for _, o := range runs {
		if o.Failed == "" {
			good = append(good, o)
			continue
		}
		if r.Failed++; r.Failure == "" {
			r.Failure = o.Failed
		}
	}
	if r.Seeds = len(good); r.Seeds == 0 {
		return r
	}
	r.Cores, r.CoresCI = over(good, func(o *Outcome) *float64 { return o.Cores })
	r.CoresUsed, _ = over(good, func(o *Outcome) *float64 { return o.CoresUsed })
	r.Replicas, _ = over(good, func(o *Outcome) *float64 { return o.Replicas })
	r.DecisionP99, _ = over(good, func(o *Outcome) *float64 { return o.DecisionP99 })
	r.Recovery, r.RecoveryCI = over(good, func(o *Outcome) *float64 { return o.Recovery })
	for _, o := range good {
		predicted = append(predicted, o.Columns)
	}
	r.Columns = expected.Mean(predicted...)
	if n := count(good, func(o *Outcome) int { return o.Unrecovered }); *n > 0 {
		r.Unrecovered = n
	}
	if n := count(good, func(o *Outcome) int { return o.Alarms }); *n > 0 {
		r.Alarms = n
	}
	r.PlanChanges = count(good, func(o *Outcome) int { return o.PlanChanges })
	r.ScalingActions = count(good, func(o *Outcome) int { return o.ScalingActions })
	for _, o := range good {
		if o.Fallbacks > 0 && r.Fallback == "" {
			r.Fallback, r.Fallbacks = o.Fallback, count(good, func(o *Outcome) int { return o.Fallbacks })
		}
		if o.DecisionErrors > 0 && r.DecisionError == "" {
			r.DecisionError, r.DecisionErrors = o.DecisionError, count(good, func(o *Outcome) int { return o.DecisionErrors })
		}
	}
	r.judge(good)
	return r
}

// judge fills in what is of the worst endpoint.
func (r *Row) judge(good []*Outcome) {
	name, judged := worst(good)
	share := func(e *EndpointOutcome) *float64 {
		if v, ok := e.share(); ok {
			return &v
		}
		return nil
	}
	of := func(f func(*EndpointOutcome) *float64) func(*Outcome) *float64 {
		return func(o *Outcome) *float64 {
			if e := o.endpoint(name); judged && e != nil {
				return f(e)
			}
			return nil
		}
	}
	for _, o := range good {
		r.bySeed[o.Inputs.Seed] = seedValues{o.Cores, of(share)(o)}
	}
	if !judged {
		return
	}
	r.Endpoint = name
	r.Violations, r.ViolationsCI = over(good, of(share))
	r.Episodes, _ = over(good, of(func(e *EndpointOutcome) *float64 { return ptr(float64(e.Episodes)) }))
	r.P95, _ = over(good, of(func(e *EndpointOutcome) *float64 { return e.P95 }))
	r.P99, _ = over(good, of(func(e *EndpointOutcome) *float64 { return e.P99 }))
	r.Objective, _ = over(good, of(func(e *EndpointOutcome) *float64 { return ptr(e.Objective) }))
	r.Percentile, _ = over(good, of(func(e *EndpointOutcome) *float64 { return ptr(e.Percentile) }))
}

// over is the mean of a value over the runs that have it, and half the width of its interval.
func over(runs []*Outcome, f func(*Outcome) *float64) (mean, half *float64) {
	var values []float64
	for _, o := range runs {
		if v := f(o); v != nil {
			values = append(values, *v)
		}
	}
	if len(values) == 0 {
		return nil, nil
	}
	e := estimated(values)
	if e.half != nil {
		half = ptr(finer(*e.half))
	}
	return ptr(finer(e.mean)), half
}

func count(runs []*Outcome, f func(*Outcome) int) *float64 {
	mean, _ := over(runs, func(o *Outcome) *float64 { return ptr(float64(f(o))) })
	return mean
}

// finer keeps six decimals: a share of windows may be small.
func finer(v float64) float64 { return math.Round(v*1e6) / 1e6 }
