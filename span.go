package foresail

import "time"

// Span is one timed operation of one request, as tracing reports it. Simulated and real spans have the same form.
type Span struct {
	Trace     TraceID
	ID        SpanID
	Parent    SpanID // zero: none
	Service   string
	Replica   string // the replica's name; empty where the source gives none
	Operation string
	Kind      SpanKind
	Start     time.Time
	End       time.Time
	Failed    bool    // the operation ended in an error
	Weight    float64 // how many operations it stands for after sampling (adjusted count); 0 means 1
}

// TraceID names a request through all its spans.
type TraceID [16]byte

// SpanID names a span within its trace.
type SpanID [8]byte

// SpanKind is a span's role in a call.
type SpanKind uint8

// The kinds, numbered as OTLP numbers them.
const (
	KindUnspecified SpanKind = iota
	KindInternal
	KindServer
	KindClient
	KindProducer
	KindConsumer
)
