// Package testbed runs an application as real processes on this machine: a Cluster like any other, to observe and to
// act on.
//
// Each replica is a process, this binary run again, in a cgroup of its own that limits its CPU. Replicas serve HTTP on
// loopback, burn CPU, hold memory and use the disk as the application's Blueprint says, and report OpenTelemetry spans
// over OTLP; a further process is the users, and a last one, the janitor, cleans up should this one be killed.
//
//	          stdin, stdout (package wire)
//	Cluster ──────────────┬──────────────┬─────────────┐
//	  │ quotas            │              │             │
//	cgroups          replica ──HTTP── replica …      users ──HTTP──▶ replica
//	  │ CPU, memory       └──────────────┴──── spans ──┘
//	  ▼                                         ▼
//	Snapshot ◀────────────────────────────── Observer
//
// What becomes of a request is what package foresail's Blueprint says; docs/decisions/testbed.md tells where reality
// leaves room, and what was chosen.
package testbed
