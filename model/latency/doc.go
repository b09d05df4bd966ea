// Package latency predicts how slow services, and whole requests, are at a load and an allocation, from models of single
// services that are composed, after Fluxion (Liang et al., NSDI 2023).
//
// A learning assignment (Assignment, §3.1) is of one metric of one service: its inputs are the service's own knobs and
// states and the metrics of the services it calls. It holds one or more models, of different periods, whose outputs are
// weighted. An inference graph (Graph, §3.2) connects assignments against the direction of calls, so that what is predicted
// of a callee is an input of its callers. When a service is scaled or replaced, its part of the graph alone changes.
//
// Names are labels: "frontend:0.90" is the metric 0.90 of the service frontend, "frontend:CPU_LIMIT" one of its knobs.
// Metrics are positive numbers, latencies in seconds unless the data are in something else; predictions are log-normal
// (learner.Prediction).
//
// Everything is deterministic. An Assignment and a Graph may be read by many goroutines while none changes them.
package latency
