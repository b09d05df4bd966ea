// Package acting measures what acting on foreseen violations is worth: the same simulated operation, with the same requests and the same
// faults, once under a manager alone and once under the same manager wrapped by package seer. What was injected is read here to match the
// episodes of two runs that differ; managers and models see nothing of it.
package acting
