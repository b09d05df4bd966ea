package shapes

import "foresail.dev"

// endpointOf is the endpoint that a visit is a request of; nil: none.
func (c *Collector) endpointOf(root int32) *endpoint {
	l := &c.layout
	v := &l.found[root]
	id := c.names.ops[v.op].endpoint
	if v.client != noOne {
		if asked := c.names.ops[l.spans[v.client].op].asked; asked != noOne {
			id = asked
		}
	}
	if id == noOne {
		return nil
	}
	for int(id) >= len(c.endpoints) {
		c.endpoints = append(c.endpoints, &endpoint{id: foresail.EndpointID(len(c.endpoints)), forms: map[string]*form{}})
	}
	return c.endpoints[id]
}

// count counts a request.
func (c *Collector) count(e *endpoint, root int32) {
	l := &c.layout
	v := &l.found[root]
	w := float64(l.spans[v.span].weight)
	if !(w > 0) {
		w = 1
	}
	w = min(w, 1<<20) / c.o.Share / c.limit.share
	f := e.find(l.textOf(root), v.failed, c.names, c.o.Forms)
	to := f
	if f != nil {
		f.count += w
	}
	l.place(root)
	if f == nil || !f.kept {
		to = c.pooled(e, f, root, w)
	}
	for i := root; int(i) < len(l.found); i++ {
		x := &l.found[i]
		if x.slot == noOne {
			continue
		}
		c.stats.Pooled.called(l.ops[x.op].id, w)
		if to == f && !x.failed {
			f.own[f.slots[x.slot]].AddN(float64(x.own)/1e9, w)
		}
		x.slot = noOne
	}
	for _, k := range to.calls {
		c.stats.Pooled.told(k.service, k.n*w)
	}
	to.requests += w
	c.stats.Requests += w
	if v.failed {
		c.stats.Failed += w
		return
	}
	took := float64(v.to-v.from) / 1e9
	to.latency.AddN(took, w)
	if to == f {
		f.took, f.ended = f.took+took*w, f.ended+w
	} else if to.ended > 0 {
		c.pooledTook, c.pooledInstead, c.pooledEnded = c.pooledTook+took*w, c.pooledInstead+to.took/to.ended*w, c.pooledEnded+w
	}
}

// pooled finds the form that a request of a rare one counts to. Its visits have their places.
func (c *Collector) pooled(e *endpoint, f *form, root int32, w float64) *form {
	c.stats.Pooled.Requests += w
	var to *form
	switch {
	case f == nil:
		to = e.nearest(countCalls(decode(c.names, c.layout.textOf(root))))
	default:
		if f.at != e.version || f.near == nil {
			f.near, f.at = e.nearest(f.calls), e.version
		}
		to = f.near
	}
	to.pooled += w
	return to
}

func (p *Pooling) called(service int32, w float64) {
	for int(service) >= len(p.Calls) {
		p.Calls, p.Told = append(p.Calls, 0), append(p.Told, 0)
	}
	p.Calls[service] += w
}

func (p *Pooling) told(service int32, w float64) {
	p.called(service, 0)
	p.Told[service] += w
}
