package telemetry

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// spanSignals is what spans tell of a service.
const spanSignals = foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions |
	foresail.SignalErrors | foresail.SignalLatency

// Cut closes the interval from the end of the last one to end, truncated to the beat, and returns what was observed in
// it; with nothing observed the snapshot is stale. Late holds what came since for earlier beats. It returns nil when
// not a whole beat has passed. The snapshot belongs to the caller.
func (a *Assembler) Cut(end time.Time) *foresail.Snapshot {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cut(end)
}

// cut is Cut. mu is held.
func (a *Assembler) cut(end time.Time) *foresail.Snapshot {
	if a.o.Whole {
		return a.cutWhole(end)
	}
	stop := a.beats.index(end.UnixNano())
	if !a.started {
		a.started, a.next = true, stop-1
	}
	if stop <= a.next {
		return nil
	}
	late, now := a.due(stop)
	for _, b := range late {
		a.settle(b)
	}
	s := a.build(now, a.instant(a.next), a.instant(stop))
	for _, b := range late {
		if stop-(b.i+1) <= a.beats.limit {
			s.Late = append(s.Late, a.buildLate(b))
		} else {
			a.stats.Dropped.TooLate += requests(b)
		}
	}
	a.finish(s, append(late, now...))
	a.next = stop
	a.age()
	return s
}

// age forgets what is too old at the end of the last cut.
func (a *Assembler) age() {
	a.forget(a.next - max(int64(replicaIdle)/a.beats.length, 2))
	if a.next-a.seen.gens[0].born >= max(int64(remember)/3/a.beats.length, 1) {
		a.seen.turn(a.next)
	}
}

func (a *Assembler) cutWhole(end time.Time) *foresail.Snapshot {
	start := end
	if a.first < end.UnixNano() {
		start = time.Unix(0, a.first).UTC()
	}
	_, now := a.due(1)
	s := a.build(now, start, end.UTC())
	a.finish(s, now)
	return s
}

func (a *Assembler) instant(beat int64) time.Time { return time.Unix(0, beat*a.beats.length).UTC() }

// due are the open beats before stop, in order: those of the past, and those of the interval to be closed.
func (a *Assembler) due(stop int64) (late, now []*beat) {
	for _, b := range a.beats.ring {
		switch {
		case b == nil || b.i >= stop:
		case b.i < a.next:
			late = append(late, b)
		default:
			now = append(now, b)
		}
	}
	order := func(x, y *beat) int { return int(x.i - y.i) }
	slices.SortFunc(late, order)
	slices.SortFunc(now, order)
	return late, now
}

func (a *Assembler) finish(s *foresail.Snapshot, done []*beat) {
	for _, b := range done {
		a.beats.close(b)
	}
	total := a.stats.Dropped.Total()
	s.Dropped = float64(total - a.dropped + a.lost)
	a.dropped, a.lost = total, 0
}

// settle adds the steps of a beat before the interval to what the interval starts from; there are some only at the
// first cut, since later ones are added at once.
func (a *Assembler) settle(b *beat) {
	for n, c := range b.units {
		if c != nil {
			for _, d := range c.steps {
				a.units[n].level += d
			}
		}
	}
}

// requests is how many requests a beat's cells hold that will not be told.
func requests(b *beat) uint64 {
	n := 0.0
	for _, c := range b.units {
		if c != nil {
			n += c.completions
		}
	}
	return uint64(n)
}

// empty is a snapshot without observations.
func (a *Assembler) empty(start, end time.Time) *foresail.Snapshot {
	return &foresail.Snapshot{
		Start: start, End: end, Generation: a.app.Generation,
		Services:  make([]foresail.ServiceStats, len(a.app.Services)),
		Endpoints: make([]foresail.EndpointStats, len(a.app.Endpoints)),
	}
}

