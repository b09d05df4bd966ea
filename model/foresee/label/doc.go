// Package label finds the episodes of an application, and the service that started each, in what was observed of it:
// snapshots and the spans of sampled requests. It is how data for model/foresee is annotated, and how forecasts are judged.
// Nothing that a simulator injects is read here.
//
// # Episodes
//
// Each endpoint with an objective is judged as everywhere (foresail.Judge). An episode of the application is a stretch in
// which episodes of its endpoints touch. Start is where the first of them starts: the arrival of the first late or failed
// request of the first violated window. Broken is the end of the beat in which that window had used up what its objective
// allows: from then on the violation is a fact, before it none was. A window of 100 requests holds stragglers, so Start may
// come long before anything is wrong; what is foreseen, and how early, is told from Broken.
//
// # Culprits
//
// The time of a request is divided over the services on its critical path: from the end of its root span backwards, always
// into the child that ended last. What lies in a server span and in no child of it is the service's own time, queueing for a
// worker included. What lies in a client span and in no server span (the network, waiting for a connection) belongs half to
// the caller and half to the callee: a service whose network is slow sees it on all of its edges, its neighbours on one.
//
// Excess is what a part of a late request has above its normal, the mean over requests that were in time, for each service
// and operation. A request that failed before it was late counts as one objective's latency of excess of the service in
// which the failure began, unless it began with a caller that gave up waiting: then excess is reckoned as for a late one. The services' excess is summed over the late requests of an episode that arrived until it was
// broken; later ones show what the queues make of it. The culprit is the service with the most, unless one that it calls on
// these paths has at least Cede of it: a service that waits for another fills up, and its own queue grows with the
// other's, never the other way round.
package label
