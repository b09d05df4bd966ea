// Package node is the arithmetic of machines that replicas share: where a replica is placed, and what neighbours do to
// each other. It knows nothing of events: the simulator asks it with what it has counted.
//
// # Placement
//
// A replica asks for the CPU and the memory of its service's allocation, as a Kubernetes pod whose requests are its
// limits. It goes to the node with the best score among those with as much to spare; ties go to the node with fewer
// replicas, then to the first. Spread scores as the Kubernetes scheduler does by default, with NodeResourcesFit
// (LeastAllocated) and NodeResourcesBalancedAllocation at equal weights: with c and m the shares of CPU and memory that
// would be requested,
//
//	score = ((1 − c) + (1 − m)) / 2 + 1 − |c − m| / 2
//
// BinPack scores (c + m) / 2, as MostAllocated does. What is not limited has a share of 0.
//
// # CPU
//
// While a node has no more runnable threads than cores, each runs at full speed. Else the cores are divided among the
// replicas as cgroups do by cpu.shares or cpu.weight, with the replica's limit as its weight w: a replica gets its n
// runnable threads or λw cores, whichever is less, with λ such that all cores are used (max-min fairness):
//
//	Σ min(n, λw) = cores
//
// A replica that waits for its quota takes no part.
//
// # Last-level cache
//
// A replica fills its footprint f while it keeps a core busy, and as much less of it as it is idle: f·min(1, u), u its
// mean cores in use. What all fill is more than the cache L, or than what an antagonist leaves of it, by a share that is
// evicted, of each in proportion, as an LRU cache does to streams of like reuse:
//
//	x = max(0, 1 − L / Σ f·min(1, u))
//
// # Memory bandwidth
//
// A busy core moves b bytes/s with its footprint in the cache, and more with what is evicted: b(1 + EvictedTraffic·x). A
// slow core moves less, by its slowdown S. Memory of bandwidth M is then used to the share
//
//	ρ = Σ u·b(1 + EvictedTraffic·x) / (S·M)
//
// and a request to it waits, in times of what an idle memory needs to answer, as in an M/D/1 queue:
//
//	y = ρ / (2(1 − ρ))
//
// S rises with y, and y with ρ, so there is one such ρ; it is searched for up to MaxUse.
//
// # Slowdown
//
// Work takes CPU time as long as its blueprint says, times
//
//	S = 1 + cache sensitivity · x + bandwidth sensitivity · y
//
// It is linear in the misses, as cycles per instruction are: base cycles and, for each miss, what memory takes to answer
// (Hennessy and Patterson, Computer Architecture, appendix B). Bubble-Up (Mars et al., MICRO 2011) measures such
// sensitivities of services to a pressure on the memory system, and Erms (Luo et al., ASPLOS 2023) likewise fits a
// service's latency with a slope linear in its neighbours' use of CPU and of memory. Cores stalled on memory are busy:
// an agent sees CPU time and not the slowdown.
//
// # Network and disk
//
// A message occupies the sender's link and the receiver's for its bytes over the link's rate, in the order of arrival,
// and a node's disk serves one request at a time, or as many as there are disks. A request takes the time that its
// service asks for, or its bytes over the disk's rate, whichever is more.
//
// # Antagonists
//
// A Pressure is the share of each resource that something beside the application takes. CPU, cache, memory bandwidth,
// network and disk are left with 1 − share; a disk then takes 1/(1 − share) times as long. Loss is the share of packets
// that are lost on the node's link.
package node
