package prom

import (
	"fmt"
	"slices"
	"strings"

	"foresail.dev"
)

// Kind is what a series gives.
type Kind uint8

// The kinds.
const (
	Requests       Kind = iota + 1 // histogram of seconds: requests that a service answered
	RequestsTotal                  // counter of them, where there is no histogram
	Calls                          // histogram of seconds: calls from a service to another
	CallsTotal                     // counter of them
	InFlight                       // gauge
	CPU                            // counter, seconds
	Throttled                      // counter, seconds
	Memory                         // gauge, bytes
	NetIn                          // counter, bytes
	NetOut                         // counter, bytes
	DiskRead                       // counter, bytes
	DiskWritten                    // counter, bytes
	CPUPressure                    // counter, seconds
	MemoryPressure                 // counter, seconds
	IOPressure                     // counter, seconds
	Ready                          // gauge: replicas that are ready
	Replicas                       // gauge: replicas that there are
	ReplicasWanted                 // gauge: replicas that there should be
	CPULimit                       // gauge, cores; summed over a replica's containers
	MemoryLimit                    // gauge, bytes; summed over a replica's containers
	kindEnd
)

// kinds tells of each its name, what it is of the signals, and what sort of series it is.
var kinds = [kindEnd]struct {
	name    string
	signals foresail.Signals
	sort    sortOf
	doc     string
}{
	Requests:       {"requests", foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors | foresail.SignalLatency, histogram, "requests answered, and how long they took"},
	RequestsTotal:  {"requests-total", foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors, counter, "requests answered"},
	Calls:          {"calls", foresail.SignalEdges, histogram, "calls from service to service, and how long they took"},
	CallsTotal:     {"calls-total", foresail.SignalEdges, counter, "calls from service to service"},
	InFlight:       {"in-flight", foresail.SignalInFlight, gauge, "requests accepted and not answered"},
	CPU:            {"cpu", foresail.SignalCPU, counter, "CPU time used"},
	Throttled:      {"throttled", foresail.SignalThrottled, counter, "time spent throttled by the CPU quota"},
	Memory:         {"memory", foresail.SignalMemory, gauge, "memory in use"},
	NetIn:          {"net-in", foresail.SignalNetwork, counter, "bytes received"},
	NetOut:         {"net-out", foresail.SignalNetwork, counter, "bytes sent"},
	DiskRead:       {"disk-read", foresail.SignalDisk, counter, "bytes read"},
	DiskWritten:    {"disk-written", foresail.SignalDisk, counter, "bytes written"},
	CPUPressure:    {"cpu-pressure", foresail.SignalPressure, counter, "time in which a thread waited for CPU"},
	MemoryPressure: {"memory-pressure", foresail.SignalPressure, counter, "time in which a thread waited for memory"},
	IOPressure:     {"io-pressure", foresail.SignalPressure, counter, "time in which a thread waited for I/O"},
	Ready:          {"ready", foresail.SignalReady, gauge, "replicas that are ready"},
	Replicas:       {"replicas", 0, gauge, "replicas that there are"},
	ReplicasWanted: {"replicas-wanted", 0, gauge, "replicas that there should be"},
	CPULimit:       {"cpu-limit", foresail.SignalAllocation, gauge, "cores that a replica may use"},
	MemoryLimit:    {"memory-limit", 0, gauge, "bytes that a replica may use"},
}

// sortOf is what sort of series a kind is.
type sortOf uint8

const (
	gauge sortOf = iota
	counter
	histogram
)

// KindNames are the names that recipes use.
func KindNames() (out []string) {
	for _, k := range kinds[1:] {
		out = append(out, k.name)
	}
	return out
}

// String is the name in recipes.
func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kinds[k].name
}

// UnmarshalText reads a name.
func (k *Kind) UnmarshalText(b []byte) error {
	names := KindNames()
	i := slices.Index(names, string(b))
	if i < 0 {
		return fmt.Errorf("unknown kind %q: use one of %s", b, strings.Join(names, ", "))
	}
	*k = Kind(i + 1)
	return nil
}

func (k Kind) edge() bool      { return k == Calls || k == CallsTotal }
func (k Kind) counter() bool   { return kinds[k].sort == counter }
func (k Kind) histogram() bool { return kinds[k].sort == histogram }

// slot is what only one recipe gives of a service, so that no request is counted twice: a bit for each.
type slot uint32

// slots are what a kind fills. A histogram of requests is worth having for its latencies where another recipe counts them.
func (k Kind) slots() slot {
	switch k {
	case Requests:
		return 1<<Requests | 1<<RequestsTotal
	case Calls, CallsTotal:
		return 1 << CallsTotal
	}
	return 1 << k
}
