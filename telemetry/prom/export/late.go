package export

import (
	"slices"

	"foresail.dev"
	"foresail.dev/sketch"
)

// joined is s with what its late additions counted added to its own counters: a scraper sees totals, and does not ask which
// interval they are of. Gauges stay as they are. s is not changed.
func joined(s *foresail.Snapshot) *foresail.Snapshot {
	if len(s.Late) == 0 {
		return s
	}
	out := *s
	out.Late = nil
	out.Services, out.Endpoints, out.Edges = slices.Clone(s.Services), slices.Clone(s.Endpoints), slices.Clone(s.Edges)
	for _, late := range s.Late {
		out.Dropped += late.Dropped
		for i := range min(len(late.Services), len(out.Services)) {
			joinUsage(&out.Services[i].Usage, &late.Services[i].Usage)
			joinReplicas(&out.Services[i], late.Services[i].Replicas)
		}
		if late.Has.Has(foresail.SignalEndpoints) {
			out.Has |= foresail.SignalEndpoints
			for i := range min(len(late.Endpoints), len(out.Endpoints)) {
				joinEndpoint(&out.Endpoints[i], &late.Endpoints[i])
			}
		}
		for i := range late.Edges {
			joinEdge(&out, &late.Edges[i])
		}
	}
	return &out
}

func joinUsage(dst, late *foresail.Usage) {
	if late.Latency.Count() > 0 {
		dst.Latency = sum(dst.Latency, nil) // its own, since it is added to
	}
	dst.Add(late)
	dst.Has |= late.Has & (foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors | foresail.SignalLatency)
}

func joinReplicas(dst *foresail.ServiceStats, late []foresail.ReplicaStats) {
	if len(late) == 0 {
		return
	}
	dst.Replicas = slices.Clone(dst.Replicas)
	for i := range late {
		at := slices.IndexFunc(dst.Replicas, func(r foresail.ReplicaStats) bool { return r.Name == late[i].Name && r.Node == late[i].Node })
		if at >= 0 {
			joinUsage(&dst.Replicas[at].Usage, &late[i].Usage)
		}
	}
}

func joinEndpoint(dst, late *foresail.EndpointStats) {
	dst.Arrivals += late.Arrivals
	dst.Requests += late.Requests
	dst.Errors += late.Errors
	dst.Late += late.Late
	dst.Latency = sum(dst.Latency, late.Latency)
}

func joinEdge(s *foresail.Snapshot, late *foresail.EdgeStats) {
	s.Has |= foresail.SignalEdges
	for i := range s.Edges {
		if e := &s.Edges[i]; e.From == late.From && e.To == late.To {
			e.Calls += late.Calls
			e.Errors += late.Errors
			e.Latency = sum(e.Latency, late.Latency)
			return
		}
	}
	s.Edges = append(s.Edges, *late)
}

// sum is a new sketch of both, either of which may be nil.
func sum(a, b *sketch.Sketch) *sketch.Sketch {
	if a == nil && b == nil {
		return nil
	}
	out := sketch.New()
	out.Merge(a)
	out.Merge(b)
	return out
}
