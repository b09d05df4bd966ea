// Package explaining is "foresail explain" and "foresail whatif": what drove a prediction of tail latency and the decision
// of a moment that was recorded, and what another allocation would have been predicted to bring.
package explaining
