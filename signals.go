package foresail

import (
	"math/bits"
	"strings"
)

// Signals is a set of what can be observed. A field of Usage means something only where its signal is in Usage.Has:
// what was not observed is absent, not zero.
type Signals uint32

// The signals.
const (
	SignalReady         Signals = 1 << iota // replicas that are ready
	SignalCPU                               // CPU time used
	SignalThrottled                         // time spent throttled by the CPU quota
	SignalMemory                            // memory in use
	SignalNetwork                           // bytes received and sent
	SignalInFlight                          // requests accepted and not answered
	SignalArrivals                          // requests that arrived
	SignalCompletions                       // requests that were answered, errors included
	SignalErrors                            // requests that failed, were refused or timed out
	SignalLatency                           // response times
	SignalAllocation                        // the allocation in effect
	SignalEdges                             // calls from service to service
	SignalEndpoints                         // requests and latencies of endpoints
	SignalQueue                             // requests that wait for a worker
	SignalDisk                              // bytes read and written, and the wait for disks
	SignalPressure                          // time that threads waited for CPU, memory and I/O (Linux' PSI)
	SignalRetransmits                       // TCP segments sent again
	SignalCacheMisses                       // misses of the last-level cache
	SignalMemoryTraffic                     // bytes between the caches and memory
	SignalRunnable                          // threads that run or wait for a core; of nodes
	SignalNodes                             // the nodes themselves
	SignalShapes                            // the call graphs that requests take
	signalEnd
)

// SignalsAll holds every signal.
const SignalsAll = signalEnd - 1

var signalNames = [...]string{"ready", "cpu", "throttled", "memory", "network", "in-flight", "arrivals", "completions",
	"errors", "latency", "allocation", "edges", "endpoints", "queue", "disk", "pressure", "retransmits", "cache-misses",
	"memory-traffic", "runnable", "nodes", "shapes"}

// Has reports whether every signal of t is in s.
func (s Signals) Has(t Signals) bool { return s&t == t }

// String lists the names, for example "cpu, latency".
func (s Signals) String() string {
	if s&SignalsAll == 0 {
		return "none"
	}
	names := make([]string, 0, bits.OnesCount32(uint32(s)))
	for i, n := range signalNames {
		if s&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return strings.Join(names, ", ")
}