// build makes the snapshot of the interval that the beats belong to.
func (a *Assembler) build(now []*beat, start, end time.Time) *foresail.Snapshot {
	s := a.empty(start, end)
	told := a.tells(now, a.beats.index(end.UnixNano()))
	s.Stale = len(told) == 0 && !slices.ContainsFunc(now, func(b *beat) bool { return len(b.units) > 0 || len(b.endpoints) > 0 })
	gauges := a.gauges(now)
	if s.Stale {
		return s
	}
	s.Has = foresail.SignalEdges
	if a.endpointsSeen() {
		s.Has |= foresail.SignalEndpoints
	}
	for i, svc := range a.byID {
		if svc.seen {
			s.Services[i].Has = spanSignals
		}
	}
	reports := make([]bool, len(s.Services)) // whether replicas of it report what is in flight
	for n := range told {
		reports[a.units[n].svc.id] = reports[a.units[n].svc.id] || a.units[n].reported.has.Has(foresail.SignalInFlight)
	}
	for n := range a.units {
		u := &a.units[n]
		t, tells := told[n]
		if u.svc == nil || u.svc.id < 0 || !u.svc.seen && !tells {
			continue
		}
		usage := foresail.Usage{}
		if u.spans || !tells {
			usage = a.spansOf(n, now, gauges.units[n], s.Duration())
		}
		if tells {
			t.apply(&usage, u.reported.has, u.spans)
		} else if u.name == "" && reports[u.svc.id] {
			usage.InFlight = foresail.Gauge{} // the same requests
		}
		addUnit(&s.Services[u.svc.id], u.name, &usage)
	}
	for i := range s.Services {
		g := &s.Services[i].InFlight
		if !reports[i] {
			g.Max = max(float64(gauges.services[i])/fixedOne, g.Mean, g.Last)
		}
	}
	place := map[int32]int{}
	for _, b := range now {
		a.addEndpointsAndEdges(s, b, place)
	}
	sortEdges(s)
	return s
}

// spansOf is what spans tell of a replica; most is the largest number in flight.
func (a *Assembler) spansOf(n int, now []*beat, most fixed, d time.Duration) foresail.Usage {
	usage := foresail.Usage{Has: spanSignals}
	for _, b := range now {
		if n < len(b.units) && b.units[n] != nil {
			b.units[n].addTo(&usage, d)
		}
	}
	usage.InFlight.Last = float64(a.units[n].level) / fixedOne
	usage.InFlight.Max = max(float64(most)/fixedOne, usage.InFlight.Mean, usage.InFlight.Last)
	return usage
}

// endpointsSeen tells whether what counts endpoint requests has reported at all.
func (a *Assembler) endpointsSeen() bool {
	for _, s := range a.services {
		if s.entry && s.seen {
			return true
		}
	}
	return false
}

// buildLate makes the addition to one beat that was cut before. Its gauges are what was in flight besides what had been
// told; Max is the least that it can be.
func (a *Assembler) buildLate(b *beat) *foresail.Snapshot {
	s := a.empty(a.instant(b.i), a.instant(b.i+1))
	for n, c := range b.units {
		if c == nil || !a.units[n].spans {
			continue
		}
		u := &a.units[n]
		usage := foresail.Usage{Has: spanSignals}
		c.addTo(&usage, s.Duration())
		if u.reported.current(b.i, a.beats.limit) {
			usage.InFlight = foresail.Gauge{} // what was in flight has been reported
		} else {
			usage.InFlight.Last = float64(c.open) / fixedOne
			usage.InFlight.Max = max(usage.InFlight.Mean, usage.InFlight.Last)
		}
		svc := &s.Services[u.svc.id]
		svc.Has = spanSignals
		addUnit(svc, u.name, &usage)
		svc.InFlight.Max = max(svc.InFlight.Mean, svc.InFlight.Last)
	}
	if len(b.endpoints) > 0 {
		s.Has |= foresail.SignalEndpoints
	}
	if len(b.edges) > 0 {
		s.Has |= foresail.SignalEdges
	}
	a.addEndpointsAndEdges(s, b, map[int32]int{})
	sortEdges(s)
	return s
}

