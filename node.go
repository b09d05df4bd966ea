package foresail

import "fmt"

// Node is a machine that replicas run on. A quantity of 0 is not limited, so that the zero Node interferes with nothing.
type Node struct {
	Name            string
	Cores           int     // threads that run at once
	Memory          int64   // bytes
	Cache           int64   // bytes of the last-level cache that all cores share
	MemoryBandwidth float64 // bytes/s between the caches and memory
	Network         float64 // bytes/s of its link, in each direction
	Disk            float64 // bytes/s that each of its disks moves at most
	Disks           int     // requests that it serves at once, one for each disk; 0: one
	Counters        bool    // it has hardware counters that an agent may read: cache misses and memory traffic
}

// Check says what is wrong with a node; nil: nothing.
func (n *Node) Check() error {
	switch {
	case n.Name == "":
		return fmt.Errorf("a node has no name")
	case n.Cores < 0 || n.Cores > 1e6:
		return fmt.Errorf("node %s: %d cores: give 1 to 1000000, or 0 for no limit", n.Name, n.Cores)
	case n.Memory < 0 || n.Cache < 0:
		return fmt.Errorf("node %s: memory and cache must not be negative", n.Name)
	case !(n.MemoryBandwidth >= 0 && n.MemoryBandwidth <= 1<<60) || !(n.Network >= 0 && n.Network <= 1<<60) || !(n.Disk >= 0 && n.Disk <= 1<<60):
		return fmt.Errorf("node %s: memory bandwidth, network and disk must be bytes per second, or 0 for no limit", n.Name)
	case n.Disks < 0 || n.Disks > 1e4:
		return fmt.Errorf("node %s: %d disks: give 1 to 10000, or 0 for one", n.Name, n.Disks)
	}
	return nil
}

// Interference is what a service takes of what the cores of a node share, and how much it suffers when it gets less. A
// replica alone on its node needs exactly the CPU time of its blueprint where its footprint fits in the cache and memory
// is quiet; docs of package cluster/sim/node have the formulas.
type Interference struct {
	Cache     int64   // bytes of last-level cache that a replica fills while it keeps a core busy: its footprint
	Bandwidth float64 // bytes/s that each busy core moves from and to memory while the footprint is in the cache
	// CacheSensitivity is how much longer its work takes when all of its footprint is evicted: 0.5 is half as long again.
	CacheSensitivity float64
	// BandwidthSensitivity is how much longer its work takes for each doubling of the time that memory needs to answer.
	BandwidthSensitivity float64
}

// DefaultInterference is that of a service whose blueprint says nothing: mild, as of a service that spends most of its
// time in the kernel and in its caches. It is assumed, not measured.
var DefaultInterference = Interference{Cache: 1 << 20, Bandwidth: 200e6, CacheSensitivity: 0.2, BandwidthSensitivity: 0.1}

// Placement is a way to choose a node for a replica.
type Placement uint8

// The placements.
const (
	Spread  Placement = iota // on the emptiest and best balanced node
	BinPack                  // on the fullest node
)

var placementNames = [...]string{"spread", "bin-pack"}

// String is the name that files use.
func (p Placement) String() string { return placementNames[p] }

// UnmarshalText reads a name.
func (p *Placement) UnmarshalText(text []byte) error {
	for i, n := range placementNames {
		if n == string(text) {
			*p = Placement(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no placement: use spread or bin-pack", text)
}
