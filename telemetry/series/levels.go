package series

import (
	"encoding/binary"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

func always[T any](*T) bool { return true }

// SnapshotSeries names the series that completes a snapshot: its length in seconds.
const SnapshotSeries = "foresail_snapshot_seconds"

// snapshotFields are of the snapshot as a whole; the length is written apart, last.
var snapshotFields = []field[foresail.Snapshot]{
	{Def: Def{Name: SnapshotSeries, Help: "Length of the interval that the samples of this time were observed in.", Unit: "seconds", Bookkeeping: true}},
	bookkeeping(number(func(s *foresail.Snapshot) *int { return &s.Generation }),
		Def{Name: "foresail_generation", Help: "Generation of the application: grows when services come or go."}, always),
	bookkeeping(field[foresail.Snapshot]{
		get: func(s *foresail.Snapshot, _ time.Time) float64 { return float64(s.Has) },
		set: func(s *foresail.Snapshot, _ time.Time, x float64) {
			s.Has = foresail.Signals(x) & foresail.SignalsAll
		},
	}, Def{Name: "foresail_signals", Help: "Which signals of the application as a whole were observed, as a sum of powers of two."}, always),
	plain(field[foresail.Snapshot]{
		get: func(s *foresail.Snapshot, _ time.Time) float64 { return oneIf(s.Stale) },
		set: func(s *foresail.Snapshot, _ time.Time, x float64) { s.Stale = x != 0 },
	}, Def{Name: "foresail_stale", Help: "1 where nothing was observed in the interval, though it should have been."}, always),
	plain(exact(func(s *foresail.Snapshot) *float64 { return &s.Dropped }),
		Def{Name: "foresail_dropped_observations_total", Help: "Observations lost on the way: spans over a limit, too late, malformed.", Kind: Counter}, always),
}

func plain[T any](f field[T], d Def, has func(*T) bool) field[T] {
	f.Def, f.has = d, has
	return f
}

func bookkeeping[T any](f field[T], d Def, has func(*T) bool) field[T] {
	d.Bookkeeping = true
	return plain(f, d, has)
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var serviceFields = append([]field[foresail.ServiceStats]{
	signals(Service, func(s *foresail.ServiceStats) bool { return s.Has != 0 || len(s.Replicas) > 0 || s.Pending != nil },
		func(s *foresail.ServiceStats) *foresail.Signals { return &s.Has }),
	number(func(s *foresail.ServiceStats) *int { return &s.Allocation.Replicas }).named(Service, "allocated_replicas", "replicas", "Replicas of the allocation in effect", Gauge, allocated),
	exact(func(s *foresail.ServiceStats) *float64 { return &s.Allocation.CPU }).named(Service, "allocated_cpu_cores", "cores", "CPU of each replica in the allocation in effect", Gauge, allocated),
	number(func(s *foresail.ServiceStats) *int64 { return &s.Allocation.Memory }).named(Service, "allocated_memory_bytes", "bytes", "Memory of each replica in the allocation in effect, where it is managed", Gauge,
		func(s *foresail.ServiceStats) bool { return allocated(s) && s.Allocation.Memory != 0 }),
	number(func(s *foresail.ServiceStats) *int { return &pending(s).Replicas }).named(Service, "pending_replicas", "replicas", "Replicas of the allocation asked for and not yet in effect", Gauge, isPending),
	exact(func(s *foresail.ServiceStats) *float64 { return &pending(s).CPU }).named(Service, "pending_cpu_cores", "cores", "CPU of each replica in the allocation asked for and not yet in effect", Gauge, isPending),
	number(func(s *foresail.ServiceStats) *int64 { return &pending(s).Memory }).named(Service, "pending_memory_bytes", "bytes", "Memory of each replica in the allocation asked for and not yet in effect, where it is managed", Gauge,
		func(s *foresail.ServiceStats) bool { return isPending(s) && s.Pending.Memory != 0 }),
}, usageFields(Service, func(s *foresail.ServiceStats) *foresail.Usage { return &s.Usage })...)

func allocated(s *foresail.ServiceStats) bool { return s.Has.Has(foresail.SignalAllocation) }
func isPending(s *foresail.ServiceStats) bool { return s.Pending != nil }

// pending is the allocation asked for, made where a sample of it is put in.
func pending(s *foresail.ServiceStats) *foresail.Allocation {
	if s.Pending == nil {
		s.Pending = &foresail.Allocation{}
	}
	return s.Pending
}

var replicaFields = append([]field[foresail.ReplicaStats]{
	signals(Replica, always, func(r *foresail.ReplicaStats) *foresail.Signals { return &r.Has }),
	field[foresail.ReplicaStats]{ // a float holds the seconds of today to a quarter of a microsecond
		get: func(r *foresail.ReplicaStats, _ time.Time) float64 { return float64(r.Started.UnixMicro()) / 1e6 },
		set: func(r *foresail.ReplicaStats, _ time.Time, x float64) {
			r.Started = time.UnixMicro(int64(math.Round(x * 1e6))).UTC()
		},
	}.named(Replica, "start_time_seconds", "seconds", "When it started, in seconds since 1970", Gauge, func(r *foresail.ReplicaStats) bool { return !r.Started.IsZero() }),
	field[foresail.ReplicaStats]{
		get: func(r *foresail.ReplicaStats, _ time.Time) float64 { return oneIf(r.Gone) },
		set: func(r *foresail.ReplicaStats, _ time.Time, x float64) { r.Gone = x != 0 },
	}.named(Replica, "gone", "", "1 where it has ended", Gauge, func(r *foresail.ReplicaStats) bool { return r.Gone }),
}, usageFields(Replica, func(r *foresail.ReplicaStats) *foresail.Usage { return &r.Usage })...)

var nodeFields = append(append([]field[foresail.NodeStats]{
	signals(Node, always, func(n *foresail.NodeStats) *foresail.Signals { return &n.Has }),
	seconds(func(n *foresail.NodeStats) *time.Duration { return &n.DiskBusy }).named(Node, "disk_busy_seconds_total", "seconds", "Time in which its disks were busy, summed", Counter,
		func(n *foresail.NodeStats) bool { return n.Has.Has(foresail.SignalDisk) }),
}, usageFields(Node, func(n *foresail.NodeStats) *foresail.Usage { return &n.Usage })...),
	gauge(Node, "runnable", "Threads that run or wait for a core", func(n *foresail.NodeStats) bool { return n.Has.Has(foresail.SignalRunnable) },
		func(n *foresail.NodeStats) *foresail.Gauge { return &n.Runnable })...)

var endpointFields = []field[foresail.EndpointStats]{
	exact(func(e *foresail.EndpointStats) *float64 { return &e.Arrivals }).named(Endpoint, "arrivals_total", "", "Requests sent", Counter, always),
	exact(func(e *foresail.EndpointStats) *float64 { return &e.Requests }).named(Endpoint, "requests_total", "", "Requests that ended, failed ones included", Counter, always),
	exact(func(e *foresail.EndpointStats) *float64 { return &e.Errors }).named(Endpoint, "errors_total", "", "Requests that failed, were refused or timed out", Counter, always),
	exact(func(e *foresail.EndpointStats) *float64 { return &e.Late }).named(Endpoint, "late_total", "", "Requests over the objective's latency, and failed ones", Counter, always),
	field[foresail.EndpointStats]{
		get: func(e *foresail.EndpointStats, end time.Time) float64 { return end.Sub(e.FirstLate).Seconds() },
		set: func(e *foresail.EndpointStats, end time.Time, x float64) {
			e.FirstLate = end.Add(-time.Duration(math.Round(x * 1e9)))
		},
	}.named(Endpoint, "first_late_seconds_ago", "seconds", "How long before the interval's end its first late or failed request arrived", Gauge,
		func(e *foresail.EndpointStats) bool { return !e.FirstLate.IsZero() }),
	latency(func(e *foresail.EndpointStats) **sketch.Sketch { return &e.Latency }).named(Endpoint, "latency_seconds", "seconds", "Latency of requests that did not fail", NativeHistogram, always),
	field[foresail.EndpointStats]{
		get: func(e *foresail.EndpointStats, _ time.Time) float64 { return e.Slowest.Latency.Seconds() },
		set: func(e *foresail.EndpointStats, _ time.Time, x float64) {
			e.Slowest.Latency = time.Duration(math.Round(x * 1e9))
		},
	}.named(Endpoint, "slowest_seconds", "seconds", "Latency of the slowest request whose trace is known, failed ones included", Gauge, traced),
	word(0), word(1), word(2), word(3),
}

func traced(e *foresail.EndpointStats) bool { return e.Slowest.Trace != foresail.TraceID{} }

// word is a quarter of the trace id of the slowest request: a float holds 32 bits exactly, and series don't multiply as they would with
// the id as a label.
func word(i int) field[foresail.EndpointStats] {
	at := func(e *foresail.EndpointStats) []byte { return e.Slowest.Trace[4*i : 4*i+4] }
	f := field[foresail.EndpointStats]{
		get: func(e *foresail.EndpointStats, _ time.Time) float64 { return float64(binary.BigEndian.Uint32(at(e))) },
		set: func(e *foresail.EndpointStats, _ time.Time, x float64) { binary.BigEndian.PutUint32(at(e), uint32(x)) },
	}.named(Endpoint, "slowest_trace_"+string(rune('a'+i)), "", "The trace id of the slowest request, its 32 bits number "+string(rune('1'+i))+" of 4", Gauge, traced)
	f.Bookkeeping = true
	return f
}

var edgeFields = []field[foresail.EdgeStats]{
	exact(func(e *foresail.EdgeStats) *float64 { return &e.Calls }).named(Edge, "calls_total", "", "Calls", Counter, always),
	exact(func(e *foresail.EdgeStats) *float64 { return &e.Errors }).named(Edge, "errors_total", "", "Calls that failed", Counter, always),
	latency(func(e *foresail.EdgeStats) **sketch.Sketch { return &e.Latency }).named(Edge, "latency_seconds", "seconds", "Latency of calls that did not fail", NativeHistogram, always),
}
