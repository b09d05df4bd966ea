package prom

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"foresail.dev"
	"foresail.dev/sketch"
)

// building is a snapshot while it is made of the answers at its two ends.
type building struct {
	r        *Reader
	s        *foresail.Snapshot
	replicas []map[string]*foresail.ReplicaStats // by service
	holders  []map[string]bool                   // those that recipes of containers name, where any does
	edges    map[[2]foresail.ServiceID]*foresail.EdgeStats
	alloc    []allocation
	flow     []float64 // by service: by how much the requests in flight have grown
}

// allocation is what was seen of one.
type allocation struct {
	replicas, wanted float64
	has, hasWanted   bool
	cpu, memory      map[string]float64 // by replica
}

// between is what happened from one moment to the other.
func (r *Reader) between(p *plan, a, b *moment, start, end time.Time) *foresail.Snapshot {
	n := len(r.app.Services)
	x := &building{r: r, s: &foresail.Snapshot{Start: start, End: end, Generation: r.app.Generation,
		Services: make([]foresail.ServiceStats, n), Endpoints: make([]foresail.EndpointStats, len(r.app.Endpoints))},
		replicas: make([]map[string]*foresail.ReplicaStats, n), holders: make([]map[string]bool, n),
		edges: map[[2]foresail.ServiceID]*foresail.EdgeStats{}, alloc: make([]allocation, n), flow: make([]float64, n)}
	for _, q := range p.queries {
		before, now := a.answers[q.text], b.answers[q.text]
		if now == nil || now.err != nil {
			continue
		}
		x.s.Dropped += float64(now.bad)
		if before != nil && before.err != nil {
			before = nil
		}
		for _, print := range now.order {
			x.add(q, now.samples[print], before, print)
		}
	}
	x.finish()
	return x.s
}

// add adds one series.
func (x *building) add(q *query, v *sample, before *answer, print model.Fingerprint) {
	var old *sample
	known := false
	if before != nil {
		old = before.samples[print]
		known = before.there[process{v.service, v.process}]
	}
	if kinds[q.kind].sort == gauge {
		x.gauge(q, v, old)
		return
	}
	if old == nil && !known {
		return // nobody knows since when it counts
	}
	if old == nil {
		if l, ok := before.lost[print]; ok && v.total() >= l.total {
			return // it is back, and nobody knows what it counted when
		}
	}
	if q.kind.histogram() {
		var p *hist
		if old != nil {
			p = old.hist
		}
		x.requests(q, v, v.hist.since(p))
		return
	}
	d := v.value
	if old != nil && d >= old.value {
		d -= old.value
	}
	if q.countsRequests() {
		x.requests(q, v, &hist{count: d})
		return
	}
	x.count(q, v, d*q.spell.scale)
}

// usages are a service's own usage and, where it is told, its replica's.
func (x *building) usages(v *sample) []*foresail.Usage {
	out := []*foresail.Usage{&x.s.Services[v.service].Usage}
	if v.replica == "" {
		return out
	}
	m := x.replicas[v.service]
	if m == nil {
		m = map[string]*foresail.ReplicaStats{}
		x.replicas[v.service] = m
	}
	if m[v.replica] == nil {
		m[v.replica] = &foresail.ReplicaStats{Name: v.replica}
	}
	return append(out, &m[v.replica].Usage)
}

// requests adds requests that were answered, or calls.
func (x *building) requests(q *query, v *sample, d *hist) {
	var latency *sketch.Sketch
	if q.kind.histogram() && !v.failed && d.count > 0 {
		latency = sketch.New()
		d.addTo(latency, q.spell.scale)
	}
	if q.kind.edge() {
		key := [2]foresail.ServiceID{v.service, v.to}
		e := x.edges[key]
		if e == nil {
			e = &foresail.EdgeStats{From: v.service, To: v.to}
			x.edges[key] = e
		}
		e.Calls += d.count
		if v.failed {
			e.Errors += d.count
		}
		e.Latency = joined(e.Latency, latency)
		x.s.Has |= foresail.SignalEdges
		return
	}
	for _, u := range x.usages(v) {
		u.Has |= kinds[q.kind].signals
		u.Completions += d.count
		u.Arrivals += d.count
		if v.failed {
			u.Errors += d.count
		}
		u.Latency = joined(u.Latency, latency)
	}
	if q.operation != nil {
		x.endpoint(q, v, d, latency)
	}
}

func joined(s, more *sketch.Sketch) *sketch.Sketch {
	switch {
	case more == nil:
		return s
	case s == nil:
		return more.Clone()
	}
	s.Merge(more)
	return s
}

// endpoint adds to the endpoint whose operation it was. Where operations are not told, all requests of a service are those
// of its only endpoint.
func (x *building) endpoint(q *query, v *sample, d *hist, latency *sketch.Sketch) {
	at := -1
	for i := range x.r.app.Endpoints {
		e := &x.r.app.Endpoints[i]
		if e.Gone || e.Entry != v.service {
			continue
		}
		if silent(v.operation) {
			if at >= 0 {
				return // one of several
			}
			at = i
		} else if means(v.operation, e.Operation) {
			at = i
			break
		}
	}
	if at < 0 {
		return
	}
	e, objective := &x.s.Endpoints[at], x.r.app.Endpoints[at].Objective
	x.s.Has |= foresail.SignalEndpoints
	e.Arrivals += d.count
	e.Requests += d.count
	if v.failed {
		e.Errors += d.count
	}
	e.Latency = joined(e.Latency, latency)
	switch {
	case objective == nil || !q.kind.histogram():
	case v.failed:
		e.Late += d.count
	default: // exact where a bucket ends at the objective
		e.Late += d.above(objective.Latency.Seconds() / q.spell.scale)
	}
}

