// Package loop turns: it observes a cluster, asks a manager when it is time, applies the plan and tells what happened.
//
// Time is the snapshots' own: an interval that a simulator produced in a microsecond counts as long as one that was
// waited for, so an experiment, a test and the daemon are the same loop.
package loop
