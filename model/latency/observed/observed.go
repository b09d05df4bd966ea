// Package observed says in the words of package latency what snapshots hold: of each service and each of its instances the knobs, the
// rate and the percentiles of latency, as streams that package stream joins.
package observed

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"foresail.dev"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/stream"
)

// Names of knobs.
const (
	CPU    = "cpu"    // cores of an instance
	Memory = "memory" // bytes of an instance, where it is managed
)

// Config says what is read of a snapshot. Start from Default.
type Config struct {
	Metrics []string // percentiles, as "0.90"; of callers' inputs, and of targets
	// Least is how many requests an interval must have of a service, or of an instance, for its percentiles to mean something.
	Least float64
}

// Default reads the median, and the 90th, 95th and 99th percentile, of at least 100 requests.
func Default() Config { return Config{Metrics: []string{"0.50", "0.90", "0.95", "0.99"}, Least: 100} }

// Percentile is the percentile that a metric's name says, above 0 and below 1.
func Percentile(metric string) (float64, bool) {
	q, err := strconv.ParseFloat(metric, 64)
	return q, err == nil && q > 0 && q < 1
}

// Values are a snapshot's, numbered by the Unix second in which it ends. Labels without # are of an instance of the service, whichever: its rate
// is the mean over ready ones. Where there are several, each has labels of its own besides.
//
// Of a service that is changing, whose allocation is not in effect or whose replicas are not all ready, and of one that had too few
// requests, there are none: what it does then is not what the next interval will see.
func Values(app *foresail.App, s *foresail.Snapshot, cfg Config) (out []stream.Value) {
	seq := s.End.Unix()
	add := func(service, name string, v float64) {
		out = append(out, stream.Value{Label: latency.Label(service, name), Kind: stream.Continuous, Seq: seq, Number: v})
	}
	for i := range min(len(s.Services), len(app.Services)) {
		st, name := &s.Services[i], app.Services[i].Name
		n := Instances(st)
		if app.Services[i].Gone || s.Stale || n == 0 || strings.ContainsAny(name, ":#") || !usable(&st.Usage, cfg.Least) {
			continue
		}
		each := ready(st)
		of := func(label string, u *foresail.Usage, n float64) {
			add(label, CPU, st.Allocation.CPU)
			if st.Allocation.Memory > 0 {
				add(label, Memory, float64(st.Allocation.Memory))
			}
			for _, k := range slices.Sorted(maps.Keys(st.Allocation.Settings)) {
				add(label, k, st.Allocation.Settings[k])
			}
			add(label, compose.Rate, u.Arrivals/n/s.Duration().Seconds())
			for _, m := range cfg.Metrics {
				if q, ok := Percentile(m); ok {
					add(label, m, u.Latency.Quantile(q))
				}
			}
		}
		of(name, &st.Usage, float64(n))
		if n > 1 && len(each) == n {
			for k, r := range each {
				if usable(&r.Usage, cfg.Least/float64(n)/2) {
					of(fmt.Sprintf("%s#%d", name, k+1), &r.Usage, 1)
				}
			}
		}
	}
	return out
}

func usable(u *foresail.Usage, least float64) bool {
	return u.Has.Has(foresail.SignalArrivals|foresail.SignalLatency) && u.Latency != nil && u.Latency.Count() >= max(least, 1)
}

// Instances is how many a service has, as long as it is not changing; else 0.
func Instances(s *foresail.ServiceStats) int {
	if !s.Has.Has(foresail.SignalAllocation) || s.Pending != nil || s.Allocation.Replicas < 1 {
		return 0
	}
	if len(s.Replicas) > 0 && len(ready(s)) != s.Allocation.Replicas {
		return 0
	}
	return s.Allocation.Replicas
}

func ready(s *foresail.ServiceStats) (out []*foresail.ReplicaStats) {
	for i := range s.Replicas {
		if r := &s.Replicas[i]; !r.Gone && r.Ready > 0 {
			out = append(out, r)
		}
	}
	return out
}

