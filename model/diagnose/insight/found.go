package insight

import (
	"bytes"
	"time"

	"foresail.dev"
)

// found is sums over the violated windows that were looked into.
type found struct {
	hot     map[hotKey]*hot
	reach   map[foresail.EndpointID][]bool // services that requests of violated windows came to
	blocked map[foresail.ServiceID]*blocked
	late    map[lateKey]*late
	retried map[int]*cost // by edge: violated windows in which its calls failed
}

func newFound() found {
	return found{hot: map[hotKey]*hot{}, reach: map[foresail.EndpointID][]bool{}, blocked: map[foresail.ServiceID]*blocked{}, late: map[lateKey]*late{}, retried: map[int]*cost{}}
}

// cost is how many violated windows something took part in.
type cost struct {
	windows, episodes int
	first, last       time.Time
	slowest           foresail.Exemplar
}

func (c *cost) add(v *violation) {
	c.windows++
	if v.began {
		c.episodes++
	}
	c.span(v.window.Start, v.window.End)
	c.take(v.slowest)
}

// take keeps the slower of two requests; of two as slow, the one with the smaller id.
func (c *cost) take(x foresail.Exemplar) {
	if x.Latency == c.slowest.Latency && bytes.Compare(x.Trace[:], c.slowest.Trace[:]) < 0 && x.Trace != (foresail.TraceID{}) {
		c.slowest = x
		return
	}
	c.slowest.Take(x)
}

func (c *cost) span(first, last time.Time) {
	if c.first.IsZero() || first.Before(c.first) {
		c.first = first
	}
	if last.After(c.last) {
		c.last = last
	}
}

// with adds what o took part in. Windows of both must differ.
func (c *cost) with(o *cost) {
	c.windows += o.windows
	c.episodes += o.episodes
	c.span(o.first, o.last)
	c.take(o.slowest)
}

type hotKey struct {
	endpoint        foresail.EndpointID
	culprit, caller foresail.ServiceID
}

// hot is the violations of an endpoint whose culprit is one service, called by another.
type hot struct {
	cost
	requests, bad float64
	stay          // of the culprit
}

// blocked is the violations whose culprit let requests wait while its CPU was idle.
type blocked struct {
	cost
	stay
	requests float64                    // of those windows
	queueing int                        // windows in which at least one request on average waited for a worker
	pinned   map[foresail.ServiceID]int // by callee: windows in which its requests in flight stood at the most that there ever were
	inside   map[foresail.ServiceID]float64
}

type lateKey struct {
	edge     int
	endpoint foresail.EndpointID
}

// late is calls that took longer than an endpoint's objective and did not fail.
type late struct {
	cost
	over, calls, errors, longest float64
}

// lookInto looks into one violated window.
func (f *Finder) lookInto(v *violation) {
	reach := f.reach(v)
	all := f.found.reach[v.endpoint.id]
	if all == nil {
		all = make([]bool, len(reach))
		f.found.reach[v.endpoint.id] = all
	}
	for i := range reach {
		all[i] = all[i] || reach[i]
	}
	culprit, caller := f.culprit(v)
	key := hotKey{v.endpoint.id, culprit, caller}
	h := f.found.hot[key]
	if h == nil {
		h = &hot{}
		f.found.hot[key] = h
	}
	h.add(v)
	h.requests += v.window.Requests
	h.bad += v.window.Bad
	if culprit != nobody {
		h.plus(&v.services[culprit])
		if f.idle(v, culprit) {
			f.addBlocked(v, culprit)
		}
	}
	f.addLate(v, reach)
	for k := range v.edges {
		if t := &v.edges[k]; reach[f.edges[k].from] && t.errors >= failing*t.calls && t.errors >= 1 {
			if f.found.retried[k] == nil {
				f.found.retried[k] = &cost{}
			}
			f.found.retried[k].add(v)
		}
	}
}

