// Package latencies is `foresail latency`: models of latency, composed of those of single services and monolithic, measured on runs
// of an application.
package latencies
