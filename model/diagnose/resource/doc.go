// Package resource says which resource is at fault at a service that a violation starts at, from counters alone, without
// touching anything (Gan et al., Seer, ASPLOS 2019, section 4.4: "private cluster", with counters of the node).
//
// All is a comparison of two stretches of time, one in which the service was well and one in which it is not. What each resource
// is given is the share of the time in which it held the service up now, less the share in which it did so before:
//
//   - CPU by the quota: the time that its replicas were throttled;
//   - CPU by neighbours: the time that a thread waited for CPU (Linux' PSI) without being throttled;
//   - disk: the time that at least one thread waited for a disk;
//   - memory: the time that threads waited for memory to be reclaimed;
//   - network: the time that requests waited for segments sent again, at a retransmission timeout each;
//   - caches and memory bandwidth: the share of its CPU time that it did not need for a request before. It is the cache where each
//     request misses it more often than before, bandwidth where it does not and others on its nodes move much more than before, and
//     the service's own work, as after a bad release, where neither has changed.
//
// Where a machine has no such counters, [Config.Felt] may stand in for them: what gauges of the node felt.
//
// Where requests stay longer than before and none of that explains it, they wait within the application: for a lock, a pool of
// connections, a pause, or a service that is called. A counter that was not observed is no evidence; Diagnosis.Unavailable says
// what could not be told for want of which.
package resource
