// Package explore collects what models of tail latency are trained on: each second it moves the cores of every service so
// that most is learnt of which allocations still hold the objective, as Sinan's multi-armed bandit does (Zhang et al., ASPLOS
// 2021, and its public artefact). It is a manager for training: it causes violations.
//
// What is known is counted for each arm: a hidden state (the 99th percentile of the second before and of this one, and the
// rate, each rounded up), a service, and the cores that it would have. With s seconds that held the objective and v that
// did not, each beginning at 0.1, and p = s/(s+v), the confidence interval of an arm is
//
//	CI = √(p(1-p)) / √(s+v)
//
// and a service takes the operation, of six, with the largest
//
//	(CI - E[CI after one more try]) × bias × (0.8 where s < v) × exp(-0.99 × utilisation × cores now / cores then)
//
// A violation is charged to what was done in the five seconds before it, and that is forgotten; what is five seconds old
// without one is counted as satisfied. Above the region of interest, a little over the objective, services only go up, all
// of them, until latency is back; then everything is held for three seconds.
//
// Read into the artefact, where it leaves it open: a reduction that rounding up would undo takes one step all the same; in a
// second that is held, all services are.
package explore
