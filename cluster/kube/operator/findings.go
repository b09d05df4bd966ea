package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/cluster/kube/v1alpha1"
	"foresail.dev/loop"
	"foresail.dev/sketch"
)

// judged is how far back latencies are judged for status.
const judged = time.Minute

// findings are what status says, as far as it is not read from Kubernetes.
type findings struct {
	spec     kube.Spec
	last     time.Time // when something was observed, by the wall clock
	interval time.Duration
	stale    bool
	used     []float64 // cores, by service, of the last snapshot; below 0: not observed
	points   [][]point // by endpoint, oldest first, of the last minute
	plan     *foresail.Plan
	err      error // of the last decision
	changes  []v1alpha1.Decision
	broken   error // what ended the loop
}

// point is what was seen of an endpoint in a snapshot.
type point struct {
	end            time.Time
	latency        *sketch.Sketch
	requests, late float64
}

func (f *findings) begin(spec kube.Spec) {
	f.spec = spec
	f.used = make([]float64, len(spec.App.Services))
	for i := range f.used {
		f.used[i] = -1
	}
	f.points = make([][]point, len(spec.App.Endpoints))
}

func (f *findings) observed(s *foresail.Snapshot, now time.Time) {
	f.stale, f.interval = s.Stale, s.End.Sub(s.Start)
	if s.Stale {
		return
	}
	f.last = now
	for i := range min(len(s.Services), len(f.used)) {
		svc := &s.Services[i]
		over := svc.CPUOver
		if over <= 0 {
			over = f.interval
		}
		if f.used[i] = -1; svc.Has.Has(foresail.SignalCPU) && over > 0 {
			f.used[i] = svc.CPU / over.Seconds()
		}
	}
	if !s.Has.Has(foresail.SignalEndpoints) {
		return
	}
	for i := range min(len(s.Endpoints), len(f.points)) {
		e := &s.Endpoints[i]
		f.points[i] = append(f.points[i], point{end: s.End, latency: e.Latency, requests: e.Requests, late: e.Late})
		old := 0
		for old < len(f.points[i]) && s.End.Sub(f.points[i][old].end) >= judged {
			old++
		}
		f.points[i] = slices.Delete(f.points[i], 0, old)
	}
}

func (f *findings) decided(d loop.Decision, app *foresail.App) {
	f.err = d.Err
	if d.Plan != nil {
		f.plan = d.Plan
	}
	changed := d.Changed()
	if len(changed) == 0 {
		return
	}
	out := v1alpha1.Decision{At: metav1.NewTime(d.At.Truncate(time.Second)), Manager: d.Plan.Manager, Note: d.Plan.Note}
	for _, ch := range changed[:min(len(changed), 20)] {
		out.Changes = append(out.Changes, fmt.Sprintf("%s: %v to %v: %s", app.Services[ch.Service].Name, d.Before[ch.Service], ch.To, ch.Reason.Text))
	}
	f.changes = append([]v1alpha1.Decision{out}, f.changes[:min(len(f.changes), 9)]...)
}

// endpoints says how objectives are kept, and which are missed.
func (f *findings) endpoints() (out []v1alpha1.EndpointStatus, missed []string, known int) {
	for i := range f.spec.App.Endpoints {
		e := &f.spec.App.Endpoints[i]
		st := v1alpha1.EndpointStatus{Name: e.Name}
		all, requests, late := sketch.New(), 0.0, 0.0
		for _, p := range f.points[i] {
			requests += p.requests
			late += p.late
			if p.latency != nil {
				all.Merge(p.latency)
			}
		}
		if o := e.Objective; o != nil {
			st.Objective = o.String()
			if all.Count() > 0 {
				v := all.Quantile(o.Percentile / 100)
				st.Latency = time.Duration(v * float64(time.Second)).Round(100 * time.Microsecond).String()
			}
			if requests > 0 {
				met := late <= o.Allowed()*requests
				st.Met = &met
				known++
				if !met {
					missed = append(missed, fmt.Sprintf("%s: %.1f %% of its requests in the last minute failed or took longer than %v", e.Name, 100*late/requests, o.Latency))
				}
			}
		}
		out = append(out, st)
	}
	return out, missed, known
}

// conditions in their order.
func (f *findings) conditions(a *v1alpha1.Application, now time.Time, missed []string, known int, waiting []string) []metav1.Condition {
	is := func(kind string, status metav1.ConditionStatus, reason, message string) metav1.Condition {
		return metav1.Condition{Type: kind, Status: status, Reason: reason, Message: message, ObservedGeneration: a.Generation}
	}
	word := map[v1alpha1.Mode]string{v1alpha1.Auto: "Managed", v1alpha1.Recommend: "Recommending"}[a.Spec.Mode]
	if word == "" {
		word = "Observed"
	}
	ready := is(v1alpha1.Ready, metav1.ConditionTrue, word, "")
	var refused *foresail.ApplyError
	switch {
	case f.broken != nil:
		ready = is(v1alpha1.Ready, metav1.ConditionFalse, "Broken", f.broken.Error())
	case errors.As(f.err, &refused):
		ready = is(v1alpha1.Ready, metav1.ConditionFalse, "WriteRefused", f.err.Error())
	case f.err != nil:
		ready = is(v1alpha1.Ready, metav1.ConditionFalse, "DecisionFailed", f.err.Error())
	case len(waiting) > 0:
		ready.Message = strings.Join(waiting[:min(len(waiting), 5)], "; ")
	}
	fresh := is(v1alpha1.TelemetryFresh, metav1.ConditionTrue, "Fresh", "")
	switch {
	case f.last.IsZero():
		fresh = is(v1alpha1.TelemetryFresh, metav1.ConditionUnknown, "Waiting", "nothing was observed yet")
	case f.stale || f.interval > 0 && now.Sub(f.last) > 3*f.interval+5*time.Second:
		fresh = is(v1alpha1.TelemetryFresh, metav1.ConditionFalse, "Silent", fmt.Sprintf("nothing was observed since %s: is the source of telemetry up?", f.last.UTC().Format(time.RFC3339)))
	}
	met := is(v1alpha1.ObjectivesMet, metav1.ConditionTrue, "Met", "")
	switch {
	case len(missed) > 0:
		met = is(v1alpha1.ObjectivesMet, metav1.ConditionFalse, "Missed", strings.Join(missed[:min(len(missed), 5)], "; "))
	case known == 0:
		met = is(v1alpha1.ObjectivesMet, metav1.ConditionUnknown, "NotJudged", "no endpoint with an objective had requests in the last minute")
	}
	fallback := is(v1alpha1.Fallback, metav1.ConditionFalse, "ManagerDecides", "")
	if f.plan != nil && f.plan.Fallback != "" {
		fallback = is(v1alpha1.Fallback, metav1.ConditionTrue, "BaselineDecides", f.plan.Fallback)
	}
	return []metav1.Condition{ready, fresh, is(v1alpha1.ModelReady, metav1.ConditionTrue, "Loaded", "the manager has what it decides with"), met, fallback}
}
