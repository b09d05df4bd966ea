package source

import "foresail.dev"

// InferKinds gives a kind to the spans of one trace that have none, and counts them. A span without a parent, or with a
// parent in another service, is a server span; one with a child in another service is a client span; the others are
// internal. A parent that the trace does not hold leaves a span internal, unless it has a child in another service.
func InferKinds(spans []foresail.Span) (inferred int) {
	at := make(map[foresail.SpanID]int, len(spans))
	for i := range spans {
		at[spans[i].ID] = i
	}
	calls := make([]bool, len(spans)) // has a child in another service
	for i := range spans {
		if p, ok := at[spans[i].Parent]; ok && spans[p].Service != spans[i].Service {
			calls[p] = true
		}
	}
	for i := range spans {
		s := &spans[i]
		if s.Kind != foresail.KindUnspecified {
			continue
		}
		inferred++
		p, known := at[s.Parent]
		switch {
		case s.Parent == foresail.SpanID{} || known && spans[p].Service != s.Service:
			s.Kind = foresail.KindServer
		case calls[i]:
			s.Kind = foresail.KindClient
		default:
			s.Kind = foresail.KindInternal
		}
	}
	return inferred
}
