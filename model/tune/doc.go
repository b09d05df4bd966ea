// Package tune searches settings of an application's knobs: which one to try next, given what was measured of those before.
//
// It is what Fluxion (Liang et al., NSDI 2023, §2.1 and §5.1.3) couples models of latency with. After an initial design that fills
// the space (a Latin hypercube), a model is trained on all trials so far, and an optimiser picks the next one by the model's
// predictions. Models are a composed inference graph of the services (package model/latency/compose) and monolithic ones of all
// knobs at once; optimisers are random search over many predicted settings, Bayesian optimisation, and one after Metis (Li et
// al., USENIX ATC 2018).
//
// The cost of a setting is known without a trial. It may be bounded, for every setting that is tried, or weighed against latency.
// That other objectives hold is only known by trials: their slack, the largest of what was measured over its bound, is predicted
// as latency is.
//
// Next hangs on its arguments alone, so a search that was cut off goes on as if it had not been.
package tune
