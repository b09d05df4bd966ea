package insight

import (
	"cmp"
	"slices"

	"foresail.dev"
)

// perRequest is how many calls a request of the edge's caller makes on average; ok is false where too few requests are behind it.
func (f *Finder) perRequest(k int) (calls float64, ok bool) {
	from := f.edges[k].from
	if int(from) >= len(f.whole.services) || f.whole.services[from].ended < f.cfg.MinRequests {
		return 0, false
	}
	return f.whole.edges[k].calls / f.whole.services[from].ended, true
}

// known are the operations of a service of which enough sampled spans are known, in the order of their names.
func (f *Finder) known(service string) (out []operation) {
	for op, c := range f.traces.ops {
		if op.service == service && c.spans >= f.cfg.MinSpans {
			out = append(out, op)
		}
	}
	slices.SortFunc(out, func(a, b operation) int { return cmp.Compare(a.name, b.name) })
	return out
}

// chatty is pairs of services with many calls for each request.
func (f *Finder) chatty() (out []Insight) {
	for k, e := range f.edges {
		if e.from == e.to {
			continue
		}
		p := pair{f.name(e.from), f.name(e.to)}
		in := Insight{Kind: Chatty, Service: p.from, Callee: p.to}
		calls, ok := f.perRequest(k)
		if ok {
			in.Requests = f.whole.services[e.from].ended
		}
		for _, op := range f.known(p.from) {
			c := f.traces.ops[op]
			if mean := float64(c.calls[p.to]) / float64(c.spans); mean >= f.cfg.ChattyCalls && mean > calls {
				calls, in.Operation, in.Requests, in.Trace = mean, op.name, float64(c.spans), c.most[p.to].trace
			}
		}
		if calls < f.cfg.ChattyCalls {
			continue
		}
		if in.Trace == (foresail.TraceID{}) {
			in.Trace = f.most(p).trace
		}
		in.number("calls_per_request", calls)
		t := &f.whole.edges[k]
		if each, ok := share(t.latency, t.answered); ok {
			in.number("call_ms", each*1000)
			in.number("calls_ms_per_request", each*calls*1000)
		}
		in.Change = "ask " + p.to + " for all at once (one call for many items), keep answers in " + p.from + ", or make the two one service"
		c := f.costOf(e.from, e.to)
		out = append(out, priced(f.always(in), &c))
	}
	return out
}

// most is the trace with most calls from one service to another in one request.
func (f *Finder) most(p pair) (x example) {
	for op, c := range f.traces.ops {
		if e := c.most[p.to]; op.service == p.from && e.size > 0 {
			x.take(e.trace, e.size)
		}
	}
	return x
}

// widest is the trace in which one request of a service called most services.
func (f *Finder) widest(service string) (x example) {
	for op, c := range f.traces.ops {
		if op.service == service && c.widest.size > 0 {
			x.take(c.widest.trace, c.widest.size)
		}
	}
	return x
}

// fanOut is services whose requests call many others.
func (f *Finder) fanOut() (out []Insight) {
	callees := make([][]foresail.ServiceID, len(f.app.Services))
	usual := make([]float64, len(f.app.Services)) // callees that at least every other request calls
	for k, e := range f.edges {
		if e.from == e.to || !f.waits(e) {
			continue
		}
		if calls, ok := f.perRequest(k); ok {
			callees[e.from] = append(callees[e.from], e.to)
			if calls >= half {
				usual[e.from]++
			}
		}
	}
	for i := range f.app.Services {
		in := Insight{Kind: FanOut, Service: f.app.Services[i].Name}
		wide := usual[i]
		if i < len(f.whole.services) {
			in.Requests = f.whole.services[i].ended
		}
		for _, op := range f.known(in.Service) {
			c := f.traces.ops[op]
			n := 0.0
			for to, calls := range c.calls {
				if !f.traces.unwaited(pair{in.Service, to}, f.cfg.MinSpans) && float64(calls) >= half*float64(c.spans) {
					n++
				}
			}
			if n >= f.cfg.FanOut && n > wide {
				wide, in.Operation, in.Requests, in.Trace = n, op.name, float64(c.spans), c.widest.trace
			}
		}
		if wide < f.cfg.FanOut {
			continue
		}
		if in.Operation == "" {
			in.Trace = f.widest(in.Service).trace
		}
		in.number("services_per_request", wide)
		in.Change = "call fewer services for a request: join some, call those that users need not wait for asynchronously, or answer without the slowest"
		c := f.costOf(append([]foresail.ServiceID{foresail.ServiceID(i)}, callees[i]...)...)
		out = append(out, priced(f.always(in), &c))
	}
	return out
}

// cycles is rings of services that wait for each other. Of services that lie on several rings the shortest ring is told.
func (f *Finder) cycles() (out []Insight) {
	next := make([][]foresail.ServiceID, len(f.app.Services))
	for k, e := range f.edges {
		if f.whole.edges[k].calls >= f.cfg.MinRequests && f.waits(e) {
			next[e.from] = append(next[e.from], e.to)
		}
	}
	byName := func(a, b foresail.ServiceID) int { return cmp.Compare(f.name(a), f.name(b)) }
	order := make([]foresail.ServiceID, len(next))
	for i := range next {
		slices.SortFunc(next[i], byName)
		order[i] = foresail.ServiceID(i)
	}
	slices.SortFunc(order, byName)
	done := make([]bool, len(next))
	for _, at := range order {
		if done[at] {
			continue
		}
		ring := shortestRing(next, at)
		if ring == nil {
			continue
		}
		for _, s := range ring {
			done[s] = true
		}
		out = append(out, f.cycle(ring))
	}
	return out
}

func (f *Finder) cycle(ring []foresail.ServiceID) Insight {
	in := Insight{Kind: Cycle, Service: f.name(ring[0])}
	around := 0.0 // calls over the edge of the ring that has fewest
	for i, s := range ring {
		in.Ring = append(in.Ring, f.name(s))
		calls := f.whole.edges[f.number[edge{s, ring[(i+1)%len(ring)]}]].calls
		if i == 0 || calls < around {
			around = calls
		}
		if e := f.traces.rings[f.name(s)]; e.trace != (foresail.TraceID{}) {
			in.Trace = e.trace
		}
	}
	in.Requests = around
	in.number("services", float64(len(ring)))
	in.number("calls_fewest", around)
	switch {
	case f.traces.sampled == 0:
		in.Notes = append(in.Notes, "whether callers wait for these calls is not known: there are no traces")
	case in.Trace == (foresail.TraceID{}):
		in.Notes = append(in.Notes, "no trace shows a request that goes round: the services can still wait for each other's workers")
	}
	in.Change = "break the ring: give the later service what it asks for with the first call, move what both need into a third service, or make one call asynchronous"
	c := f.costOf(ring...)
	return priced(f.always(in), &c)
}

// shortestRing is the shortest way from a service back to itself; nil: there is none.
func shortestRing(next [][]foresail.ServiceID, start foresail.ServiceID) []foresail.ServiceID {
	before := make([]foresail.ServiceID, len(next))
	for i := range before {
		before[i] = nobody
	}
	queue := []foresail.ServiceID{start}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, to := range next[at] {
			if to == start {
				var ring []foresail.ServiceID
				for ; at != start; at = before[at] {
					ring = append(ring, at)
				}
				ring = append(ring, start)
				slices.Reverse(ring)
				return ring
			}
			if before[to] == nobody {
				before[to] = at
				queue = append(queue, to)
			}
		}
	}
	return nil
}
