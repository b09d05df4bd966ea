package kubes

import (
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/kube"
	"foresail.dev/loop"
	"foresail.dev/sketch"
)

// Row is what is told of one workload.
type Row struct {
	Service   string `json:"service"`
	Workload  string `json:"workload"` // "Deployment shop/cart"
	Container string `json:"container"`

	Replicas int      `json:"replicas"`
	CPU      float64  `json:"cpu_cores"` // of one replica
	Cores    float64  `json:"cores"`
	UsedMean *float64 `json:"cores_used_mean,omitempty"` // over all that was seen; absent: not observed
	UsedP95  *float64 `json:"cores_used_p95,omitempty"`  // of snapshots
	Seen     float64  `json:"observed_s"`

	ToReplicas *int     `json:"recommended_replicas,omitempty"` // absent: nothing is recommended
	ToCPU      *float64 `json:"recommended_cpu_cores,omitempty"`
	ToCores    *float64 `json:"recommended_cores,omitempty"`
	Saved      float64  `json:"saved_cores"` // below 0: it needs more
	Reason     string   `json:"reason"`

	Dangers []string `json:"dangers,omitempty"` // what is about to break, or would
}

// What counts as a danger.
const (
	throttledShare = 0.05 // of the time, per replica
	nearLimit      = 0.9  // of the allocation that is used, at the 95th percentile
	enoughSeen     = 2 * time.Minute
)

// adviser sums up what is observed and recommended.
type adviser struct {
	spec kube.Spec
	of   []seen
}

// seen is what was seen of one service.
type seen struct {
	over           time.Duration
	used           float64 // core-seconds
	cores          *sketch.Sketch
	throttled      float64 // replica-seconds
	replicaSeconds float64
	to             *foresail.Change
}

func newAdviser(spec kube.Spec) *adviser {
	a := &adviser{spec: spec, of: make([]seen, len(spec.Workloads))}
	for i := range a.of {
		a.of[i].cores = sketch.New()
	}
	return a
}

// events are how the loop tells.
func (a *adviser) events() loop.Events {
	return loop.Events{
		Observed: func(_ *foresail.History, s *foresail.Snapshot) { a.observe(s) },
		Decided: func(d loop.Decision) {
			if d.Plan == nil {
				return
			}
			for _, ch := range d.Plan.Changes {
				if int(ch.Service) < len(a.of) {
					a.of[ch.Service].to = &ch
				}
			}
		},
	}
}

// observe takes a snapshot, of the past or of now.
func (a *adviser) observe(s *foresail.Snapshot) {
	length := s.End.Sub(s.Start)
	for i := range min(len(s.Services), len(a.of)) {
		svc, o := &s.Services[i], &a.of[i]
		over := svc.CPUOver
		if over <= 0 {
			over = length
		}
		if over <= 0 {
			continue
		}
		if svc.Has.Has(foresail.SignalCPU) {
			o.over += over
			o.used += svc.CPU
			o.cores.AddN(svc.CPU/over.Seconds(), over.Seconds())
		}
		if n := max(len(svc.Replicas), svc.Ready); svc.Has.Has(foresail.SignalThrottled) && n > 0 {
			o.throttled += svc.Throttled.Seconds()
			o.replicaSeconds += over.Seconds() * float64(n)
		}
	}
}

// rows of all workloads as they are now.
func (a *adviser) rows(states []kube.State) []Row {
	out := make([]Row, len(a.of))
	for i := range a.of {
		out[i] = a.row(i, states[i])
	}
	return out
}

func (a *adviser) row(i int, st kube.State) Row {
	w, o := a.spec.Workloads[i], &a.of[i]
	r := Row{Service: a.spec.App.Services[i].Name, Workload: w.Ref.String(), Container: w.Container,
		Replicas: st.Replicas, CPU: st.Allocation.CPU, Cores: st.Allocation.Cores(), Seen: o.over.Seconds()}
	if !st.Found {
		r.Reason = "it is gone"
		return r
	}
	if o.over > 0 {
		mean, p95 := o.used/o.over.Seconds(), o.cores.Quantile(0.95)
		r.UsedMean, r.UsedP95 = &mean, &p95
	}
	r.Dangers = dangers(o, st, r.UsedP95)
	switch {
	case o.over == 0:
		r.Reason = "its CPU is not observed: nothing is recommended; see foresail doctor"
	case st.Allocation.CPU == 0:
		r.Reason = "its replicas ask for no CPU: give them a request, or its use can't be held against anything"
	case o.to == nil && o.over < enoughSeen:
		r.Reason = fmt.Sprintf("seen for %v so far: too short to say", o.over.Round(time.Second))
	case o.to == nil:
		r.Reason = "it has what it should have"
	default:
		to := o.to.To
		n, cpu, cores := to.Replicas, to.CPU, to.Cores()
		r.ToReplicas, r.ToCPU, r.ToCores = &n, &cpu, &cores
		r.Saved, r.Reason = r.Cores-cores, o.to.Reason.Text
		if st.Scaler != "" {
			r.Reason += "; its replicas are " + st.Scaler + "'s"
		}
	}
	return r
}

// dangers names what a person should look at, with figures.
func dangers(o *seen, st kube.State, p95 *float64) []string {
	var out []string
	if o.replicaSeconds > 0 {
		if share := o.throttled / o.replicaSeconds; share > throttledShare {
			out = append(out, fmt.Sprintf("throttled %.0f %% of the time: its CPU limit slows it down", 100*share))
		}
	}
	if all := st.Allocation.Cores(); p95 != nil && all > 0 && *p95 > nearLimit*all {
		what := "limit"
		if st.Limits == kube.LimitsRequests {
			what = "request"
		}
		out = append(out, fmt.Sprintf("uses %.2f of %.2f cores at its 95th percentile: at its %s", *p95, all, what))
	}
	if st.Ready < st.Replicas {
		out = append(out, fmt.Sprintf("%d of %d replicas are ready", st.Ready, st.Replicas))
	}
	if st.Restarts > 0 {
		out = append(out, fmt.Sprintf("its pods have restarted %d times", st.Restarts))
	}
	if st.Replicas == 1 {
		out = append(out, "one replica: when it restarts, nobody answers")
	}
	return append(out, st.Waiting...)
}