// count adds to a counter.
func (x *building) count(q *query, v *sample, d float64) {
	if d < 0 || d > 1e15 {
		x.s.Dropped++
		return
	}
	x.hold(q, v)
	for _, u := range x.usages(v) {
		u.Has |= kinds[q.kind].signals
		span := time.Duration(min(d, 1e9) * float64(time.Second))
		switch q.kind {
		case CPU:
			u.CPU += d
		case Throttled:
			u.Throttled += span
		case NetIn:
			u.NetIn += int64(d)
		case NetOut:
			u.NetOut += int64(d)
		case DiskRead:
			u.DiskRead += int64(d)
		case DiskWritten:
			u.DiskWritten += int64(d)
		case CPUPressure:
			u.CPUPressure += span
		case MemoryPressure:
			u.MemoryPressure += span
		case IOPressure:
			u.IOPressure += span
		}
	}
}

// hold notes a replica that a container's CPU tells of: those are the replicas that there are.
func (x *building) hold(q *query, v *sample) {
	if q.kind == CPU && v.replica != "" {
		if x.holders[v.service] == nil {
			x.holders[v.service] = map[string]bool{}
		}
		x.holders[v.service][v.replica] = true
	}
}

// gauge sets what is as it is now.
func (x *building) gauge(q *query, v *sample, old *sample) {
	now := v.value * q.spell.scale
	a := &x.alloc[v.service]
	switch q.kind {
	case Replicas:
		a.replicas, a.has = a.replicas+max(now, 0), true
		return
	case ReplicasWanted:
		a.wanted, a.hasWanted = a.wanted+max(now, 0), true
		return
	case CPULimit:
		a.cpu = limit(a.cpu, v.replica, now)
		return
	case MemoryLimit:
		a.memory = limit(a.memory, v.replica, now)
		return
	case Memory:
		x.holdGauge(v)
	}
	for _, u := range x.usages(v) {
		u.Has |= kinds[q.kind].signals
		switch q.kind {
		case Memory:
			u.Memory += int64(min(max(now, 0), 1e18))
		case Ready:
			u.Ready += int(math.Round(min(max(now, 0), 1e6)))
		case InFlight:
			first := now
			if old != nil {
				first = old.value * q.spell.scale
			}
			first, last := max(first, 0), max(now, 0)
			u.InFlight.Last += last
			u.InFlight.Mean += (first + last) / 2
			u.InFlight.Max += max(first, last)
		}
	}
	if q.kind == InFlight && old != nil {
		x.flow[v.service] += max(now, 0) - max(old.value, 0)
	}
}

func (x *building) holdGauge(v *sample) {
	if v.replica != "" && x.holders[v.service] == nil {
		x.holders[v.service] = map[string]bool{}
	}
	if v.replica != "" {
		x.holders[v.service][v.replica] = true
	}
}

func limit(m map[string]float64, replica string, v float64) map[string]float64 {
	if m == nil {
		m = map[string]float64{}
	}
	if v > 0 && v < 1e18 {
		m[replica] += v
	}
	return m
}

// finish puts the parts together.
func (x *building) finish() {
	s := x.s
	seen := s.Has
	for i := range s.Services {
		svc := &s.Services[i]
		if svc.Has.Has(foresail.SignalArrivals | foresail.SignalInFlight) {
			svc.Arrivals = max(svc.Arrivals+x.flow[i], 0)
		}
		for _, name := range slices.Sorted(maps.Keys(x.replicas[i])) {
			if h := x.holders[i]; h == nil || h[name] {
				svc.Replicas = append(svc.Replicas, *x.replicas[i][name])
			}
		}
		x.allocate(foresail.ServiceID(i))
		seen |= svc.Has
	}
	for _, e := range x.edges {
		s.Edges = append(s.Edges, *e)
	}
	slices.SortFunc(s.Edges, func(a, b foresail.EdgeStats) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	s.Stale = seen == 0
}

// allocate tells the allocation in effect, where the cores of a replica are limited and it is known how many there are.
func (x *building) allocate(id foresail.ServiceID) {
	a, svc := &x.alloc[id], &x.s.Services[id]
	n := a.replicas
	switch {
	case a.has:
	case len(a.cpu) > 0 && a.cpu[""] == 0:
		n = float64(len(a.cpu))
	case svc.Has.Has(foresail.SignalReady):
		n = float64(svc.Ready)
	}
	cores, ok := largest(a.cpu)
	if !ok || !(n >= 1) || n > 1e6 {
		return
	}
	memory, _ := largest(a.memory)
	svc.Has |= foresail.SignalAllocation
	svc.Allocation = foresail.Allocation{Replicas: int(math.Round(n)), CPU: cores, Memory: int64(memory)}
	if a.hasWanted && a.wanted >= 1 && a.wanted <= 1e6 && int(math.Round(a.wanted)) != svc.Allocation.Replicas {
		pending := svc.Allocation
		pending.Replicas = int(math.Round(a.wanted))
		svc.Pending = &pending
	}
}

// largest is the largest limit of a replica: while limits change, or replicas are replaced, they differ.
func largest(m map[string]float64) (v float64, ok bool) {
	for _, x := range m {
		v, ok = max(v, x), true
	}
	return v, ok && v > 0
}
