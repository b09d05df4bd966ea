// Package compare runs managers side by side over applications, loads and seeds, in simulated time, and says what each
// spends and how well it keeps the objectives.
//
// An Experiment is a file (docs/formats/experiment.md). Prepare reads what it names and lists its runs; Run makes those
// that are not kept yet, in parallel; Results holds what they say, as rows, paired differences and figures over time,
// and writes JSON, Markdown, PNG plots and one HTML page. Show makes the same of what a folder keeps.
//
// # A run
//
// A run is one application under one load with one manager, bare or guarded, and one seed: a simulated cluster turned by
// package loop. It lasts the experiment's warm-up and then its duration. What happens during the warm-up is neither
// judged nor paid for: objectives, cores, replicas, changes and latencies count from its end on. A run depends on its
// Inputs alone and on the program, so its results are the same whatever else runs beside it; only the time that
// decisions take is of the wall clock.
//
// With the same seed, every manager meets the same requests with the same demands (see package cluster/sim), so
// differences between two managers are taken seed by seed: their intervals are much narrower than those of the means.
//
// # Fairness
//
// Managers are tuned, where the experiment asks for it, with the same number of settings tried for each application, on
// seeds that are not reported. Managers that learn are trained on other seeds still, and carry what they learnt into
// every reported run. Bare managers run as their authors meant; guarded ones are what the product would run.
//
// # What goes wrong
//
// A bare manager that panics ends its run, and the row says so; in the guard the baseline decides instead, and the row
// counts it. A manager that does not answer within the wall-clock limit of a decision has its run abandoned, and its
// further runs are not begun: nothing in Go can stop it, so each would take a processor for good. Finished runs are kept
// whole or not at all; a full disk or an interrupt ends the experiment, and the same command goes on where it stopped.
package compare
