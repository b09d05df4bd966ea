package insight

import (
	"cmp"
	"slices"

	"foresail.dev"
)

// rank puts those that cost most first.
func rank(all []Insight) {
	slices.SortStableFunc(all, func(a, b Insight) int {
		return cmp.Or(cmp.Compare(b.Windows, a.Windows), cmp.Compare(b.Episodes, a.Episodes), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Endpoint, b.Endpoint), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation), cmp.Compare(a.Callee, b.Callee), cmp.Compare(a.From, b.From))
	})
}

func (f *Finder) name(i foresail.ServiceID) string {
	if i == nobody {
		return ""
	}
	return f.app.Services[i].Name
}

// priced is an insight with what it cost.
func priced(in Insight, c *cost) Insight {
	in.Windows, in.Episodes = c.windows, c.episodes
	if in.First.IsZero() {
		in.First, in.Last = c.first, c.last
	}
	if in.Trace == (foresail.TraceID{}) {
		in.Trace = c.slowest.Trace
	}
	return in
}

// always says that the numbers of an insight are of the whole time.
func (f *Finder) always(in Insight) Insight {
	in.First, in.Last = f.begun, f.end
	return in
}

func (in *Insight) number(name string, v float64) {
	in.Numbers = append(in.Numbers, Number{name, v})
}

// share adds one that may not have been observed.
func (in *Insight) share(name string, part, whole float64) {
	if v, ok := share(part, whole); ok {
		in.number(name, v)
	}
}

func (f *Finder) hotspots() (out []Insight) {
	for key, h := range f.found.hot {
		in := Insight{Kind: Hotspot, Endpoint: f.app.Endpoints[key.endpoint].Name, Service: f.name(key.culprit), From: f.name(key.caller), Requests: h.requests}
		in.number("late_requests", h.bad)
		if key.culprit == nobody {
			in.Notes = append(in.Notes, "no service stood out: on average requests took as long as ever, and a few were slow")
			in.Change = "look at the example trace; where many services are called at once, the slowest of them counts"
		} else {
			f.tellHot(&in, h, key.culprit)
		}
		out = append(out, priced(in, &h.cost))
	}
	return out
}

// tellHot tells what the counters say of a culprit.
func (f *Finder) tellHot(in *Insight, h *hot, culprit foresail.ServiceID) {
	var normal *stay
	excess := h.working()
	in.share("stay_ms", h.residence*1000, h.arrivals)
	if int(culprit) < len(f.calm.services) {
		if each, ok := f.calm.services[culprit].each(f.cfg.MinRequests); ok {
			normal = &f.calm.services[culprit]
			excess -= normal.working() / normal.arrivals * h.arrivals
			in.number("normal_stay_ms", each*1000)
		}
	}
	if normal == nil {
		in.Notes = append(in.Notes, "what is normal is not known: there was no calm time with enough requests")
	}
	in.share("queued_share", h.queued, h.residence)
	in.share("cpu_share", h.cpu, h.held)
	in.share("throttled_share", h.throttled, h.replicas)
	in.share("memory_share", h.memory, h.memoryLimit)
	if h.ioSeconds > 0 {
		in.share("disk_wait_ms", h.ioWait*1000, h.arrivals)
	}
	if h.netSeconds > 0 {
		in.share("retransmits_per_s", h.retransmits, h.netSeconds)
	}
	in.Resource = h.resource(normal, max(excess, 0))
	in.Trace = f.traces.own[in.Service].trace
	in.Change = changeOf[in.Resource]
}

// blocking is services in which requests waited while the CPU was idle.
func (f *Finder) blocking() (out []Insight) {
	for id, b := range f.found.blocked {
		if b.requests < f.cfg.MinRequests {
			continue
		}
		in := Insight{Kind: Blocked, Service: f.name(id), Requests: b.requests, Trace: f.traces.own[f.name(id)].trace}
		in.share("in_flight", b.residence, b.seconds)
		if b.waiting > 0 {
			in.share("waiting_for_a_worker", b.queued, b.waiting)
		}
		in.share("cpu_share", b.cpu, b.held)
		in.share("stay_ms", b.residence*1000, b.arrivals)
		in.share("cpu_ms", b.cpu*1000, b.arrivals)
		pool, top := f.pool(b)
		inside, most := f.inside(b)
		switch {
		case pool != nobody:
			in.Callee = f.name(pool)
			in.number("callee_in_flight_most", top)
			in.Change = "calls to " + in.Callee + " wait while no more than so many are under way: give " + in.Service + " more connections to it, or more replicas"
		case float64(b.queueing) >= half*float64(b.windows) && most >= half*b.working():
			in.Callee = f.name(inside)
			in.share("calls_share", most, b.working())
			in.Change = "all workers of " + in.Service + " wait for " + in.Callee + ": give it more workers or replicas, or call without holding a worker"
		case float64(b.queueing) >= half*float64(b.windows):
			in.Change = "all workers of " + in.Service + " are taken by requests that use no CPU: shorten what they hold each other up with (locks), give it more workers or replicas"
		default:
			in.Change = "requests wait inside " + in.Service + ": look in the example trace for a lock, a pool of connections or pauses"
		}
		out = append(out, priced(in, &b.cost))
	}
	return out
}

