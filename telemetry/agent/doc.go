// Package agent looks at one node: what its containers use and what waits for them, ten times a second, for less than a
// fiftieth of a core.
//
// # What is looked at, and how often
//
// Each beat (100 ms, aligned to the clock): CPU time and throttled time of every container, the accept queues of its
// listening sockets, CPU time and runnable threads of the node. Each whole second besides: memory, bytes to and from disks
// and the network, pressure, cache misses, retransmitted segments; the counters are of the second that ended. What
// accepted connections tell (unread bytes, requests in flight) is read as often as a budget of CPU time allows, see
// package queue.
//
// What can't have changed is not looked at. A container that has used less than a millisecond of CPU at the last look rests
// until a second is over, or until the group above all containers has used more than is known of: up to 10 ms of CPU
// time, of all that rest together, may so be told some beats late, but in the same second, and none is lost. Throttling
// hardly ever comes late: who has a quota that so little uses up does not rest. In a network namespace of containers' own, where nobody works
// and nobody waits, accept queues are asked for at the end of a second in which packets came or went, and what
// connections told stays true, and is told, as long as none has.
//
// All files stay open and are read in place, and a beat that nothing changes in allocates nothing. Containers that come
// and go are noticed once a second.
//
// # What is not there
//
// A number that the machine does not have is absent: its signal is not set. Network and retransmits are of a network
// namespace, so a container that shares the node's has none; of several containers in one pod the one that serves has
// the pod's. Pressure of containers takes control groups of version 2. The wait for disks is what version 1 calls
// io_wait_time, and with version 2 the time in which at least one thread waited, which is less than the sum over
// threads.
package agent
