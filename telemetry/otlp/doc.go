// Package otlp is the wire of OpenTelemetry traces: a receiver for OTLP over gRPC and HTTP, and an encoder for what
// simulations write.
//
// A request's bytes are scanned straight into records by the scanner in scan.go, which accepts exactly the bytes that
// go.opentelemetry.io/collector/pdata accepts and reads the same spans from them; tests hold the two together. A request
// is scanned to its end before anything is added, so malformed bytes get the protocol's error and change nothing.
//
// Over HTTP only senders are served: a request that a web page of another site makes, or, without Config.AllowRemote, one
// for a host that is neither an IP address nor localhost, gets 403.
//
// Which resource attribute names the service and the replica: service.name; then service.instance.id, or else
// k8s.pod.name, or else host.name. Failed is a status of code ERROR. A sampled span counts for as many as its
// tracestate says (ot=th:… and the older ot=p:…).
package otlp