// pool is the callee whose requests in flight stood at their ceiling in at least half of the windows, and that ceiling.
func (f *Finder) pool(b *blocked) (foresail.ServiceID, float64) {
	best, most := nobody, 0
	for id, n := range b.pinned {
		if float64(n) >= half*float64(b.windows) && (n > most || n == most && f.name(id) < f.name(best)) {
			best, most = id, n
		}
	}
	if best == nobody {
		return nobody, 0
	}
	return best, f.ceiling[best]
}

// inside is the callee in which most of the time was spent, and how much, in seconds summed over calls.
func (f *Finder) inside(b *blocked) (foresail.ServiceID, float64) {
	best, most := nobody, 0.0
	for id, s := range b.inside {
		if s > most || s == most && best != nobody && f.name(id) < f.name(best) {
			best, most = id, s
		}
	}
	return best, most
}

// timeouts is calls that took longer than the objective of the requests that they were for.
func (f *Finder) timeouts() (out []Insight) {
	for key, l := range f.found.late {
		if l.over < float64(f.cfg.MinSpans) {
			continue
		}
		e := f.edges[key.edge]
		p := pair{f.name(e.from), f.name(e.to)}
		in := Insight{Kind: Timeout, Endpoint: f.app.Endpoints[key.endpoint].Name, Service: p.from, Callee: p.to, Requests: l.calls}
		objective := f.app.Endpoints[key.endpoint].Objective.Latency
		in.number("calls_over_objective", l.over)
		in.number("objective_ms", objective.Seconds()*1000)
		in.number("longest_ms", l.longest*1000)
		in.number("failed_calls", l.errors)
		if c := f.traces.pairs[p]; c != nil && c.longest.size > objective.Seconds() {
			in.Trace = c.longest.trace
		}
		in.Change = "give calls to " + p.to + " a timeout below " + objective.String() + ", and an answer without it where there can be one"
		if l.errors > 0 {
			in.Notes = append(in.Notes, "calls fail as well: a timeout may be set that is longer than the objective")
		}
		out = append(out, priced(in, &l.cost))
	}
	return out
}

// retries is edges that are called more often when calls fail. Retries follow failures: what is called in addition must be between a quarter of the
// calls that failed and all of them, or it is another mix of requests.
func (f *Finder) retries() (out []Insight) {
	for k := range f.failing {
		r := &f.failing[k]
		if r.errors < float64(f.cfg.MinSpans) || r.asked < f.cfg.MinRequests || r.calmAsked < f.cfg.MinRequests || r.cells < max(f.cfg.MinWindows, 1) {
			continue
		}
		normal := r.calmCalls / r.calmAsked
		more := r.calls/r.asked/normal - 1
		extra := r.calls - normal*r.asked
		if 1+more < f.cfg.Amplification || extra < quarter*r.errors || extra > 1.1*r.errors {
			continue
		}
		e := f.edges[k]
		p := pair{f.name(e.from), f.name(e.to)}
		in := Insight{Kind: Retries, Service: p.from, Callee: p.to, Requests: r.calls}
		in.number("amplification", 1+more)
		in.number("calls_per_request", r.calls/r.asked)
		in.number("normal_calls_per_request", normal)
		in.number("failed_calls", r.errors)
		in.number("failed_share", r.errors/r.calls)
		if c := f.traces.pairs[p]; c != nil {
			in.Trace = c.retried.trace
		}
		in.Change = "bound retries of calls to " + p.to + " by a share of all calls (a retry budget), wait longer before each, and retry at one place only"
		c := f.found.retried[k]
		if c == nil {
			c = &cost{}
		}
		out = append(out, priced(f.always(in), c))
	}
	return out
}

// changeOf says what to change where a resource is at fault.
var changeOf = map[string]string{
	"cpu":     "give it more CPU or replicas, or make it need less; where it is throttled at little use, raise its limit",
	"memory":  "raise its memory limit, or look for a leak",
	"disk":    "give it a faster disk or more replicas, or read and write less",
	"network": "look for packet loss on the way to it, and for large messages",
	"":        "look at the example trace for what it waits for",
}
