package foresail

import (
	"slices"
	"time"

	"foresail.dev/sketch"
)

// Merge joins snapshots that follow each other into one over the whole time: counters add, sketches merge, gauges
// keep their last value, their mean weighted by time and their maximum. The inputs are not changed and share nothing
// with the result. It returns nil for no input.
//
// A node that some parts don't list was not heard of then: its gauges are those of when it last was.
//
// A signal is in the result when any part has it: counters then cover the parts that observed them, and means are over
// those parts. Late additions are applied by History, so they are not carried along.
func Merge(parts ...*Snapshot) *Snapshot {
	if len(parts) == 0 {
		return nil
	}
	out := &Snapshot{Start: parts[0].Start, End: parts[len(parts)-1].End, Stale: true}
	observed := newObserved(parts)
	for _, p := range parts {
		out.add(p, observed)
	}
	for i := range out.Services {
		svc := &out.Services[i]
		svc.dismiss(newestReplicas(parts, i))
		svc.whole(out.Duration())
		for j := range svc.Replicas {
			svc.Replicas[j].whole(out.Duration())
		}
	}
	for i := range out.Nodes {
		out.Nodes[i].whole(out.Duration())
	}
	return out
}

// whole leaves CPUOver out where it is the whole interval.
func (u *Usage) whole(d time.Duration) {
	if u.CPUOver >= d {
		u.CPUOver = 0
	}
}

// newestReplicas is the replicas of the newest part that lists any of a service.
func newestReplicas(parts []*Snapshot, service int) []ReplicaStats {
	for _, p := range slices.Backward(parts) {
		if service < len(p.Services) && len(p.Services[service].Replicas) > 0 {
			return p.Services[service].Replicas
		}
	}
	return nil
}

// dismiss zeroes the gauges of replicas that are not among the newest: they have gone, and what they counted stays.
func (s *ServiceStats) dismiss(newest []ReplicaStats) {
	for j := range s.Replicas {
		r := &s.Replicas[j]
		if !slices.ContainsFunc(newest, func(n ReplicaStats) bool { return n.Name == r.Name }) {
			r.Gone, r.Ready, r.Memory, r.InFlight.Last, r.Queue.Last = true, 0, 0, 0, 0
		}
	}
}

// observed is over how long gauges were observed: what their means are weighted by.
type observed struct {
	service []gaugeTimes
	replica []map[string]gaugeTimes
	node    map[string]gaugeTimes
}

type gaugeTimes struct{ inFlight, queue, runnable time.Duration }

// plus adds an interval of length d. Threads are counted where CPU is, and over as much of the interval.
func (g gaugeTimes) plus(u *Usage, d time.Duration) gaugeTimes {
	has := u.Has
	if has.Has(SignalInFlight) {
		g.inFlight += d
	}
	if has.Has(SignalQueue) {
		g.queue += d
	}
	if has.Has(SignalRunnable) {
		g.runnable += u.cpuOver(d)
	}
	return g
}

func newObserved(parts []*Snapshot) *observed {
	o := &observed{node: map[string]gaugeTimes{}}
	for _, p := range parts {
		for i := range p.Services {
			for len(o.service) <= i {
				o.service = append(o.service, gaugeTimes{})
				o.replica = append(o.replica, map[string]gaugeTimes{})
			}
			s := &p.Services[i]
			o.service[i] = o.service[i].plus(&s.Usage, p.Duration())
			for j := range s.Replicas {
				r := &s.Replicas[j]
				o.replica[i][r.Name] = o.replica[i][r.Name].plus(&r.Usage, p.Duration())
			}
		}
		for i := range p.Nodes {
			n := &p.Nodes[i]
			o.node[n.Name] = o.node[n.Name].plus(&n.Usage, p.Duration())
		}
	}
	return o
}

func share(d, total time.Duration) float64 {
	if total <= 0 {
		return 1
	}
	return float64(d) / float64(total)
}

// add appends a following snapshot.
func (s *Snapshot) add(p *Snapshot, o *observed) {
	s.Generation = max(s.Generation, p.Generation)
	s.Stale = s.Stale && p.Stale
	s.Dropped += p.Dropped
	s.Has |= p.Has
	d := p.Duration()
	for i := range p.Services {
		if i == len(s.Services) {
			s.Services = append(s.Services, ServiceStats{})
		}
		dst, src := &s.Services[i], &p.Services[i]
		dst.follow(&src.Usage, d, o.service[i])
		if src.Has.Has(SignalAllocation) {
			dst.Allocation, dst.Pending = src.Allocation.clone(), nil
			if src.Pending != nil {
				pending := src.Pending.clone()
				dst.Pending = &pending
			}
		}
		dst.mergeReplicas(src.Replicas, d, o.replica[i])
	}
	s.mergeNodes(p.Nodes, d, o.node)
	s.addEndpoints(p.Endpoints)
	s.Edges = mergeEdges(s.Edges, p.Edges)
	s.Shapes = mergeShapes(s.Shapes, p.Shapes)
}

