// Package operator manages every Application of a Kubernetes cluster, or of one namespace: for each it runs the loop, and says in
// the resource's status what it sees, what it would do and why.
//
// Several operators may run. All observe and decide, so that each is ready; the one that holds a Lease acts, and writes status.
// The right to act ends, by a clock that goes on while a process is stopped, when the Lease could be somebody else's: a process
// that wakes up writes nothing any more. When another takes over, its first plan grows what has to grow and shrinks nothing.
//
// A workload has one owner: the oldest Application that names it. What a manager is and where load is observed come from
// outside (Config): this package knows neither.
package operator
