package sim

import (
	"foresail.dev"
	"foresail.dev/cluster/sim/program"
)

// span is what a replica did for a call, or had done, until now.
func (c *Cluster) span(kind foresail.SpanKind, r *replica, def *program.Call, start int64, failed bool) foresail.Span {
	return foresail.Span{Service: c.services[r.service].name, Replica: r.name, Operation: c.operation(def),
		Kind: kind, Start: c.instant(start), End: c.instant(c.queue.Now()), Failed: failed}
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
	caller := c.visits.At(k.from)
	c.traces.Add(k.trace, k.span, caller.span,
		c.span(foresail.KindClient, c.replicas.At(caller.replica), &c.program.Calls[k.def], k.asked, failed))
}

// visitSpan is a visit as its server saw it.
func (c *Cluster) visitSpan(v *visit) {
	c.traces.Add(v.trace, v.span, v.parent,
		c.span(foresail.KindServer, c.replicas.At(v.replica), &c.program.Calls[v.def], v.arrived, v.failed))
}

// refusalSpan is a call that a replica refused.
func (c *Cluster) refusalSpan(k *call, r *replica) {
	c.traces.Add(k.trace, c.traces.NextSpan(), k.span,
		c.span(foresail.KindServer, r, &c.program.Calls[k.def], c.queue.Now(), true))
}
