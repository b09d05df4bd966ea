package scenario

import (
	"regexp"
	"strconv"
	"strings"

	"foresail.dev"
	"foresail.dev/sketch"
)

// scope is what a metric may be asked of; the whole application always is one, where it is named with nothing.
type scope uint8

const (
	endpoints scope = 1 << iota
	services
)

// how is the way in which a metric over a span comes from seconds.
type how uint8

const (
	merged  how = iota // of all that was counted in the span
	meaned             // the mean of each second's value
	judged             // of the windows that ended in the span
	decided            // of the decisions in the span
)

// metric is something that can be asked of a run.
type metric struct {
	name  string
	about string
	on    scope
	unit  unit
	how   how
	// value is what one snapshot tells; for merged and meaned.
	value func(s *foresail.Snapshot, of subject) (float64, bool)
	// windows counts what there is of the windows of an objective.
	windows func(all []foresail.Window) float64
	// decisions counts what there is in a decision.
	decisions func(d *made, of subject) float64
}

// subject is what a metric is asked of: nothing is the whole application.
type subject struct {
	kind scope
	id   int
	name string
}

func (s subject) String() string { return s.name }

// metrics are all but the quantiles.
var metrics = []metric{
	{name: "latency", about: "mean time to an answer, of what did not fail", on: endpoints | services, unit: seconds, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		k := latency(s, of)
		return k.Mean(), k.Count() > 0
	}},
	{name: "rate", about: "requests that arrived, a second", on: endpoints | services, unit: perSecond, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return flow(s, of).arrivals / s.Duration().Seconds(), true
	}},
	{name: "arrivals", about: "requests that arrived", on: endpoints | services, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return flow(s, of).arrivals, true
	}},
	{name: "requests", about: "requests that ended, failed ones included", on: endpoints | services, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return flow(s, of).ended, true
	}},
	{name: "errors", about: "requests that failed, were refused or timed out", on: endpoints | services, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return flow(s, of).errors, true
	}},
	{name: "error-share", about: "errors over requests", on: endpoints | services, unit: share, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		f := flow(s, of)
		return f.errors / f.ended, f.ended > 0
	}},
	{name: "late", about: "requests over the objective, errors included", on: endpoints, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return flow(s, of).late, true
	}},
	{name: "cores", about: "cores held, of replicas that start or drain too", on: services, unit: cores, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return sum(s, of, func(v *foresail.ServiceStats) (float64, bool) { return v.Held() })
	}},
	{name: "used", about: "cores in use", on: services, unit: cores, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return sum(s, of, func(v *foresail.ServiceStats) (float64, bool) { return v.Cores(s.Duration()) })
	}},
	{name: "utilisation", about: "cores in use over cores allocated", on: services, unit: share, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		used, ok := sum(s, of, func(v *foresail.ServiceStats) (float64, bool) { return v.Cores(s.Duration()) })
		has, ok2 := sum(s, of, func(v *foresail.ServiceStats) (float64, bool) {
			return v.Allocation.Cores(), v.Has.Has(foresail.SignalAllocation)
		})
		return used / has, ok && ok2 && has > 0
	}},
	{name: "replicas", about: "replicas that take requests", on: services, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return sum(s, of, func(v *foresail.ServiceStats) (float64, bool) {
			return float64(v.Ready), v.Has.Has(foresail.SignalReady)
		})
	}},
	{name: "in-flight", about: "requests accepted and not answered", on: services, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return sum(s, of, func(v *foresail.ServiceStats) (float64, bool) {
			return v.InFlight.Mean, v.Has.Has(foresail.SignalInFlight)
		})
	}},
	{name: "throttled", about: "share of the time that a replica waits for quota", on: services, unit: share, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		n := 0.0
		waits, ok := sum(s, of, func(v *foresail.ServiceStats) (float64, bool) {
			n += float64(len(v.Replicas))
			return v.Throttled.Seconds(), v.Has.Has(foresail.SignalThrottled)
		})
		return waits / n / s.Duration().Seconds(), ok && n > 0
	}},
	{name: "memory", about: "bytes in use", on: services, unit: bytes, how: meaned, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
		return sum(s, of, func(v *foresail.ServiceStats) (float64, bool) {
			return float64(v.Memory), v.Has.Has(foresail.SignalMemory)
		})
	}},
	{name: "windows", about: "windows in which the objective was judged", on: endpoints, how: judged, windows: func(all []foresail.Window) float64 { return float64(len(all)) }},
	{name: "violations", about: "windows in violation", on: endpoints, how: judged, windows: violations},
	{name: "violation-share", about: "violations over windows", on: endpoints, unit: share, how: judged, windows: func(all []foresail.Window) float64 {
		return violations(all) / float64(len(all))
	}},
	{name: "episodes", about: "episodes of violation that began", on: endpoints, how: judged},
	{name: "decisions", about: "how often the manager decided", how: decided, decisions: func(*made, subject) float64 { return 1 }},
	{name: "changes", about: "allocations that plans asked to change", on: services, how: decided, decisions: func(d *made, of subject) float64 { return d.count(of, 0) }},
	{name: "raises", about: "those that asked for more cores", on: services, how: decided, decisions: func(d *made, of subject) float64 { return d.count(of, 1) }},
	{name: "cuts", about: "those that asked for fewer", on: services, how: decided, decisions: func(d *made, of subject) float64 { return d.count(of, -1) }},
	{name: "fallbacks", about: "decisions made by another than the one asked", how: decided, decisions: func(d *made, _ subject) float64 {
		return truth(d.Plan != nil && d.Plan.Fallback != "")
	}},
	{name: "failures", about: "decisions that ended in an error", how: decided, decisions: func(d *made, _ subject) float64 { return truth(d.Err != nil) }},
}

