// Package telemetry turns spans into snapshots. Every source of spans feeds one Assembler: the OTLP receiver
// (telemetry/otlp), Jaeger files (telemetry/jaeger), the simulator.
//
// # What is counted
//
// A request of a service is a span of kind server or consumer. A span without a kind is a request when it has no parent
// or its parent belongs to another service; a span whose parent has not come yet waits for it. A request counts as an
// arrival where it starts and as a completion where it ends, there also as an error or, if it did not fail, as a latency;
// in flight is how many requests lie over an instant. A failed one has no latency, since refusals within microseconds
// would make an overloaded service look fast.
//
// A call from one service to another is a request whose parent span belongs to another service (or to the same one,
// when that parent is of kind client or producer), so it does not matter whether callers report spans of their own. An
// endpoint's requests are the requests of its entry service with its operation's name, or, where a load generator
// reports, the spans of that outside service with the endpoint's name.
//
// # Time
//
// Beats are aligned to the clock: beat i is [i·Beat, (i+1)·Beat) since 1970. A span is reported once it has ended, so
// what is known of a beat grows for a while: Cut hands out what is known, and what comes later follows in Snapshot.Late
// until the beat is foresail.RevisionLimit old.
//
// In flight at the end of a beat is those requests that have ended and been reported by the time of the cut. One that
// takes a second more is missing until it ends: it then follows in the Late of each beat it lay over, which raises the
// last number and the mean there, and the maximum to at least these. So the newest beats show too little of a service
// whose requests take longer than the cut waits (of ten steady requests of a second, cut after 150 ms, between one and
// two), and a beat is whole once it is older than the longest request. What must see queues as they grow needs a source
// that reports requests as they start: a Report, of telemetry/instrument or telemetry/readers, whose gauges stand in place of
// what the replica's spans tell, and are final. Requests that take longer than foresail.RevisionLimit are never seen whole.
//
// A sender's clock may be off. Once several of its messages in a row have shown by how much, its spans are shifted; until
// then, and where messages disagree, each span counts where it is stamped, or is dropped as too late or ahead.
//
// The package reads no clock: callers say when spans were received and where an interval ends, and the same calls give
// the same snapshots.
//
// # Memory
//
// Everything is bounded by Options, and what a bound costs is counted in Stats: spans remembered (for duplicates and
// parents), services, endpoints, replicas, edges, open cells. Services, endpoints, replicas and pairs that find no room are
// folded into "other".
//
// One Assembler uses one core. Shards are several that each take a part of the traces, and give the same snapshots.
package telemetry
