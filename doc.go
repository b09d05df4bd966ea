// Package foresail holds the words that every part of Foresail shares: an application and its objectives, what was
// observed of it (Snapshot, History), what should be done (Plan), and the two interfaces that everything hangs on,
// Cluster and Manager.
//
// Data flows one way. Telemetry becomes snapshots; a manager reads snapshots and decides a plan; a cluster applies it:
//
//	telemetry → Snapshot → History → Manager → Plan → Cluster
//
// The package is pure: no clock, no goroutine, no I/O, no randomness. Durations are time.Duration, instants are UTC
// with nanoseconds, CPU is in cores, memory in bytes.
package foresail