// idle tells whether requests that stay twice as long as normal in a service do so while its CPU is idle, and no other
// resource is seen to be waited for.
func (f *Finder) idle(v *violation, i foresail.ServiceID) bool {
	all, working, known := f.excess(&v.tally, i)
	s := &v.services[i]
	used, ok := share(s.cpu, s.held)
	if !ok || used >= f.cfg.Idle || all <= 0 || known && !f.hasGrown(&v.tally, i) {
		return false
	}
	if !known && (s.waiting <= 0 || s.queued < s.waiting) { // how long a stay should be is not known, so some must wait for a worker
		return false
	}
	var n *stay
	if known {
		n = &f.calm.services[i]
	}
	for _, lost := range s.lost(n) {
		if lost.seconds >= quarter*max(working, 0) {
			return false
		}
	}
	return true
}

func (f *Finder) addBlocked(v *violation, i foresail.ServiceID) {
	b := f.found.blocked[i]
	if b == nil {
		b = &blocked{pinned: map[foresail.ServiceID]int{}, inside: map[foresail.ServiceID]float64{}}
		f.found.blocked[i] = b
	}
	s := &v.services[i]
	b.add(v)
	b.plus(s)
	b.requests += v.window.Requests
	if s.waiting > 0 && s.queued >= s.waiting {
		b.queueing++
	}
	for k := range v.edges {
		e := f.edges[k]
		if e.from != i || v.edges[k].calls <= 0 || int(e.to) >= len(v.services) || !f.waits(e) {
			continue
		}
		to := &v.services[e.to]
		b.inside[e.to] += v.edges[k].latency
		if top := f.ceiling[e.to]; to.seconds > 0 && top >= 1 && to.residence >= nearLimit*top*to.seconds {
			b.pinned[e.to]++
		}
	}
}

// addLate adds calls that took longer than the endpoint's objective: those of the edges that are deepest, where what their callee called does not
// account for half of them. Fewer than half of the requests that were late are no reason.
func (f *Finder) addLate(v *violation, reach []bool) {
	beyond := make([]float64, len(f.app.Services))
	for k := range v.edges {
		if f.waits(f.edges[k]) {
			beyond[f.edges[k].from] += v.over[k][v.endpoint.k]
		}
	}
	for k := range v.edges {
		e, over := f.edges[k], v.over[k][v.endpoint.k]
		if over < 1 || over < half*v.window.Bad || !reach[e.from] || !f.waits(e) || beyond[e.to] >= half*over {
			continue
		}
		key := lateKey{k, v.endpoint.id}
		l := f.found.late[key]
		if l == nil {
			l = &late{}
			f.found.late[key] = l
		}
		l.add(v)
		l.over += over
		l.calls += v.edges[k].calls
		l.errors += v.edges[k].errors
		l.longest = max(l.longest, v.edges[k].longest)
	}
}

// costOf is the violated windows whose culprit is one of these services, or that have none and whose requests came to the first.
func (f *Finder) costOf(services ...foresail.ServiceID) (c cost) {
	in := make([]bool, len(f.app.Services))
	for _, s := range services {
		in[s] = true
	}
	for key, h := range f.found.hot {
		if key.culprit != nobody && in[key.culprit] || key.culprit == nobody && f.found.reach[key.endpoint][services[0]] {
			c.with(&h.cost)
		}
	}
	return c
}

// retried is how the calls of an edge, for each request of its caller, hang on whether calls fail. Cells in which at least
// one in a hundred fails are told from those in which none does.
type retried struct {
	cells                int
	calls, errors, asked float64 // of cells in which calls fail
	calmCalls, calmAsked float64 // of cells in which none does
}

func (r *retried) add(t *traffic, requests float64) {
	switch {
	case requests <= 0 || t.calls <= 0:
	case t.errors <= 0:
		r.calmCalls += t.calls
		r.calmAsked += requests
	case t.errors >= failing*t.calls:
		r.cells++
		r.calls += t.calls
		r.errors += t.errors
		r.asked += requests
	}
}
