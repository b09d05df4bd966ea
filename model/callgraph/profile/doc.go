// Package profile learns how long services take by themselves, and how that depends on their load.
//
// Three things are learnt of a service, the first two as Derm (ISCA 2024) has them, the last as Erms (ASPLOS 2023) does:
//
//   - The distribution of own time at one load: a shifted exponential, by the rule of Derm's artefact or by maximum
//     likelihood (Published, Likely), where it fits; elsewhere a phase-type or an empirical one. Choose says which and why.
//   - Its dependence on load ω, visits per second and ready container: the rate of the exponential as a line, λ = aω + b
//     (FitLine), with the range in which it holds.
//   - The 95th percentile against load in two linear pieces, with terms of interference (FitPieces).
//
// Profiler learns all of that minute by minute for managers.
//
// Own times are in seconds and loads in visits per second and ready container, but for Pieces, which are in the units of
// Erms: microseconds, and visits per minute and container.
package profile
