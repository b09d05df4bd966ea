package sim

import (
	"encoding/binary"
	"foresail.dev/cluster/sim/program"

	"foresail.dev"
)

// trace is one sampled attempt of a user's request, until all work for it has ended.
type trace struct {
	id    foresail.TraceID
	refs  int32 // the user's attempt, and each visit and call made for it
	spans []foresail.Span
}

// newTrace begins one for the user who makes an attempt.
func (c *Cluster) newTrace() int32 {
	ti := c.traces.Take()
	t := c.traces.At(ti)
	*t = trace{refs: 1}
	binary.BigEndian.PutUint64(t.id[:8], c.spanIDs.Uint64())
	binary.BigEndian.PutUint64(t.id[8:], c.spanIDs.Uint64())
	return ti
}

// nextSpan is the number of a new span, never 0.
func (c *Cluster) nextSpan() uint64 {
	for {
		if id := c.spanIDs.Uint64(); id != 0 {
			return id
		}
	}
}

func spanID(id uint64) (out foresail.SpanID) {
	binary.BigEndian.PutUint64(out[:], id)
	return out
}

func (c *Cluster) unrefTrace(ti int32) {
	t := c.traces.At(ti)
	if t.refs--; t.refs > 0 {
		return
	}
	spans := t.spans
	*t = trace{}
	c.traces.Give(ti)
	if len(spans) > 0 {
		c.cfg.Spans(spans)
	}
}

// record adds a span that ends now.
func (c *Cluster) record(ti int32, kind foresail.SpanKind, service, replica, operation string, id, parent uint64, start int64, failed bool) {
	t := c.traces.At(ti)
	t.spans = append(t.spans, foresail.Span{
		Trace: t.id, ID: spanID(id), Parent: spanID(parent), Service: service, Replica: replica, Operation: operation,
		Kind: kind, Start: c.instant(start), End: c.instant(c.queue.Now()), Failed: failed, Weight: 1 / c.cfg.TraceShare,
	})
}

// operation is how a server span names what a call asks for: users call an endpoint's operation.
func (c *Cluster) operation(def *program.Call) string {
	if def.Endpoint >= 0 {
		if name := c.app.Endpoints[def.Endpoint].Operation; name != "" {
			return name
		}
	}
	return c.program.Ops[def.Op].Name
}

// clientSpan is an attempt as its caller saw it.
func (c *Cluster) clientSpan(k *call, failed bool) {
	r := c.replicas.At(c.visits.At(k.from).replica)
	def := &c.program.Calls[k.def]
	c.record(k.trace, foresail.KindClient, c.services[r.service].name, r.name, c.operation(def),
		k.span, c.visits.At(k.from).span, k.asked, failed)
}

// visitSpan is a visit as its server saw it.
func (c *Cluster) visitSpan(v *visit) {
	r := c.replicas.At(v.replica)
	c.record(v.trace, foresail.KindServer, c.services[r.service].name, r.name, c.operation(&c.program.Calls[v.def]),
		v.span, v.parent, v.arrived, v.failed)
}

// refusalSpan is a call that a replica refused.
func (c *Cluster) refusalSpan(k *call, r *replica) {
	c.record(k.trace, foresail.KindServer, c.services[r.service].name, r.name, c.operation(&c.program.Calls[k.def]),
		c.nextSpan(), k.span, c.queue.Now(), true)
}
