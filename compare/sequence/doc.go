// Package sequence measures what models of latency are worth while an application is changed step by step: services are
// scaled out, replaced, and get another load, as in the sequences of Fluxion (Liang et al., NSDI 2023, §5.1, figures 5 to 8).
//
// # What is simulated
//
// An application file gives services and what they do. A service runs as so many instances, each with knobs of its own: callers
// spread over them evenly, without looking at how busy they are. What knobs there are, and what they do, is the kind's of the
// service (Kind). A sample is one setting of all knobs and a load, drawn by a function of the sequence, the step, the seed and
// the sample's number alone, and what was observed of each instance while it ran.
//
// # What is compared
//
// After each step, methods are trained on n samples of after it, and predict others. A composed model (package
// model/latency) keeps what the step did not change and trains what it did; a monolith is trained on all inputs anew.
package sequence
