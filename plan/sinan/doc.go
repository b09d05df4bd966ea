// Package sinan is the online scheduler of Sinan (Zhang et al., "Sinan: ML-Based and QoS-Aware Resource Management for
// Cloud Microservices", ASPLOS 2021): each second it asks a model (package model/tail) what a few hundred neighbouring
// allocations would do to the application's tail latency, and takes the cheapest that is predicted safe.
//
// The candidates (candidates.go) and the rules that choose among them (choose.go) are those of the published artefact:
//
//	lower   the candidate with the fewest cores whose p99 stays under the objective less the margin, and whose
//	        probability of a violation is at most 0.1, while the load is steady
//	hold    what there is, when its p99 stays under that too and its probability is below 0.25
//	raise   the cheapest candidate that passes the same two tests
//	most    every service at the most CPU that its replicas may have, when none does
//
// The margin is the model's own error on data that it was not trained on. Around that stands the paper's safety part,
// which the artefact leaves out (trust.go): every prediction is scored against what then happened. After a violation that
// was predicted safe everything goes to its maximum for a few seconds; when such misses become frequent, nothing is lowered
// and the margin is wider until a run of correct predictions has earned trust back.
//
// Cores are totals over replicas everywhere in this package. A total becomes CPU for each replica, and more replicas where
// that would leave its bounds (spread.go).
package sinan
