package shapes_test

import (
	"context"
	"time"

	"foresail.dev"
)

var (
	background = context.Background()
	start      = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// span is one of trace 1; times are in milliseconds.
func span(id, parent byte, kind foresail.SpanKind, service, operation string, from, to float64) foresail.Span {
	return foresail.Span{Trace: foresail.TraceID{15: 1}, ID: foresail.SpanID{7: id}, Parent: foresail.SpanID{7: parent}, Service: service,
		Operation: operation, Kind: kind, Start: start.Add(time.Duration(from * 1e6)), End: start.Add(time.Duration(to * 1e6))}
}

const (
	none     = foresail.KindUnspecified
	internal = foresail.KindInternal
	server   = foresail.KindServer
	client   = foresail.KindClient
	producer = foresail.KindProducer
	consumer = foresail.KindConsumer
)
