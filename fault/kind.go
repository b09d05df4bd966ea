package fault

import (
	"fmt"
	"strings"
)

// Kind is what goes wrong. What Amount, Length and the other fields of a Fault mean for each is told beside it.
type Kind uint8

// The kinds.
const (
	CPUContention     Kind = iota // Amount: the share of the node's cores that a neighbour takes
	CacheContention               // Amount: the share of the node's last-level cache
	MemoryContention              // Amount: the share of the node's memory bandwidth
	NetworkContention             // Amount: the share of the node's network
	DiskContention                // Amount: the share of the node's disk
	PacketLoss                    // Amount: the probability that a message is lost
	SlowDisk                      // Amount: how many times as long the disk takes
	Lock                          // Length: how long each request holds the lock
	Deadlock                      // Amount: workers of each replica that wait for each other
	BlockingCycle                 // Length: CPU time of the call back; 0: DefaultCallback
	BadRelease                    // Amount: factor of the CPU demand, 0: 1; Errors; Leak
	GCPause                       // Length: of a pause; Period: from one to the next; Jitter of both
	NodeLost                      // nothing more
	LoadSpike                     // Amount: factor of the load
	kindEnd
)

// Kinds is how many kinds there are: a Kind is less.
const Kinds = int(kindEnd)

// names are what files call the kinds.
var names = [kindEnd]string{"cpu-contention", "cache-contention", "memory-contention", "network-contention",
	"disk-contention", "packet-loss", "slow-disk", "lock", "deadlock", "blocking-cycle", "bad-release", "gc-pause",
	"node-lost", "load-spike"}

// String is the kind's name in files.
func (k Kind) String() string {
	if k >= kindEnd {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return names[k]
}

// Names lists what files call the kinds, in their order.
func Names() []string { return names[:] }

// MarshalText is the kind's name in files.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	for i, n := range names {
		if n == string(text) {
			*k = Kind(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no kind of fault; known: %s", text, strings.Join(names[:], ", "))
}

// Contention reports whether the kind is a neighbour that takes a node's resource.
func (k Kind) Contention() bool { return k <= DiskContention }

// scope is a set of what a fault may be aimed at.
type scope uint8

const (
	atService   scope = 1 << iota // a service, a share of its replicas, or one replica
	atOperation                   // one operation of a service
	atEdge
	atNode
)

// number is what a kind asks of one number of a fault. Both ends of above..most: the lower is open, the upper closed.
type number struct {
	used        bool
	optional    bool // 0 stands for a default
	above, most float64
	whole       bool
}

// spec is what a kind may be aimed at, and the numbers it takes.
type spec struct {
	targets scope
	// by field
	amount, length, period, jitter, errors, leak number
}

var (
	share  = number{used: true, above: 0, most: 1}
	factor = number{used: true, above: 1, most: 1e4}
	hour   = number{used: true, above: 0, most: 3600} // in seconds
)

func (n number) orNone() number {
	n.optional = true
	return n
}

var specs = [kindEnd]spec{
	CPUContention:     {targets: atService | atNode, amount: share},
	CacheContention:   {targets: atService | atNode, amount: share},
	MemoryContention:  {targets: atService | atNode, amount: share},
	NetworkContention: {targets: atService | atNode, amount: share},
	DiskContention:    {targets: atService | atNode, amount: share},
	PacketLoss:        {targets: atService | atEdge | atNode, amount: number{used: true, above: 0, most: 0.9}},
	SlowDisk:          {targets: atService | atNode, amount: factor},
	Lock:              {targets: atService | atOperation, length: hour},
	Deadlock:          {targets: atService | atOperation, amount: number{used: true, above: 1, most: 1e6, whole: true}},
	BlockingCycle:     {targets: atEdge, length: hour.orNone()},
	BadRelease: {targets: atService, amount: number{used: true, optional: true, above: 0, most: 1e4},
		errors: share.orNone(), leak: number{used: true, optional: true, above: 0, most: 1 << 40}},
	GCPause:   {targets: atService, length: hour, period: hour, jitter: share.orNone()},
	NodeLost:  {targets: atNode},
	LoadSpike: {amount: number{used: true, above: 1, most: 1000}},
}
