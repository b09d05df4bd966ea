package rank

import "math"

// significant deviations are the most that counts of errors that a service's callees may have caused without anybody seeing it:
// they say that something is wrong, and not that it is this service.
const significant = 3

// Signs that Foresail looks for.
const (
	OwnTime    Sign = "own time"            // it takes longer by itself than it did
	OwnTail    Sign = "own tail"            // its slowest requests do
	TimeShare  Sign = "share of the delay"  // what that adds to a request of the front
	OwnErrors  Sign = "own errors"          // it fails by itself more than it did
	ErrorShare Sign = "share of the errors" // what that adds to failures of the front
	OwnCPU     Sign = "own CPU"             // it uses more CPU, and more for each request
	Network    Sign = "network"             // its callers wait longer than it works
	CallsMade  Sign = "calls made"          // it makes other calls than it did
)

// foresail ranks services by what of their change none of their callees explains.
//
// A caller shows what its callees do: it gets slower when they do, fails when they fail, uses less CPU when it gets fewer
// requests. So of each service only its own part is looked at: its time less what its callees' calls grew by, its errors less
// theirs, its CPU for each request, the calls it makes for each request, and what its callers wait for beyond its work. Each is
// told in robust deviations z of windows of the normal period that are as long as the issue; for time and errors a second time
// as what it adds to a request of the front, in deviations of the front's own (a service may behave unusually without anybody
// noticing). Each sign adds ln(1+z²), which is how much likelier z is under a deviation of its size than under none, where both
// have the heavy tail of a Cauchy distribution: many signs outweigh one that is extreme.
func foresail(in *Input) []Suspect {
	g := newGraph(in)
	a := analyse(in, g)
	why := make([][]Evidence, len(in.Services))
	scores := make([]float64, len(in.Services))
	for i := range in.Services {
		add := func(s Sign, z float64) {
			if z > 0 && finite(z) {
				e := Evidence{s, z, math.Log1p(z * z)}
				why[i], scores[i] = append(why[i], e), scores[i]+e.Score
			}
		}
		own, tail := a.ownTime(i)
		if z, zt := own/a.spread(a.latency[i], a.few(i, a.latency)), tail/a.spread(a.tail[i], a.few(i, a.tail)); zt > z {
			add(OwnTail, zt)
		} else {
			add(OwnTime, z)
		}
		add(TimeShare, a.share(i, own, a.latency, 0))
		failing, certain := a.ownErrors(i)
		z := failing / a.spread(a.errors[i], a.one(i))
		if !certain {
			z = min(z, significant)
		} else {
			add(ErrorShare, a.share(i, failing, a.errors, a.one(max(a.front, 0))))
		}
		add(OwnErrors, z)
		add(OwnCPU, a.ownCPU(i))
		add(Network, a.network(i))
		add(CallsMade, a.callsMade(i))
	}
	return in.order(scores, why)
}

// analysis is the levels of everything.
type analysis struct {
	in                        *Input
	g                         *graph
	latency, tail, errors     []level // of services
	requests, perRequest, cpu []level
	client, gaps, calls, into []level // of calls; calls: of the callee, for each request of its callers, which into counts
	front                     int
}

func analyse(in *Input, g *graph) *analysis {
	a := &analysis{in: in, g: g, front: g.front}
	for i := range in.Services {
		s := &in.Services[i]
		a.latency = append(a.latency, meanLevel(s.Latency, s.Requests))
		a.tail = append(a.tail, meanLevel(s.Tail, s.Requests))
		a.errors = append(a.errors, meanLevel(s.Errors, s.Requests))
		a.requests = append(a.requests, meanLevel(s.Requests, Series{}))
		a.cpu = append(a.cpu, meanLevel(s.CPU, Series{}))
		a.perRequest = append(a.perRequest, ratioLevel(s.CPU, s.Requests))
	}
	for _, c := range in.Calls {
		a.client = append(a.client, meanLevel(c.Client, Series{}))
		a.gaps = append(a.gaps, meanLevel(minus(c.Client, c.Server), Series{}))
		a.calls = append(a.calls, ratioLevel(in.Services[c.To].Requests, g.into(c.To)))
		a.into = append(a.into, meanLevel(g.into(c.To), Series{}))
	}
	return a
}

func minus(a, b Series) (out Series) {
	if len(a.Issue) == 0 || len(b.Issue) == 0 {
		return Series{}
	}
	sub := func(x, y []float64) []float64 {
		d := make([]float64, len(x))
		for i := range x {
			d[i] = x[i] - y[i]
		}
		return d
	}
	return Series{sub(a.Normal, b.Normal), sub(a.Issue, b.Issue)}
}

