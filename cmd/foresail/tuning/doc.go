// Package tuning is `foresail tune`: it searches settings of an application's knobs by trials, which a model of latency picks, on a
// simulated application or on real processes.
package tuning
