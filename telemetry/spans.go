package telemetry

import (
	"strings"
	"time"

	"foresail.dev"
)

// Spans are the spans of a batch, for who keeps them: the batch's own memory is its sender's. Those that count for
// nothing are left out.
func (b *Batch) Spans() []foresail.Span {
	var out []foresail.Span
	for i := range b.Senders {
		s := &b.Senders[i]
		service, replica := strings.Clone(s.Service), strings.Clone(s.Replica)
		for k := range s.Spans {
			r := &s.Spans[k]
			if r.Weight < 0 {
				continue
			}
			out = append(out, foresail.Span{Trace: r.Trace, ID: r.ID, Parent: r.Parent, Service: service, Replica: replica,
				Operation: strings.Clone(r.Name), Kind: r.Kind, Start: time.Unix(0, r.Start).UTC(), End: time.Unix(0, r.End).UTC(),
				Failed: r.Failed, Weight: r.Weight})
		}
	}
	return out
}