// texts are what a plan says in words.
var texts = []struct {
	name, about string
	on          scope
	of          func(d *made, of subject) []string
}{
	{"reason", "why allocations were changed", services, (*made).reasons},
	{"fallback", "why another decided", 0, func(d *made, _ subject) []string {
		if d.Plan == nil || d.Plan.Fallback == "" {
			return nil
		}
		return []string{d.Plan.Fallback}
	}},
	{"note", "what else a plan says", 0, func(d *made, _ subject) []string {
		if d.Plan == nil || d.Plan.Note == "" {
			return nil
		}
		return []string{d.Plan.Note}
	}},
	{"failure", "errors of deciding and applying", 0, func(d *made, _ subject) []string {
		if d.Err == nil {
			return nil
		}
		return []string{d.Err.Error()}
	}},
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func violations(all []foresail.Window) (n float64) {
	for _, w := range all {
		n += truth(w.Violated)
	}
	return n
}

var quantile = regexp.MustCompile(`^p(\d{1,2}(\.\d{1,3})?)$`)

// metricNames are all, for faults.
func metricNames() string {
	names := []string{"p50, p99, p99.9 and the like"}
	for _, m := range metrics {
		names = append(names, m.name)
	}
	return strings.Join(names, ", ")
}

func findMetric(name string) (*metric, bool) {
	for i := range metrics {
		if metrics[i].name == name {
			return &metrics[i], true
		}
	}
	if m := quantile.FindStringSubmatch(name); m != nil {
		p, _ := strconv.ParseFloat(m[1], 64)
		return &metric{name: name, on: endpoints | services, unit: seconds, value: func(s *foresail.Snapshot, of subject) (float64, bool) {
			k := latency(s, of)
			return k.Quantile(p / 100), k.Count() > 0
		}}, true
	}
	return nil, false
}

// latency is of a service, an endpoint, or all endpoints.
func latency(s *foresail.Snapshot, of subject) *sketch.Sketch {
	switch {
	case of.kind == services && of.id < len(s.Services):
		return orEmpty(s.Services[of.id].Latency)
	case of.kind == endpoints && of.id < len(s.Endpoints):
		return orEmpty(s.Endpoints[of.id].Latency)
	}
	all := sketch.New()
	if of.kind == 0 {
		for i := range s.Endpoints {
			all.Merge(orEmpty(s.Endpoints[i].Latency))
		}
	}
	return all
}

func orEmpty(k *sketch.Sketch) *sketch.Sketch {
	if k == nil {
		return sketch.New()
	}
	return k
}

// flows are counters of a service, an endpoint, or all endpoints.
type flows struct{ arrivals, ended, errors, late float64 }

func flow(s *foresail.Snapshot, of subject) (f flows) {
	if of.kind == services {
		if of.id < len(s.Services) {
			v := &s.Services[of.id]
			f = flows{v.Arrivals, v.Completions, v.Errors, 0}
		}
		return f
	}
	for i := range s.Endpoints {
		if of.kind == 0 || i == of.id {
			e := &s.Endpoints[i]
			f.arrivals += e.Arrivals
			f.ended += e.Requests
			f.errors += e.Errors
			f.late += e.Late
		}
	}
	return f
}

// sum is of one service or of all; ok is false where none had the value.
func sum(s *foresail.Snapshot, of subject, value func(*foresail.ServiceStats) (float64, bool)) (total float64, ok bool) {
	for i := range s.Services {
		if of.kind == services && i != of.id {
			continue
		}
		if v, has := value(&s.Services[i]); has {
			total += v
			ok = true
		}
	}
	return total, ok
}
