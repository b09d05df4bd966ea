package foresail

import (
	"time"

	"foresail.dev/sketch"
)

// Snapshot is everything observed over one interval [Start, End), UTC. The shortest is the beat (100 ms).
//
// Invariants: Services and Endpoints are indexed by ServiceID and EndpointID and as long as the application's lists;
// Edges is ordered by (From, To) and Shapes by the Key of their forms, without duplicates. A snapshot is not changed once it is in a History.
type Snapshot struct {
	Start, End time.Time
	Generation int  // of the application it was observed of
	Stale      bool // nothing was observed in the interval, though it should have been

	Services  []ServiceStats
	Endpoints []EndpointStats
	Edges     []EdgeStats  // absent (nil) where SignalEdges is not observed
	Nodes     []NodeStats  // absent (nil) where SignalNodes is not observed
	Shapes    []ShapeStats // absent (nil) where SignalShapes is not observed
	Has       Signals      // signals of the snapshot as a whole: SignalEdges, SignalEndpoints, SignalNodes, SignalShapes

	// Dropped counts observations lost on the way to the snapshot (spans over a limit, too late, malformed).
	Dropped float64
	// Late holds what became known of earlier intervals since the last snapshot: each adds to the interval it names,
	// counters, sketches, and what was in flight besides. It is at most RevisionLimit old.
	Late []*Snapshot
}

// RevisionLimit is how long after its end a snapshot may still gain latencies and calls from late spans. Then it is final.
const RevisionLimit = 5 * time.Second

// Beat is the shortest interval of a snapshot: where spans and agents report.
const Beat = 100 * time.Millisecond

// Usage is what was observed of a service, or of one of its replicas. A field means something only where its signal
// is in Has.
type Usage struct {
	Has         Signals
	Ready       int            // replicas ready at the end (of a replica: 0 or 1)
	CPU         float64        // core-seconds used
	CPUOver     time.Duration  // over how much of the interval CPU, Throttled and a node's Runnable were observed; 0: all of it
	Throttled   time.Duration  // summed over replicas
	Memory      int64          // bytes at the end, summed over replicas
	NetIn       int64          // bytes received
	NetOut      int64          // bytes sent
	InFlight    Gauge          // requests accepted and not answered
	Arrivals    float64        // requests that arrived; fractional where sampled spans were scaled up
	Completions float64        // requests answered, errors included
	Errors      float64        // requests that failed, were refused or timed out
	Latency     *sketch.Sketch // seconds from arrival to answer, of requests that did not fail; nil where there is none

	// What an agent on the node adds. Of a service each is the sum over replicas.
	Queue                                   Gauge         // requests accepted that wait for a worker
	DiskRead, DiskWritten                   int64         // bytes
	IOWait                                  time.Duration // summed over the threads that waited for a disk
	CPUPressure, MemoryPressure, IOPressure time.Duration // during which at least one thread waited for it
	Retransmits                             float64       // segments sent again
	CacheMisses                             float64       // of the last-level cache
	MemoryTraffic                           float64       // bytes between the caches and memory
}

// Gauge is a quantity that goes up and down, over an interval.
type Gauge struct{ Last, Mean, Max float64 }

// ServiceStats is what was observed of one service: the sum over replicas in Usage, and each replica.
type ServiceStats struct {
	Usage
	Allocation Allocation  // in effect at the end, where SignalAllocation is in Has
	Pending    *Allocation // asked for and not yet in effect; nil: none
	Replicas   []ReplicaStats
}

// ReplicaStats is what was observed of one replica.
type ReplicaStats struct {
	Name    string
	Node    string
	Started time.Time // zero where not known
	Gone    bool      // it has ended: what it counted is told, and its gauges are zero
	Usage
}

// NodeStats is what an agent saw of one node as a whole, whatever runs there, where SignalNodes is in Snapshot.Has. A node
// that nothing was heard of is not listed.
type NodeStats struct {
	Name string
	Usage
	Runnable Gauge         // threads that run or wait for a core
	DiskBusy time.Duration // summed over its disks
}

// EndpointStats is what users saw of one endpoint, where SignalEndpoints is in Snapshot.Has.
type EndpointStats struct {
	Arrivals  float64        // requests sent
	Requests  float64        // requests that ended in the interval, failed ones included
	Errors    float64        // requests that failed, were refused or timed out
	Late      float64        // requests over the objective's latency, plus Errors; 0 without an objective
	FirstLate time.Time      // when the first late or failed one arrived; zero: none, or not known
	Latency   *sketch.Sketch // seconds, of requests that did not fail; nil where there is none
	Slowest   Exemplar       // of the requests whose trace is known, failed ones included; zero: none is
}

// Exemplar is one request that stands for others.
type Exemplar struct {
	Trace   TraceID
	Latency time.Duration
}

// EdgeStats counts calls from one service to another.
type EdgeStats struct {
	From, To ServiceID
	Calls    float64
	Errors   float64
	Latency  *sketch.Sketch // seconds, of calls that did not fail; nil where there is none
}

// Duration is the interval's length.
func (s *Snapshot) Duration() time.Duration { return s.End.Sub(s.Start) }

// Cores is the mean number of cores in use over as much of the interval of length d as CPU was observed; ok is false
// where it was not.
func (u *Usage) Cores(d time.Duration) (cores float64, ok bool) {
	if d = u.cpuOver(d); !u.Has.Has(SignalCPU) || d <= 0 {
		return 0, false
	}
	return u.CPU / d.Seconds(), true
}

// Held is how many cores the service's replicas hold in total: those that start or drain are paid for as well. It is
// the allocation's own total where replicas are not listed; ok is false where the allocation was not observed.
func (s *ServiceStats) Held() (cores float64, ok bool) {
	if !s.Has.Has(SignalAllocation) {
		return 0, false
	}
	n := 0
	for i := range s.Replicas {
		if !s.Replicas[i].Gone {
			n++
		}
	}
	if len(s.Replicas) == 0 {
		n = s.Allocation.Replicas
	}
	return float64(n) * s.Allocation.CPU, true
}

// Totals are sums over the services of an application.
type Totals struct {
	Held     bool    // allocations were observed: Cores and Replicas are
	Cores    float64 // held, see ServiceStats.Held
	Replicas float64 // allocated
	Known    bool    // CPU was observed: Used is
	Used     float64 // cores, mean over the interval
}

// Totals are the sums over those services that were observed.
func (s *Snapshot) Totals() (t Totals) {
	for i := range s.Services {
		svc := &s.Services[i]
		if held, ok := svc.Held(); ok {
			t.Held = true
			t.Cores += held
			t.Replicas += float64(svc.Allocation.Replicas)
		}
		if used, ok := svc.Cores(s.Duration()); ok {
			t.Known = true
			t.Used += used
		}
	}
	return t
}

// Utilisation is CPU used over CPU allocated; ok is false where either was not observed.
func (s *ServiceStats) Utilisation(d time.Duration) (share float64, ok bool) {
	used, ok := s.Cores(d)
	if !ok || !s.Has.Has(SignalAllocation) || s.Allocation.Cores() <= 0 {
		return 0, false
	}
	return used / s.Allocation.Cores(), true
}