// follow appends a gauge over w of the time in which it was observed.
func (g *Gauge) follow(v Gauge, w float64) {
	g.Last = v.Last
	g.Mean += v.Mean * w
	g.Max = max(g.Max, v.Max)
}

// follow appends the usage of a following interval of length d, of which gauges were observed in the times all.
func (u *Usage) follow(v *Usage, d time.Duration, all gaugeTimes) {
	if v.Has.Has(SignalReady) {
		u.Ready = v.Ready
	}
	if v.Has.Has(SignalMemory) {
		u.Memory = v.Memory
	}
	if v.Has.Has(SignalInFlight) {
		u.InFlight.follow(v.InFlight, share(d, all.inFlight))
	}
	if v.Has.Has(SignalQueue) {
		u.Queue.follow(v.Queue, share(d, all.queue))
	}
	if v.Has.Has(SignalCPU) {
		u.CPUOver += v.cpuOver(d)
	}
	u.Add(v)
	u.Has |= v.Has
}

// cpuOver is how much of an interval of length d the CPU was observed over.
func (u *Usage) cpuOver(d time.Duration) time.Duration {
	if u.CPUOver > 0 {
		return u.CPUOver
	}
	return d
}

// Add adds the counters and the sketch of v. Gauges, and which signals were observed, are the caller's to set; so is
// CPUOver.
func (u *Usage) Add(v *Usage) {
	u.CPU += v.CPU
	u.Throttled += v.Throttled
	u.NetIn += v.NetIn
	u.NetOut += v.NetOut
	u.Arrivals += v.Arrivals
	u.Completions += v.Completions
	u.Errors += v.Errors
	u.Latency = mergeSketch(u.Latency, v.Latency)
	u.DiskRead += v.DiskRead
	u.DiskWritten += v.DiskWritten
	u.IOWait += v.IOWait
	u.CPUPressure += v.CPUPressure
	u.MemoryPressure += v.MemoryPressure
	u.IOPressure += v.IOPressure
	u.Retransmits += v.Retransmits
	u.CacheMisses += v.CacheMisses
	u.MemoryTraffic += v.MemoryTraffic
}

func mergeSketch(dst, src *sketch.Sketch) *sketch.Sketch {
	if src == nil {
		return dst
	}
	if dst == nil {
		return src.Clone()
	}
	dst.Merge(src)
	return dst
}

func (s *ServiceStats) mergeReplicas(src []ReplicaStats, d time.Duration, all map[string]gaugeTimes) {
	for j := range src {
		k := j // replicas rarely move within the list
		if k >= len(s.Replicas) || s.Replicas[k].Name != src[j].Name {
			k = slices.IndexFunc(s.Replicas, func(r ReplicaStats) bool { return r.Name == src[j].Name })
		}
		if k < 0 {
			k = len(s.Replicas)
			s.Replicas = append(s.Replicas, ReplicaStats{Name: src[j].Name})
		}
		s.Replicas[k].Node, s.Replicas[k].Started, s.Replicas[k].Gone = src[j].Node, src[j].Started, src[j].Gone
		s.Replicas[k].follow(&src[j].Usage, d, all[src[j].Name])
	}
}

// mergeNodes keeps the order in which nodes were first heard of.
func (s *Snapshot) mergeNodes(src []NodeStats, d time.Duration, all map[string]gaugeTimes) {
	for j := range src {
		k := j
		if k >= len(s.Nodes) || s.Nodes[k].Name != src[j].Name {
			k = slices.IndexFunc(s.Nodes, func(n NodeStats) bool { return n.Name == src[j].Name })
		}
		if k < 0 {
			k = len(s.Nodes)
			s.Nodes = append(s.Nodes, NodeStats{Name: src[j].Name})
		}
		n := &s.Nodes[k]
		n.follow(&src[j].Usage, d, all[n.Name])
		if src[j].Has.Has(SignalRunnable) {
			n.Runnable.follow(src[j].Runnable, share(src[j].cpuOver(d), all[n.Name].runnable))
		}
		n.DiskBusy += src[j].DiskBusy
	}
}

