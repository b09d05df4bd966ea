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
	return out
}

// observed is, per service, over how long in-flight was observed: what its mean is weighted by.
type observed struct {
	service []time.Duration
	replica []map[string]time.Duration
}

func newObserved(parts []*Snapshot) *observed {
	o := &observed{}
	for _, p := range parts {
		for i := range p.Services {
			for len(o.service) <= i {
				o.service = append(o.service, 0)
				o.replica = append(o.replica, map[string]time.Duration{})
			}
			s := &p.Services[i]
			if s.Has.Has(SignalInFlight) {
				o.service[i] += p.Duration()
			}
			for j := range s.Replicas {
				if s.Replicas[j].Has.Has(SignalInFlight) {
					o.replica[i][s.Replicas[j].Name] += p.Duration()
				}
			}
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
		dst.follow(&src.Usage, share(d, o.service[i]))
		if src.Has.Has(SignalAllocation) {
			dst.Allocation, dst.Pending = src.Allocation, src.Pending
		}
		dst.mergeReplicas(src.Replicas, func(name string) float64 { return share(d, o.replica[i][name]) })
	}
	s.addEndpoints(p.Endpoints)
	s.Edges = mergeEdges(s.Edges, p.Edges)
}

// follow appends a following interval's usage; w is its share of the time over which in flight was observed.
func (u *Usage) follow(v *Usage, w float64) {
	if v.Has.Has(SignalReady) {
		u.Ready = v.Ready
	}
	if v.Has.Has(SignalMemory) {
		u.Memory = v.Memory
	}
	if v.Has.Has(SignalInFlight) {
		u.InFlight.Last = v.InFlight.Last
		u.InFlight.Mean += v.InFlight.Mean * w
		u.InFlight.Max = max(u.InFlight.Max, v.InFlight.Max)
	}
	u.count(v)
	u.Has |= v.Has
}

// count adds what adds: counters and sketches.
func (u *Usage) count(v *Usage) {
	u.CPU += v.CPU
	u.Throttled += v.Throttled
	u.NetIn += v.NetIn
	u.NetOut += v.NetOut
	u.Arrivals += v.Arrivals
	u.Completions += v.Completions
	u.Errors += v.Errors
	u.Latency = mergeSketch(u.Latency, v.Latency)
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

func (s *ServiceStats) mergeReplicas(src []ReplicaStats, w func(string) float64) {
	for j := range src {
		k := j // replicas rarely move within the list
		if k >= len(s.Replicas) || s.Replicas[k].Name != src[j].Name {
			k = slices.IndexFunc(s.Replicas, func(r ReplicaStats) bool { return r.Name == src[j].Name })
		}
		if k < 0 {
			k = len(s.Replicas)
			s.Replicas = append(s.Replicas, ReplicaStats{Name: src[j].Name})
		}
		s.Replicas[k].Node, s.Replicas[k].Started = src[j].Node, src[j].Started
		s.Replicas[k].follow(&src[j].Usage, w(src[j].Name))
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

// revise adds a late addition to the interval it belongs to: what adds, and in-flight means. s is changed.
func (s *Snapshot) revise(late *Snapshot) {
	s.Dropped += late.Dropped
	s.Has |= late.Has
	w := share(late.Duration(), s.Duration())
	for i := range late.Services {
		if i == len(s.Services) {
			s.Services = append(s.Services, ServiceStats{})
		}
		dst, src := &s.Services[i], &late.Services[i]
		dst.reviseUsage(&src.Usage, w)
		for j := range src.Replicas {
			name := src.Replicas[j].Name
			if k := slices.IndexFunc(dst.Replicas, func(r ReplicaStats) bool { return r.Name == name }); k >= 0 {
				dst.Replicas[k].reviseUsage(&src.Replicas[j].Usage, w)
			}
		}
	}
	s.addEndpoints(late.Endpoints)
	s.Edges = mergeEdges(s.Edges, late.Edges)
}

func (u *Usage) reviseUsage(v *Usage, w float64) {
	u.count(v)
	if v.Has.Has(SignalInFlight) {
		u.InFlight.Mean += v.InFlight.Mean * w
		u.InFlight.Max = max(u.InFlight.Max, u.InFlight.Mean)
	}
	u.Has |= v.Has
}