// addTo adds what adds, and the mean in flight over an interval of length d.
func (c *unitCell) addTo(u *foresail.Usage, d time.Duration) {
	u.Arrivals += c.arrivals
	u.Completions += c.completions
	u.Errors += c.errors
	u.InFlight.Mean += c.busy / float64(d)
	u.Latency = merged(u.Latency, &c.latency)
}

// addUnit adds a replica to its service. A service's gauges add over replicas.
func addUnit(s *foresail.ServiceStats, name string, u *foresail.Usage) {
	s.Add(u)
	s.Has |= u.Has
	for _, g := range [...]struct{ dst, src *foresail.Gauge }{{&s.InFlight, &u.InFlight}, {&s.Queue, &u.Queue}} {
		g.dst.Mean += g.src.Mean
		g.dst.Last += g.src.Last
		g.dst.Max += g.src.Max // of several replicas at most; where steps within the beat are known it is replaced
	}
	if name == "" {
		return // a source that doesn't tell its replicas
	}
	s.Replicas = append(s.Replicas, foresail.ReplicaStats{Name: name, Usage: *u})
}

// merged adds src to dst without sharing memory with src.
func merged(dst, src *sketch.Sketch) *sketch.Sketch {
	if src.Count() == 0 {
		return dst
	}
	if dst == nil {
		return src.Clone()
	}
	dst.Merge(src)
	return dst
}

// addEndpointsAndEdges adds a beat's cells to s; place is where in s.Edges an edge stands.
func (a *Assembler) addEndpointsAndEdges(s *foresail.Snapshot, b *beat, place map[int32]int) {
	for n, c := range b.endpoints {
		if c == nil {
			continue
		}
		e := &s.Endpoints[n]
		e.Arrivals += c.arrivals
		e.Requests += c.requests
		e.Errors += c.errors
		e.Late += c.late
		if c.firstLate != 0 {
			if t := time.Unix(0, c.firstLate).UTC(); e.FirstLate.IsZero() || t.Before(e.FirstLate) {
				e.FirstLate = t
			}
		}
		e.Latency = merged(e.Latency, &c.latency)
		e.Slowest.Take(c.slowest)
	}
	for n, c := range b.edges {
		if c == nil {
			continue
		}
		pair := a.edgeList[n]
		from, to := foresail.ServiceID(pair.from), foresail.ServiceID(pair.to)
		k, ok := place[int32(n)]
		if !ok {
			k = len(s.Edges)
			place[int32(n)] = k
			s.Edges = append(s.Edges, foresail.EdgeStats{From: from, To: to})
		}
		e := &s.Edges[k]
		e.Calls += c.calls
		e.Errors += c.errors
		e.Latency = merged(e.Latency, &c.latency)
	}
}

func sortEdges(s *foresail.Snapshot) {
	slices.SortFunc(s.Edges, func(x, y foresail.EdgeStats) int {
		if x.From != y.From {
			return int(x.From - y.From)
		}
		return int(x.To - y.To)
	})
}

// maxima are the largest numbers in flight, read at the start and at each step of each beat.
type maxima struct{ units, services []fixed }

// gauges moves every replica's level over the beats of the interval, and notes the largest on the way.
func (a *Assembler) gauges(now []*beat) maxima {
	m := maxima{units: make([]fixed, len(a.units)), services: make([]fixed, len(a.byID))}
	series := make([]fixed, len(now)*slotsPerBeat+1)
	level := func(u int32) {
		unit := &a.units[u]
		m.units[u] = unit.level
		series[0] += unit.level
		for k, b := range now {
			var steps *[slotsPerBeat]fixed
			if int(u) < len(b.units) && b.units[u] != nil {
				steps = &b.units[u].steps
			}
			for j := range slotsPerBeat {
				if steps != nil {
					unit.level += steps[j]
				}
				m.units[u] = max(m.units[u], unit.level)
				series[1+k*slotsPerBeat+j] += unit.level
			}
		}
	}
	for i, svc := range a.byID {
		clear(series)
		for _, u := range svc.units {
			level(u)
		}
		m.services[i] = slices.Max(series)
	}
	return m
}