// Knobs are the names of a service's knobs in a snapshot, in order.
func Knobs(s *foresail.ServiceStats) []string {
	if !s.Has.Has(foresail.SignalAllocation) {
		return nil
	}
	out := []string{CPU}
	if s.Allocation.Memory > 0 {
		out = append(out, Memory)
	}
	return append(out, slices.Sorted(maps.Keys(s.Allocation.Settings))...)
}

// Calls counts which services call which.
type Calls struct {
	counts map[[2]foresail.ServiceID]float64
}

// Add counts a snapshot's calls.
func (c *Calls) Add(s *foresail.Snapshot) {
	if c.counts == nil {
		c.counts = map[[2]foresail.ServiceID]float64{}
	}
	for _, e := range s.Edges {
		if e.From != e.To && e.Calls > 0 {
			c.counts[[2]foresail.ServiceID{e.From, e.To}] += e.Calls
		}
	}
}

// Join counts what another counted, too.
func (c *Calls) Join(other *Calls) {
	if c.counts == nil {
		c.counts = map[[2]foresail.ServiceID]float64{}
	}
	for e, n := range other.counts {
		c.counts[e] += n
	}
}

// Services describes an application for package compose: who calls whom, by what was counted, with each service's knobs, its rate as
// a state that is given, and both shown to callers. A call that closes a cycle is left out and told. Services that no value is of, or that the target does not hang on, are left out; what is missing, is said.
func (c *Calls) Services(app *foresail.App, knobs map[string][]string, cfg Config, target string) (out []compose.Service, notes []string, err error) {
	front, metric, _ := strings.Cut(target, ":")
	id, ok := app.ServiceByName(front)
	if !ok {
		return nil, nil, fmt.Errorf("the target %s is of no service of %s", target, app.Name)
	}
	if _, ok := Percentile(metric); !ok {
		return nil, nil, fmt.Errorf("the target %s is of no percentile: give one like %s:0.90", target, front)
	}
	calls := map[foresail.ServiceID][]foresail.ServiceID{}
	for e := range c.counts {
		calls[e[0]] = append(calls[e[0]], e[1])
	}
	var path, order []foresail.ServiceID
	done := map[foresail.ServiceID]bool{}
	var walk func(s foresail.ServiceID)
	walk = func(s foresail.ServiceID) {
		if done[s] {
			return
		}
		path = append(path, s)
		callees := calls[s]
		slices.SortFunc(callees, func(a, b foresail.ServiceID) int { // the most called first, so that a cycle is closed by a rarer call
			x, y := c.counts[[2]foresail.ServiceID{s, a}], c.counts[[2]foresail.ServiceID{s, b}]
			switch {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return int(a - b)
		})
		kept := callees[:0:0]
		for _, t := range callees {
			if slices.Contains(path, t) {
				notes = append(notes, fmt.Sprintf("%s calls %s, which calls it: that call is left out", app.Services[s].Name, app.Services[t].Name))
				continue
			}
			kept = append(kept, t)
			walk(t)
		}
		calls[s] = kept
		path = path[:len(path)-1]
		done[s] = true
		order = append(order, s)
	}
	walk(id)
	known := func(s foresail.ServiceID) bool { return len(knobs[app.Services[s].Name]) > 0 }
	if !known(id) {
		return nil, nil, fmt.Errorf("nothing was observed of %s, of which the target is: neither its allocation nor enough requests", front)
	}
	for _, s := range order {
		name := app.Services[s].Name
		if !known(s) {
			notes = append(notes, fmt.Sprintf("%s is left out: its allocation and latency were not observed, or it had too few requests", name))
			continue
		}
		one := compose.Service{Name: name, Metrics: cfg.Metrics, States: []string{latency.Label(name, compose.Rate)}}
		for _, k := range knobs[name] {
			one.Knobs = append(one.Knobs, latency.Label(name, k))
		}
		one.Shows = slices.Concat([]string{latency.Label(name, CPU)}, one.States)
		for _, t := range calls[s] {
			if known(t) {
				one.Calls = append(one.Calls, app.Services[t].Name)
			}
		}
		out = append(out, one)
	}
	return out, notes, nil
}
