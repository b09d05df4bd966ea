// Package derm is Derm's manager (Chen et al., "Derm: SLA-aware Resource Management for Highly Dynamic Microservices", ISCA
// 2024): the fewest containers under which the latency percentile of every endpoint stays within its objective, for the call
// graphs that requests are expected to take.
//
// Each minute:
//
//  1. a profiler learns from the call graphs seen how long each operation takes by itself, and how that depends on the visits
//     that each container gets (model/callgraph/profile);
//  2. a predictor says which mixes of call graphs the next minute may bring (model/callgraph/shares); those of the newest
//     minutes count as well. From all of them follow the visits that each service must be ready for;
//  3. the percentile of an endpoint's latency under any number of containers is that of the mixture of its call graphs
//     (model/callgraph), corrected by how far computed percentiles were off in the minutes before;
//  4. the fewest containers are found under which all endpoints' percentiles hold (solve), with no container busier than it may
//     be: how far something is lowered is bounded by the CPU that was used.
//
// Every few seconds in between: where more visits come than were planned for, or an objective is missed, more is asked for
// at once.
//
// Until call graphs have been seen, it scales on CPU as Kubernetes' autoscaler does, and says so.
//
// What the paper leaves open, and what was chosen, is in docs/decisions/derm.md. What the authors' artefact does is in
// package published.
package derm