func (s *Snapshot) addEndpoints(src []EndpointStats) {
	for i := range src {
		if i == len(s.Endpoints) {
			s.Endpoints = append(s.Endpoints, EndpointStats{})
		}
		dst, e := &s.Endpoints[i], &src[i]
		dst.Arrivals += e.Arrivals
		dst.Requests += e.Requests
		dst.Errors += e.Errors
		dst.Late += e.Late
		if !e.FirstLate.IsZero() && (dst.FirstLate.IsZero() || e.FirstLate.Before(dst.FirstLate)) {
			dst.FirstLate = e.FirstLate
		}
		dst.Latency = mergeSketch(dst.Latency, e.Latency)
		dst.Slowest.Take(e.Slowest)
	}
}

// Take replaces an exemplar by a slower one.
func (x *Exemplar) Take(y Exemplar) {
	if y.Trace != (TraceID{}) && (x.Trace == TraceID{} || y.Latency > x.Latency) {
		*x = y
	}
}

// mergeEdges merges two ordered lists; the result shares no sketch with src.
func mergeEdges(dst, src []EdgeStats) []EdgeStats {
	if len(src) == 0 {
		return dst
	}
	cmp := func(a, b EdgeStats) int {
		if a.From != b.From {
			return int(a.From - b.From)
		}
		return int(a.To - b.To)
	}
	for _, e := range src {
		i, found := slices.BinarySearchFunc(dst, e, cmp)
		if !found {
			dst = slices.Insert(dst, i, EdgeStats{From: e.From, To: e.To})
		}
		dst[i].Calls += e.Calls
		dst[i].Errors += e.Errors
		dst[i].Latency = mergeSketch(dst[i].Latency, e.Latency)
	}
	return dst
}

// revise adds a late addition to the interval it belongs to: what adds, and what was in flight besides. s is changed.
func (s *Snapshot) revise(late *Snapshot) {
	s.Dropped += late.Dropped
	s.Has |= late.Has
	w := share(late.Duration(), s.Duration())
	last := !late.End.Before(s.End) // what was in flight at its end was so at the end of s
	for i := range late.Services {
		if i == len(s.Services) {
			s.Services = append(s.Services, ServiceStats{})
		}
		dst, src := &s.Services[i], &late.Services[i]
		dst.reviseUsage(&src.Usage, late, s, w, last)
		for j := range src.Replicas {
			r := &src.Replicas[j]
			k := slices.IndexFunc(dst.Replicas, func(d ReplicaStats) bool { return d.Name == r.Name })
			if k < 0 {
				k = len(dst.Replicas)
				dst.Replicas = append(dst.Replicas, ReplicaStats{Name: r.Name, Node: r.Node, Started: r.Started})
			}
			dst.Replicas[k].reviseUsage(&r.Usage, late, s, w, last)
		}
	}
	for i := range late.Nodes {
		n := &late.Nodes[i]
		k := slices.IndexFunc(s.Nodes, func(d NodeStats) bool { return d.Name == n.Name })
		if k < 0 {
			k = len(s.Nodes)
			s.Nodes = append(s.Nodes, NodeStats{Name: n.Name})
		}
		s.Nodes[k].reviseUsage(&n.Usage, late, s, w, last)
		s.Nodes[k].Runnable.revise(n.Runnable, w, last)
		s.Nodes[k].DiskBusy += n.DiskBusy
	}
	s.addEndpoints(late.Endpoints)
	s.Edges = mergeEdges(s.Edges, late.Edges)
	s.Shapes = mergeShapes(s.Shapes, late.Shapes)
}

// reviseUsage adds what came late. The largest number in flight is then not known exactly: at least the mean and, where
// the addition reaches the end, the last.
func (u *Usage) reviseUsage(v *Usage, late, of *Snapshot, w float64, last bool) {
	u.Add(v)
	switch {
	case !v.Has.Has(SignalCPU):
	case !u.Has.Has(SignalCPU):
		u.CPUOver = v.cpuOver(late.Duration())
	case u.CPUOver > 0:
		u.CPUOver += v.cpuOver(late.Duration())
	}
	u.whole(of.Duration())
	if v.Has.Has(SignalInFlight) {
		u.InFlight.revise(v.InFlight, w, last)
	}
	if v.Has.Has(SignalQueue) {
		u.Queue.revise(v.Queue, w, last)
	}
	u.Has |= v.Has
}

func (g *Gauge) revise(v Gauge, w float64, last bool) {
	g.Mean += v.Mean * w
	if last {
		g.Last += v.Last
	}
	g.Max = max(g.Max, g.Mean, g.Last)
}
