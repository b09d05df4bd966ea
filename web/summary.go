package web

import (
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Recent is what the numbers of an update are over.
const Recent = 5 * time.Second

// summary is what is true now, made once for each new second and not changed afterwards.
type summary struct {
	services  []serviceNow
	endpoints []endpointNow
	edges     []edgeNow
	totals    *totalsNow
}

// summarise merges the recent snapshots. Stale ones count neither as time nor as observations.
func summarise(app *foresail.App, recent []*foresail.Snapshot, known map[edge]struct{}) summary {
	var parts []*foresail.Snapshot
	var d time.Duration
	for _, s := range recent {
		if !s.Stale {
			parts = append(parts, s)
			d += s.Duration()
		}
	}
	m := foresail.Merge(parts...)
	out := summary{services: make([]serviceNow, len(app.Services)), endpoints: make([]endpointNow, len(app.Endpoints))}
	for i := range out.services {
		var st foresail.ServiceStats
		if m != nil && i < len(m.Services) {
			st = m.Services[i]
		}
		out.services[i] = viewService(&st, d)
	}
	for i := range out.endpoints {
		var st foresail.EndpointStats
		ok := m != nil && m.Has.Has(foresail.SignalEndpoints) && i < len(m.Endpoints)
		if ok {
			st = m.Endpoints[i]
		}
		out.endpoints[i] = viewEndpoint(&st, app.Endpoints[i].Objective, d, ok)
	}
	out.edges = viewEdges(m, d, known)
	out.totals = total(app, &out)
	return out
}

func viewService(s *foresail.ServiceStats, d time.Duration) serviceNow {
	sec := d.Seconds()
	has := func(sig foresail.Signals) bool { return sec > 0 && s.Has.Has(sig) }
	v := serviceNow{
		Errors:    observed(s.Errors/sec, has(foresail.SignalErrors)),
		InFlight:  observed(s.InFlight.Mean, has(foresail.SignalInFlight)),
		Memory:    observed(float64(s.Memory), has(foresail.SignalMemory)),
		Ready:     observed(float64(s.Ready), has(foresail.SignalReady)),
		Throttled: absent,
		Calls:     absent,
		Allocated: absent,
	}
	switch {
	case has(foresail.SignalArrivals):
		v.Calls = value(s.Arrivals / sec)
	case has(foresail.SignalCompletions):
		v.Calls = value(s.Completions / sec)
	}
	v.P50, v.P99 = quantile(s.Latency, 0.5), quantile(s.Latency, 0.99)
	used, ok := s.Cores(d)
	v.Used = observed(used, ok)
	util, ok := s.Utilisation(d)
	v.Utilisation = observed(util, ok)
	if has(foresail.SignalAllocation) {
		a := s.Allocation
		v.Allocation, v.Pending = &a, s.Pending
		held, _ := s.Held()
		v.Allocated = value(held)
	}
	if has(foresail.SignalThrottled|foresail.SignalReady) && s.Ready > 0 {
		v.Throttled = value(s.Throttled.Seconds() / sec / float64(s.Ready))
	}
	return v
}

func viewEndpoint(e *foresail.EndpointStats, o *foresail.Objective, d time.Duration, ok bool) endpointNow {
	sec := d.Seconds()
	v := endpointNow{
		Rate: observed(e.Arrivals/sec, ok && sec > 0), Errors: observed(e.Errors/sec, ok && sec > 0),
		P50: quantile(e.Latency, 0.5), P95: quantile(e.Latency, 0.95), P99: quantile(e.Latency, 0.99),
		AtObjective: absent, Share: absent, Budget: absent, Status: "none",
	}
	if o != nil {
		v.AtObjective = quantile(e.Latency, o.Percentile/100)
		v.Status = "waiting"
	}
	return v
}

// viewEdges lists every edge that was ever seen, so that the graph keeps its form; one that was quiet has 0 calls.
func viewEdges(m *foresail.Snapshot, d time.Duration, known map[edge]struct{}) []edgeNow {
	out := make([]edgeNow, 0, len(known))
	seen := m != nil && d > 0 && m.Has.Has(foresail.SignalEdges)
	stats := make(map[edge]*foresail.EdgeStats, len(known))
	if seen {
		for i := range m.Edges {
			stats[edge{m.Edges[i].From, m.Edges[i].To}] = &m.Edges[i]
		}
	}
	for _, k := range sortedEdges(known) {
		v := edgeNow{From: k.from, To: k.to, Calls: observed(0, seen), Errors: observed(0, seen), P99: absent}
		if e := stats[k]; e != nil {
			v.Calls, v.Errors = value(e.Calls/d.Seconds()), value(e.Errors/d.Seconds())
			v.P99 = quantile(e.Latency, 0.99)
		}
		out = append(out, v)
	}
	return out
}

// total adds up what was observed; a sum in which nothing was observed is absent.
func total(app *foresail.App, s *summary) *totalsNow {
	t := &totalsNow{Allocated: absent, Used: absent, Ready: absent, Wanted: absent, Rate: absent,
		MeanAllocated: absent, MeanUsed: absent, MeanOverS: absent}
	for i := range s.services {
		v := &s.services[i]
		t.Allocated.add(v.Allocated)
		t.Used.add(v.Used)
		t.Ready.add(v.Ready)
		if v.Allocation != nil {
			want := v.Allocation.Replicas
			if v.Pending != nil {
				want = v.Pending.Replicas
			}
			t.Wanted.add(value(want))
		}
	}
	for i := range s.endpoints {
		t.Rate.add(s.endpoints[i].Rate)
	}
	for i := range app.Services {
		t.File += value(app.Services[i].Initial.Cores())
	}
	return t
}

func (v *value) add(w value) {
	switch {
	case w.IsZero():
	case v.IsZero():
		*v = w
	default:
		*v += w
	}
}

// quantile is in milliseconds.
func quantile(s *sketch.Sketch, q float64) value { return millis(s.Quantile(q)) }
