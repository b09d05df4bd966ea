// Package learner is one interface over the learners of package ml, for metrics that are positive: latencies above all. It
// turns inputs and targets into what learners like (mean 0, variance 1, logarithms where that helps), says of each
// prediction how far the truth may lie from it, and looks for the hyper-parameters within a budget.
//
// Everything here is deterministic: the same data and Config give the same model. A Model is immutable; each goroutine
// predicts with a Predictor of its own.
package learner
