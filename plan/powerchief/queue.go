package powerchief

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/sketch"
)

// longest is how far back requests of a rare endpoint are looked for until there are enough to judge it.
const longest = 30 * time.Second

// few is how many there must be at least.
const few = 20

// service is what is estimated of one.
type service struct {
	id      foresail.ServiceID
	svc     *foresail.Service
	from    foresail.Allocation
	pending bool    // what it was last asked to have is not in effect yet
	demand  float64 // core-seconds a request
	queue   float64 // requests at each replica, those in service included
	most    float64 // cores used in the busiest of the last seconds
}

// busiest is how far back it is looked for.
const busiest = 10 * time.Second

// delay is how long a request that comes now would take, in seconds.
func (s *service) delay() float64 { return s.after(s.from) }

// after is the delay with another allocation, as the queue would be divided by replicas and worked off by their CPU.
func (s *service) after(a foresail.Allocation) float64 {
	if a.CPU <= 0 || a.Replicas <= 0 {
		return math.Inf(1)
	}
	queue := s.queue * float64(s.from.Replicas) / float64(a.Replicas)
	return queue*s.demand/a.CPU + s.demand/min(1, a.CPU)
}

// estimate is the queue of each service that answered requests in parts.
// before is the longer time that the busiest second is looked for in.
func estimate(app *foresail.App, parts, before []*foresail.Snapshot) []*service {
	type totals struct{ arrivals, answered, latency, count, called float64 }
	sum := make([]totals, len(app.Services))
	seconds := 0.0
	for _, p := range parts {
		if !p.Stale {
			seconds += p.Duration().Seconds()
		}
		for i := range sum {
			st := plan.Stats(p, foresail.ServiceID(i))
			if st == nil {
				continue
			}
			if st.Has.Has(foresail.SignalArrivals | foresail.SignalCompletions) {
				sum[i].arrivals += st.Arrivals
				sum[i].answered += st.Completions
			}
			if st.Has.Has(foresail.SignalLatency) && st.Latency != nil {
				sum[i].latency += st.Latency.Sum()
				sum[i].count += st.Latency.Count()
			}
		}
		for i := range p.Edges {
			if e := &p.Edges[i]; int(e.From) < len(sum) && e.Latency != nil {
				sum[e.From].called += e.Latency.Sum()
			}
		}
	}
	var out []*service
	for i := range sum {
		id, t := foresail.ServiceID(i), sum[i]
		used, observed := plan.Cores(parts, id)
		st := plan.Latest(parts, id, foresail.SignalAllocation)
		if st == nil || observed <= 0 || !(t.answered > 0) || !(t.count > 0) || seconds <= 0 || st.Allocation.Cores() <= 0 {
			continue
		}
		s := &service{id: id, svc: &app.Services[i], from: st.Allocation, pending: st.Pending != nil, most: used}
		for k := range before {
			cores, _ := plan.Cores(before[k:k+1], id)
			s.most = max(s.most, cores)
		}
		s.demand = used * seconds / t.answered
		own := max(t.latency/t.count-t.called/t.answered, s.demand)
		s.queue = t.arrivals / seconds * own / float64(st.Allocation.Replicas)
		out = append(out, s)
	}
	return out
}

// observed reports whether endpoints and what queues are estimated from were observed at all; that nobody came is an
// observation too.
func observed(app *foresail.App, parts []*foresail.Snapshot) bool {
	const need = foresail.SignalCPU | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalLatency
	services, endpoints := false, false
	for _, p := range parts {
		endpoints = endpoints || p.Has.Has(foresail.SignalEndpoints)
		for i := range app.Services {
			st := plan.Stats(p, foresail.ServiceID(i))
			services = services || st != nil && st.Has.Has(need)
		}
	}
	return services && endpoints
}

// endpoint is the one that is worst against its objective.
type endpoint struct {
	name  string
	ratio float64 // latency at the objective's percentile over the objective; 10 where more failed than it allows
}

// slowest judges each endpoint on its newest requests, as many as its objective asks for where there are so many within
// longest. ok is false where none could be judged.
func slowest(app *foresail.App, seconds []*foresail.Snapshot) (worst endpoint, ok bool) {
	for i := range app.Endpoints {
		o := app.Endpoints[i].Objective
		if o == nil {
			continue
		}
		requests, errors, l := 0.0, 0.0, sketch.New()
		parts := plan.Tail(seconds, longest)
		for k := len(parts) - 1; k >= 0 && requests < float64(o.MinRequestsOrDefault()); k-- {
			if p := parts[k]; p.Has.Has(foresail.SignalEndpoints) && i < len(p.Endpoints) {
				requests += p.Endpoints[i].Requests
				errors += p.Endpoints[i].Errors
				if p.Endpoints[i].Latency != nil {
					l.Merge(p.Endpoints[i].Latency)
				}
			}
		}
		if requests < few {
			continue
		}
		e := endpoint{app.Endpoints[i].Name, 10}
		if errors <= requests*o.Allowed() && l.Count() > 0 {
			e.ratio = l.Quantile(min(o.Percentile/100*requests/(requests-errors), 1)) / o.Latency.Seconds()
		}
		if !ok || e.ratio > worst.ratio {
			worst, ok = e, true
		}
	}
	return worst, ok
}
