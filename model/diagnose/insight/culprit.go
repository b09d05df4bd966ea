package insight

import "foresail.dev"

// nobody is no service.
const nobody foresail.ServiceID = -1

// excess is how many seconds longer than normal requests stayed in a service, summed over them, and whether what is normal is known;
// where it is not, all of it is taken for excess. The second is without what they waited for a worker.
func (f *Finder) excess(v *tally, i foresail.ServiceID) (all, working float64, known bool) {
	if int(i) >= len(v.services) {
		return 0, 0, false
	}
	s := &v.services[i]
	all, working = s.residence, s.working()
	if int(i) < len(f.calm.services) {
		n := &f.calm.services[i]
		if each, ok := n.each(f.cfg.MinRequests); ok {
			return all - each*s.arrivals, working - n.working()/n.arrivals*s.arrivals, true
		}
	}
	return all, working, false
}

// hasGrown tells whether requests stayed in a service at least twice as long as is normal.
func (f *Finder) hasGrown(v *tally, i foresail.ServiceID) bool {
	all, _, known := f.excess(v, i)
	s := &v.services[i]
	return known && s.residence > 0 && all >= s.residence*(1-1.0/grown)
}

// waits tells whether the caller of an edge waits for the answer, as far as traces say.
func (f *Finder) waits(e edge) bool {
	return !f.traces.unwaited(pair{f.app.Services[e.from].Name, f.app.Services[e.to].Name}, f.cfg.MinSpans)
}

// culprit goes from an endpoint's entry service to the callee that accounts for what its caller takes longer than normal: for half of
// it, wait for a worker left out, or, where it takes twice as long as normal itself, for a twentieth; for a service whose workers are all taken by
// waiting calls has most of its excess in its own queue. A callee of whose stays less than a quarter is excess is left alone. The first service without such a callee is the culprit; caller is where the way came
// from. Both are nobody where the entry service itself takes no longer than normal.
func (f *Finder) culprit(v *violation) (culprit, caller foresail.ServiceID) {
	at, from := f.app.Endpoints[v.endpoint.id].Entry, nobody
	if int(at) >= len(v.services) {
		return nobody, nobody
	}
	if all, _, _ := f.excess(&v.tally, at); all <= noticeable*v.services[at].residence {
		return nobody, nobody
	}
	shares := f.shares(v)
	seen := make([]bool, len(v.services))
	for {
		seen[at] = true
		all, working, _ := f.excess(&v.tally, at)
		best, most := nobody, 0.0
		for k, e := range f.edges {
			to := e.to
			if e.from != at || shares[k] <= 0 || seen[to] || !f.waits(e) {
				continue
			}
			x, _, _ := f.excess(&v.tally, to)
			if x < quarter*v.services[to].residence {
				continue
			}
			x *= shares[k]
			if x <= most || x < half*working && !(f.hasGrown(&v.tally, to) && x >= noticeable*all) {
				continue
			}
			best, most = to, x
		}
		if best == nobody {
			return at, from
		}
		at, from = best, at
	}
}

// shares is, by edge, which part of what its callee does is for its caller. Where no call to the callee ended in this time, as
// all of them wait, it is that of the whole time.
func (f *Finder) shares(v *violation) []float64 {
	out := make([]float64, len(f.edges))
	now, ever := make([]float64, len(v.services)), make([]float64, len(v.services))
	for k, e := range f.edges {
		if int(e.to) < len(now) && int(e.from) < len(now) {
			now[e.to] += calls(&v.tally, k)
			ever[e.to] += calls(&f.whole, k)
		}
	}
	for k, e := range f.edges {
		switch {
		case int(e.to) >= len(now) || int(e.from) >= len(now):
		case now[e.to] > 0:
			out[k] = calls(&v.tally, k) / max(now[e.to], v.services[e.to].arrivals)
		case ever[e.to] > 0:
			out[k] = calls(&f.whole, k) / ever[e.to]
		}
	}
	return out
}

// calls is how many ended over an edge.
func calls(t *tally, k int) float64 {
	if k >= len(t.edges) {
		return 0
	}
	return t.edges[k].calls
}

// reach is which services the requests of an endpoint come to, over calls that callers wait for and that were ever made.
func (f *Finder) reach(v *violation) []bool {
	out := make([]bool, len(f.app.Services))
	next := []foresail.ServiceID{f.app.Endpoints[v.endpoint.id].Entry}
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if out[at] {
			continue
		}
		out[at] = true
		for _, e := range f.edges {
			if e.from == at && f.waits(e) {
				next = append(next, e.to)
			}
		}
	}
	return out
}
