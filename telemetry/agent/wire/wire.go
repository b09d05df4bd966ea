// Package wire is what an agent sends to the daemon, and how it is written.
//
// One bidirectional gRPC stream, method /foresail.agent.v1.Agent/Report. The agent sends frames: a Hello first, then
// beats, and before the first beat that refers to it a Table of the containers. The daemon answers with acks.
// Everything is protobuf (docs/formats/agent.md has the schema), written and read by hand, because a beat is written
// ten times a second into memory that is used again, and read from whoever connects: unknown fields are skipped, every
// length and number is bounded.
//
// Counters are what was counted within the beat, never since a start, so that a beat means something by itself,
// whatever else was lost.
package wire

import "foresail.dev"

// Version is of this schema; a daemon refuses others.
const Version = 1

// Method is the stream's name.
const (
	Service = "foresail.agent.v1.Agent"
	Stream  = "Report"
	Method  = "/" + Service + "/" + Stream
)

// Bounds of what is read.
const (
	MaxContainers = 4096         // of one node
	MaxFrame      = 4 << 20      // bytes
	MaxLength     = 60e9         // nanoseconds that a beat may cover
	MaxValue      = 1 << 52      // of a counter or a gauge: what a float64 holds exactly
	maxCores      = 1 << 16      // that a duration within a beat may have been summed over
	maxNotes      = 64           // in a Hello
	maxTime       = 4102444800e9 // 2100-01-01: instants lie before it
)

// Field is one number of a Sample.
type Field uint8

// The fields, in the order of their numbers in the schema. Durations are nanoseconds.
const (
	CPU            Field = iota // time used
	CPUOver                     // over how much of the beat it was observed; 0: all of it
	Throttled                   // time on the clock without quota
	Limited                     // periods in which the quota was used up
	Memory                      // bytes, working set
	NetIn                       // bytes
	NetOut                      // bytes
	Backlog                     // connections that wait to be accepted
	BacklogLimit                // how many may wait, summed over listening sockets
	Unread                      // connections with bytes that nobody has read yet
	UnreadBytes                 // their bytes
	Busy                        // connections whose last bytes came in: requests not answered yet
	DiskRead                    // bytes
	DiskWritten                 // bytes
	IOWait                      // time, summed over those that waited
	CPUPressure                 // time in which at least one thread waited for a CPU
	MemoryPressure              // for memory
	IOPressure                  // for a disk
	Retransmits                 // TCP segments sent again
	CacheMisses                 // of the last level
	Runnable                    // of a node: thousandths of threads that run or wait for a core
	DiskBusy                    // of a node: time that disks worked, summed over them
	NumFields
)

// durations are the fields that are times within the beat.
const durations = 1<<CPU | 1<<CPUOver | 1<<Throttled | 1<<IOWait | 1<<CPUPressure | 1<<MemoryPressure | 1<<IOPressure | 1<<DiskBusy

// Observable is what an agent can tell of a container or a node.
const Observable = foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory | foresail.SignalNetwork |
	foresail.SignalQueue | foresail.SignalInFlight | foresail.SignalDisk | foresail.SignalPressure | foresail.SignalRetransmits |
	foresail.SignalCacheMisses | foresail.SignalRunnable

// Hello opens a stream.
type Hello struct {
	Version  uint32
	Node     string // its name
	Instance uint64 // drawn when the agent started: sequence numbers belong to it
	Cores    uint32
	Memory   int64    // bytes
	Notes    []string // what is not available on this node, and why; for people
}

// Container says what a sample is of.
type Container struct {
	ID      string // the container's id, or its cgroup's path
	Service string // empty: whoever knows the pod must tell
	Replica string
	Pod     string // uid; empty outside Kubernetes
	Started int64  // nanoseconds since 1970; 0: not known
}

// Table numbers the containers of a node: a sample's Index is a place in it.
type Table struct {
	Generation uint64
	Containers []Container
}

// Sample is what was observed of one container, or of the node.
type Sample struct {
	Index uint32
	Has   foresail.Signals
	Value [NumFields]int64
}

// Beat is what was observed in one interval.
type Beat struct {
	Seq        uint64 // grows by one for each beat of an instance
	Start      int64  // nanoseconds since 1970, by the agent's clock
	Length     int64  // nanoseconds
	Table      uint64 // generation of the table that samples refer to
	Dropped    uint64 // beats that the agent could not keep until they were sent, since it started
	Node       Sample // its Index means nothing
	Containers []Sample
}

// Frame is one message of the agent: exactly one of its pointers is set.
type Frame struct {
	Sent  int64 // nanoseconds since 1970, by the agent's clock
	Hello *Hello
	Table *Table
	Beat  *Beat
}
