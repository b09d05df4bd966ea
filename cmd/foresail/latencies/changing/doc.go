// Package changing measures, in simulation, what models of latency are worth when what they are asked about changes: when another mix of
// requests comes than they were trained on, and over days whose patterns come back.
package changing
