// Package disturb makes faults happen in a simulation: what a fault.Schedule says becomes what it does to nodes, replicas,
// messages and users. It keeps which faults go on and what they come to for each replica (Harm), has events of its own,
// and knows requests by number alone: what becomes of them is up to the Simulation. While no fault goes on it is asked
// nothing, and asks nothing.
//
// What a replica has for itself is slowed as on a node of its own that is as large as its limit: CPU contention leaves it
// so much of it, cache contention evicts so much of its footprint, and so on with the formulas of package node. Where
// there are nodes contention presses on them, and where it is aimed at a service on those that its replicas run on when
// it begins.
//
// A lost message is sent again after 200 ms, twice as much with each further loss. A lock is held before an operation
// begins; requests queue for it with their workers. A deadlock keeps the first requests that come from beginning for ever;
// when it ends they fail. What a blocking cycle adds is one call from the callee back to its caller for each call of its
// edge, with 1 ms of CPU; calls back that still wait when it ends fail. A bad release is rolled out and back like any
// update. A replica whose leak has used up its memory ends with all that it has, and another starts in its place. What
// stops the threads of a replica to collect garbage uses a core, or its limit, while threads wait. A load spike adds
// requests of its own, so that those that come without it stay as they are.
//
// A fault on a service hits the replicas that there are when it begins, or a share of them, drawn; those that start
// meanwhile are hit as the share asks for it. Each fault draws from a stream of its own.
package disturb

import (
	"foresail.dev"
	"foresail.dev/cluster/sim/program"
)

// Simulation is what faults see of a simulation, and what they do to it. Nothing is asked of it but at an instant at which
// a fault acts. Nodes, services, replicas, operations in progress and calls go by their numbers.
type Simulation interface {
	Services
	Replicas
	Requests
}

// Services are rolled out, and run as replicas on nodes.
type Services interface {
	// Version is what a service's new replicas are of.
	Version(service int32) *program.Service
	// RollOut makes a version a service's, by a rolling update.
	RollOut(service int32, version *program.Service)
	// Running lists the replicas that start or are ready, oldest first. The list is the caller's.
	Running(service int32) []int32
	// SetDown loses a node with all that runs on it, or brings it back.
	SetDown(node int32, down bool)
}

// Replicas are harmed.
type Replicas interface {
	// Replica is one that has not gone.
	Replica(id int32) Replica
	// Harm is what is done to a replica: NoHarm where there was none so far. It stays where it is until nothing harms the
	// replica any more and Healed has said so.
	Harm(id int32) *Harm
	Healed(id int32)
	// Bound lets at most so many cores, in the units of package cfs, run a replica's threads at once, of whose time a share
	// is lost.
	Bound(id int32, cores int64, slow float64)
	// Stop stops a replica's threads, or lets them go on.
	Stop(id int32, stopped bool)
	// Restart ends a ready or draining replica with all that it has, and starts another in its place. It reports whether it
	// did: one that still starts is let be.
	Restart(id int32) bool
}

// Requests are kept from beginning, and call back.
type Requests interface {
	// Enter begins an operation that was kept from it.
	Enter(frame, id int32)
	// Proceed goes on with one that a fault gives up, or fails it.
	Proceed(frame int32, failed bool)
	// CallBack has one make a call before it begins.
	CallBack(frame, call int32)
	// GiveUp ends all calls of a kind that are in progress, for those that make them.
	GiveUp(call int32)
}

// Replica is what faults see of one.
type Replica struct {
	Name         string
	Service      int32
	Host         int32   // -1: it has a machine for itself
	Asked        int64   // when it was asked for, ns
	Cores        float64 // its limit
	Memory, Most int64   // bytes that it holds without what has leaked, and its limit
	Stopped      bool
	Interference *foresail.Interference
	Harm         *Harm // nil: there is none
}
