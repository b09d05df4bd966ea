// Package zipkin reads and writes traces in Zipkin's JSON, version 2:
//
//	[{"traceId": "…", "id": "…", "parentId": "…", "kind": "SERVER", "name": "get /", "timestamp": µs, "duration": µs,
//	  "localEndpoint": {"serviceName": "front", "ipv4": "10.0.0.1"}, "tags": {"error": "…"}, "shared": true}]
//
// A file is one list of spans, a list of traces (lists of spans), as Zipkin's API gives them, or one of either, or one
// span, on each line. It is read span by span, so it may be larger than memory; compression by gzip or zstd is detected.
//
// A client and a server may report one span with one id, as B3 propagation has it: then "shared" is set on the server's.
// It becomes a span of its own, the child of the client's, and what the server called becomes its child. So spans are
// gathered by trace first, and those of one trace may be apart by no more than half a million others.
//
// Spans without a kind get one from their place in the trace; see source.InferKinds. A span failed when it has a tag
// "error" that is not "false". The replica is the tag service.instance.id, or else k8s.pod.name, host.name or hostname, or
// else the local endpoint's address. Services that report no spans themselves, such as a database that a client names in
// remoteEndpoint, are not seen.
package zipkin