// spread is the deviation that a change is measured in: that of windows, and no less than leastShare of the level, nor floor.
func (a *analysis) spread(l level, floor float64) float64 {
	return math.Hypot(l.sigma, max(leastShare*math.Abs(l.normal), floor))
}

// one is a single request of a service, as a share of those in the issue: errors can't be told more finely.
func (a *analysis) one(i int) float64 {
	n := a.requests[i].now * float64(len(a.in.Services[i].Requests.Issue))
	if !(n > 1) {
		return 1
	}
	return 1 / n
}

// perCaller is how often a service's callee c was called for each of its requests in the normal period, its callers taken to
// call it alike. 1 where nobody counted.
func (a *analysis) perCaller(c int) float64 {
	if l := a.calls[c]; finite(l.normal) {
		return l.normal
	}
	return 1
}

// ownTime is by how many seconds a service's latency and tail grew beyond what its callees explain.
func (a *analysis) ownTime(i int) (own, tail float64) {
	own, tail = a.latency[i].rise(), a.tail[i].rise()
	for _, c := range a.g.callees[i] {
		to := a.in.Calls[c].To
		grew := a.client[c].rise()
		if !a.client[c].known() {
			grew = a.latency[to].rise()
		}
		own -= a.perCaller(c) * max(0, grew)
		tail -= a.perCaller(c) * max(0, grew, a.tail[to].rise())
	}
	return own, tail
}

// ownErrors is by how much the share of a service's requests that fail grew beyond what its callees explain, and whether
// their errors were observed.
func (a *analysis) ownErrors(i int) (own float64, certain bool) {
	own, certain = a.errors[i].rise(), true
	for _, c := range a.g.callees[i] {
		to := a.in.Calls[c].To
		own -= a.perCaller(c) * max(0, a.errors[to].rise())
		certain = certain && len(a.in.Services[to].Errors.Issue) > 0
	}
	return own, certain
}

// few is how uncertain the mean of as few requests as a service had in the issue is, where the times of requests spread as widely
// as their mean, as those of an exponential distribution do.
func (a *analysis) few(i int, of []level) float64 {
	return of[i].normal * math.Sqrt(a.one(i))
}

// network is the mean of what the calls to a service tell: its network is slow for all its callers.
func (a *analysis) network(i int) float64 {
	sum, n := 0.0, 0
	for _, c := range a.g.callers[i] {
		if z, ok := a.gap(c); ok {
			sum, n = sum+math.Log1p(z*z), n+1
		}
	}
	if n == 0 {
		return 0
	}
	return math.Sqrt(math.Expm1(sum / float64(n)))
}

// share is what something of a service, for each of its requests, adds to each request of the front, in deviations of the
// front's own and the service's; floor is the least of the front's. Of the front itself it says nothing new.
func (a *analysis) share(i int, own float64, of []level, floor float64) float64 {
	if a.front < 0 || i == a.front || !a.g.reached[i] || !of[a.front].known() {
		return 0
	}
	rate := 1.0
	if f := a.requests[a.front].now; f > 0 && finite(a.requests[i].now) {
		rate = a.requests[i].now / f
	}
	return rate * own / math.Hypot(a.spread(of[a.front], floor), rate*a.spread(of[i], 0))
}

// ownCPU is in deviations. Fewer requests make what each costs rise, more make the sum rise: the lesser of the two counts.
func (a *analysis) ownCPU(i int) float64 {
	z := a.cpu[i].rise() / a.spread(a.cpu[i], 0)
	if p := a.perRequest[i]; p.known() {
		z = min(z, p.rise()/a.spread(p, 0))
	}
	return z
}

// gap is by how much more a call's caller waits than its callee works, in deviations.
func (a *analysis) gap(c int) (z float64, ok bool) {
	l := a.gaps[c]
	if !l.known() {
		return 0, false
	}
	z = l.rise() / a.spread(l, leastShare*math.Abs(a.client[c].normal))
	return max(0, z), finite(z)
}

// callsMade is by how much the calls of a service for each of its requests differ, up or down, in deviations; each callee
// counts as far as the service is its only caller.
func (a *analysis) callsMade(i int) float64 {
	sum, weights := 0.0, 0.0
	for _, c := range a.g.callees[i] {
		l := a.calls[c]
		if !l.known() {
			continue
		}
		from := a.requests[i].normal
		into := a.into[c].normal
		if !(from > 0) || !(into > 0) {
			continue
		}
		w := min(1, from/into)
		z := math.Abs(l.rise()) / a.spread(l, a.one(i))
		if finite(z) {
			sum, weights = sum+w*math.Log1p(z*z), weights+w
		}
	}
	if weights == 0 {
		return 0
	}
	return math.Sqrt(math.Expm1(sum / weights))
}
