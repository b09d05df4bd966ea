// Package insight says what in an application's design invites violations: from what was observed over days, and from traces of a
// few requests (Gan et al., "Seer: Leveraging Big Data to Navigate the Complexity of Performance Debugging in Cloud
// Microservices", ASPLOS 2019, sections 4.5 and 6.3).
//
// A Finder takes traces and snapshots in the order of time and keeps sums alone, so that its memory does not grow with the time.
// It judges each objective (foresail.Judge). Calm cells, in which no objective was missed, say how long a request normally spends in each service.
// For each violated window it looks for the culprit: from the endpoint's entry service it goes to the callee that accounts for what
// its caller takes longer than normal, until none does. What that service's counters say of a resource is told with it.
//
// How long requests spend in a service is taken from what is in flight (Little's law: the mean number in flight times the time
// is the sum of all stays, those of requests that fail or are given up included), else from latencies.
//
// An insight is told when it took part in enough violated windows, and has enough requests behind it; see Config. What is found in
// counters is true of a service as a whole; traces tell operations apart, and which calls nobody waits for.
package insight
