// Package probe finds the resource at fault where a machine has no hardware counters, as §4.4 of Seer has it: it loads one
// resource after another on purpose, from the core outwards, and looks whether the suspect's latency answers. A resource that can be
// loaded without an effect is not the one to be adjusted.
//
// Here is what decides, [Search], without a clock and without load of its own: whoever drives it runs the bursts that it asks
// for. The loads themselves are not in this package yet.
package probe

// Resource is what a probe loads.
type Resource string

// The resources.
const (
	IntegerCore     Resource = "integer-core"
	FloatCore       Resource = "float-core"
	L1Instructions  Resource = "l1-instructions"
	L1Data          Resource = "l1-data"
	L2              Resource = "l2"
	LastLevelCache  Resource = "last-level-cache"
	MemoryBandwidth Resource = "memory-bandwidth"
	MemoryCapacity  Resource = "memory-capacity"
	Disk            Resource = "disk-bandwidth"
	Network         Resource = "network-bandwidth"
)

// Outwards are all resources, from the core on, in the order in which they are tried.
func Outwards() []Resource {
	return []Resource{IntegerCore, FloatCore, L1Instructions, L1Data, L2, LastLevelCache, MemoryBandwidth, MemoryCapacity, Disk, Network}
}
