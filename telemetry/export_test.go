package telemetry

import (
	"time"

	"foresail.dev"
)

// AddAt takes spans as if a receiver had handed them over at the given time.
func (a *Assembler) AddAt(received time.Time, spans []foresail.Span) Result {
	return a.AddBatch(received, batchOf(spans))
}

// BatchOf is the batch of spans.
func BatchOf(spans []foresail.Span) *Batch { return batchOf(spans) }
