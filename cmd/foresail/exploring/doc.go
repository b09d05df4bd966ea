// Package exploring is "foresail explore": data sets for models of tail latency, of simulated applications and of a real one.
package exploring
