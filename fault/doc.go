// Package fault says what goes wrong in an application, on what, when and how badly: at fixed instants, or drawn at random
// from a seed. It is pure: time is an offset from the start of the run, and nothing here makes a fault happen; a simulator
// does (see cluster/sim).
//
// # Kinds
//
// Contention is a neighbour on the node that takes Amount, a share in 0..1, of one of its resources: CPU, last-level
// cache, memory bandwidth, network or disk. Packet loss loses each message with probability Amount; a lost one is sent
// again after 200 ms, then 400 ms, and so on, as TCP does. A slow disk takes Amount times as long for everything. A lock
// held too long makes the requests of a replica that need it go one at a time, Length each. A deadlock takes Amount workers
// of each replica out of work until it ends: each waits for what another holds. A blocking cycle makes the callee of an
// edge call its caller back, synchronously, before it goes on, so that both may run out of workers. A bad release is a
// version of one service that needs Amount times the CPU, fails Errors of its requests, or leaks Leak bytes a second until
// it is restarted. Garbage-collection pauses stop all threads of a replica for Length, each Period. A node is lost with all
// that runs on it, and is empty when it comes back. A load spike multiplies the load by Amount.
//
// # Random faults
//
// Each entry of a random schedule is a Poisson process. An instant at which nothing could be hit without a contradiction
// brings no fault, so what is drawn is never contradictory. Entries don't disturb each other's numbers: each fault draws
// from a stream of its own, derived from the seed, the entry and its place in it.
package fault
