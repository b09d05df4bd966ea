package telemetry

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Part is what an assembler with Options.Parts counted since it was last asked: as much as another one needs to give the
// snapshots that it would have given, had it seen the spans itself. Parts of several assemblers add, in any order, as long
// as each counts once. Everything in it goes by name, so that it means the same to an assembler that numbers services
// otherwise.
//
// Beats are numbered from 1970 in units of the assembler's beat.
type Part struct {
	Until     int64 // nanoseconds since 1970: what was received before is in this part, or was in one before
	Units     []PartUnit
	Endpoints []PartEndpoint
	Edges     []PartEdge
	Reports   []PartReport
	Dropped   uint64 // spans that were lost since the last part
}

// PartUnit is one replica: that it reported, and its requests by beat. Its cells belong together: a request may start in one
// and end in another.
type PartUnit struct {
	Service, Replica string
	Newest           int64 // the beat in which it last reported
	Seen             bool  // a request of its service was observed
	Spans            bool  // a span was counted of it
	Cells            []PartCell
}

// PartCell is one replica's requests in one beat, as a snapshot has them; see foresail.Usage.
type PartCell struct {
	Beat                          int64
	Arrivals, Completions, Errors float64
	Busy                          float64             // nanoseconds × requests in flight
	Steps                         [SlotsPerBeat]int64 // what began less what ended, in each tenth of the beat, in 1/65,536
	Open                          int64               // in flight at the end, in 1/65,536
	Latency                       sketch.Sketch
}

// PartEndpoint is one endpoint's requests by beat.
type PartEndpoint struct {
	Name  string
	Cells []PartRequests
}

// PartRequests are an endpoint's requests in one beat; see foresail.EndpointStats.
type PartRequests struct {
	Beat                             int64
	Arrivals, Requests, Errors, Late float64
	FirstLate                        int64 // nanoseconds since 1970; 0: none
	Latency                          sketch.Sketch
	Slowest                          foresail.Exemplar
}

// PartEdge is one service's calls to another by beat.
type PartEdge struct {
	From, To string
	Cells    []PartCalls
}

// PartCalls are the calls of one beat.
type PartCalls struct {
	Beat          int64
	Calls, Errors float64
	Latency       sketch.Sketch
}

// PartReport is a report that waits to be told, and when it came.
type PartReport struct {
	Received int64 // nanoseconds since 1970; 0: its clock is the receiver's own
	Report
}

// SlotsPerBeat is how many steps of a beat's number in flight are told apart.
const SlotsPerBeat = slotsPerBeat

// maxHeldReports is how many reports wait for the next part; more are dropped and counted.
const maxHeldReports = 16_384

// holdReports keeps reports for the next part.
func (a *Assembler) holdReports(received time.Time, reports []Report) Result {
	at := int64(0)
	if !received.IsZero() {
		at = received.UnixNano()
	}
	kept := min(len(reports), maxHeldReports-len(a.held))
	for i := range reports[:kept] {
		r := reports[i]
		r.Service, r.Replica = clip(r.Service), clip(r.Replica)
		a.held = append(a.held, PartReport{at, r})
	}
	lost := len(reports) - kept
	a.stats.Reports += uint64(lost) // the others are counted where they are laid into snapshots
	a.stats.ReportsDropped += uint64(lost)
	if lost == 0 {
		return Result{}
	}
	return Result{Rejected: lost, Reason: "reports over a memory limit"}
}

// Take fills p, whose memory is used again, with what all shards counted since the last Take. Until is the time now, and
// final, as the end of a Cut, the instant from which RevisionLimit counts. They must be of Options.Parts.
func (s *Shards) Take(now, final time.Time, p *Part) {
	for _, a := range s.all {
		a.mu.Lock()
		defer a.mu.Unlock()
	}
	first := s.all[0]
	for _, a := range s.all[1:] {
		first.absorb(a)
	}
	first.take(p)
	p.Until = now.UnixNano()
	stop := first.beats.index(final.UnixNano())
	for _, a := range s.all {
		total := a.stats.Dropped.Total()
		p.Dropped += total - a.dropped
		a.dropped = total
		a.next = max(a.next, stop)
		if !a.started {
			a.started, a.next = true, stop
		}
		a.age()
	}
}

// take moves what was counted into p.
func (a *Assembler) take(p *Part) {
	p.Units, p.Endpoints, p.Edges, p.Reports, p.Dropped = p.Units[:0], p.Endpoints[:0], p.Edges[:0], p.Reports[:0], 0
	var open []*beat
	for _, b := range a.beats.ring {
		if b != nil {
			open = append(open, b)
		}
	}
	slices.SortFunc(open, func(x, y *beat) int { return int(x.i - y.i) })
	for n := range a.units {
		a.takeUnit(p, int32(n), open)
	}
	for n := range a.app.Endpoints {
		to := (*PartEndpoint)(nil)
		for _, b := range open {
			if n >= len(b.endpoints) || b.endpoints[n] == nil {
				continue
			}
			if to == nil {
				to = again(&p.Endpoints)
				to.Name, to.Cells = a.app.Endpoints[n].Name, to.Cells[:0]
			}
			c, x := b.endpoints[n], again(&to.Cells)
			x.Beat, x.Arrivals, x.Requests, x.Errors, x.Late, x.FirstLate = b.i, c.arrivals, c.requests, c.errors, c.late, c.firstLate
			x.Slowest = c.slowest
			refill(&x.Latency, &c.latency)
		}
	}
	for n, pair := range a.edgeList {
		to := (*PartEdge)(nil)
		for _, b := range open {
			if n >= len(b.edges) || b.edges[n] == nil {
				continue
			}
			if to == nil {
				to = again(&p.Edges)
				to.From, to.To, to.Cells = a.app.Services[pair.from].Name, a.app.Services[pair.to].Name, to.Cells[:0]
			}
			c, x := b.edges[n], again(&to.Cells)
			x.Beat, x.Calls, x.Errors = b.i, c.calls, c.errors
			refill(&x.Latency, &c.latency)
		}
	}
	p.Reports = append(p.Reports, a.held...)
	clear(a.held)
	a.held = a.held[:0]
	for _, b := range open {
		a.beats.close(b)
	}
}

func (a *Assembler) takeUnit(p *Part, n int32, open []*beat) {
	u := &a.units[n]
	if u.svc == nil {
		return
	}
	counted := func(b *beat) bool { return int(n) < len(b.units) && b.units[n] != nil }
	if u.newest == u.taken && !slices.ContainsFunc(open, counted) {
		return
	}
	u.taken = u.newest
	to := again(&p.Units)
	to.Service, to.Replica, to.Newest, to.Seen, to.Spans, to.Cells = a.serviceName(u.svc), u.name, u.newest, u.svc.seen, u.spans, to.Cells[:0]
	for _, b := range open {
		if !counted(b) {
			continue
		}
		c, x := b.units[n], again(&to.Cells)
		x.Beat, x.Arrivals, x.Completions, x.Errors = b.i, c.arrivals, c.completions, c.errors
		x.Busy, x.Steps, x.Open = c.busy, c.steps, c.open
		refill(&x.Latency, &c.latency)
	}
}

func (a *Assembler) serviceName(s *service) string {
	if s.id >= 0 {
		return a.app.Services[s.id].Name
	}
	return a.o.EndpointService
}

// again is one more element of a list, with the memory that the element in its place had before.
func again[T any](list *[]T) *T {
	if n := len(*list); n < cap(*list) {
		*list = (*list)[:n+1]
	} else {
		*list = append(*list, *new(T))
	}
	return &(*list)[len(*list)-1]
}

func refill(dst, src *sketch.Sketch) {
	dst.Reset()
	dst.Merge(src)
}

// AddPart is Assembler.AddPart: the first shard has what other assemblers counted.
func (s *Shards) AddPart(received time.Time, p *Part) { s.all[0].AddPart(received, p) }

// AddPart takes what another assembler counted, at the time that it was received, of which nothing is kept. What is of beats
// that have been cut follows in Late, as late spans do; what is too old or too far ahead, finds no room or is of no service
// of the application is dropped and counted, in requests.
func (a *Assembler) AddPart(received time.Time, p *Part) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lost += p.Dropped
	now := a.present(received)
	if now == unknown { // who adds parts knows the time
		return
	}
	bound := partBound{oldest: now + 1 - a.beats.limit}
	if a.started {
		bound.oldest = a.oldest()
	}
	bound.end = min(now+a.beats.ahead, bound.oldest+int64(len(a.beats.ring)))
	for i := range p.Units {
		a.addUnit(&p.Units[i], bound)
	}
	for i := range p.Endpoints {
		a.addEndpoint(&p.Endpoints[i], bound)
	}
	for i := range p.Edges {
		a.addEdge(&p.Edges[i], bound)
	}
	for i := range p.Reports {
		r := &p.Reports[i]
		at := time.Time{}
		if r.Received != 0 {
			at = time.Unix(0, r.Received)
		}
		a.stats.Reports++
		if !a.addReport(at, r.Report) {
			a.stats.ReportsDropped++
		}
	}
}

// partBound is which beats of a part can count: from oldest up to end.
type partBound struct{ oldest, end int64 }

// room tells whether there is room for n cells of a part, and one in the oldest beat; if not, whether one is too far ahead.
func (a *Assembler) room(bound partBound, n int, beat func(i int) int64) (ahead, ok bool) {
	if a.beats.cells+n+1 > a.beats.max || !a.beats.free(bound.oldest) {
		return false, false
	}
	for i := range n {
		switch at := beat(i); {
		case at >= bound.end:
			return true, false
		case at >= bound.oldest && !a.beats.free(at):
			return false, false
		}
	}
	return false, true
}

// refuse counts requests that a part holds and that can't count.
func (a *Assembler) refuse(ahead bool, n float64) {
	if ahead {
		a.stats.Dropped.Ahead += uint64(n)
	} else {
		a.stats.Dropped.Limit += uint64(n)
	}
}

func (a *Assembler) addUnit(p *PartUnit, bound partBound) {
	svc := a.services[p.Service]
	completions := func() (n float64) {
		for i := range p.Cells {
			n += p.Cells[i].Completions
		}
		return n
	}
	if svc == nil {
		a.stats.Outside += uint64(completions())
		return
	}
	n := a.unit(svc, p.Replica, &a.o)
	svc.seen = svc.seen || p.Seen
	u := &a.units[n]
	u.newest, u.spans = max(u.newest, min(p.Newest, bound.end-1)), u.spans || p.Spans
	if svc.id < 0 || len(p.Cells) == 0 {
		return
	}
	// A request that began in one cell and ended in another is dropped as a whole or not at all: else it would be in flight
	// for ever.
	ahead, ok := a.room(bound, len(p.Cells), func(i int) int64 { return p.Cells[i].Beat })
	if !ok {
		a.refuse(ahead, completions())
		return
	}
	began := 0.0 // too long ago, of requests that ended within the bound
	for i := range p.Cells {
		c := &p.Cells[i]
		if a.started && c.Beat < a.next {
			for _, d := range c.Steps {
				u.level += d
			}
		}
		if c.Beat < bound.oldest {
			a.stats.Dropped.TooLate += uint64(c.Completions)
			began += c.Arrivals - c.Completions
			continue
		}
		if u.folded && p.Replica != other {
			a.stats.Folded += uint64(c.Completions)
		}
		a.beats.unit(c.Beat, n).add(c, a.started && c.Beat < a.next)
	}
	if began > 0 {
		a.beats.unit(bound.oldest, n).arrivals += began
	}
}

// add adds what another assembler counted; of a beat that was cut the steps are in the level.
func (c *unitCell) add(p *PartCell, cut bool) {
	c.arrivals, c.completions, c.errors = c.arrivals+p.Arrivals, c.completions+p.Completions, c.errors+p.Errors
	c.busy, c.open = c.busy+p.Busy, c.open+p.Open
	for i := range p.Steps {
		if !cut {
			c.steps[i] += p.Steps[i]
		}
	}
	c.latency.Merge(&p.Latency)
}

func (a *Assembler) addEndpoint(p *PartEndpoint, bound partBound) {
	n, ok := a.endpointNumber(p.Name)
	if !ok {
		return // counted with its requests' service, which is not the application's either
	}
	if _, ok := a.room(bound, len(p.Cells), func(i int) int64 { return p.Cells[i].Beat }); !ok {
		return // as well
	}
	began := 0.0
	for i := range p.Cells {
		c := &p.Cells[i]
		if c.Beat < bound.oldest {
			began += c.Arrivals - c.Requests
			continue
		}
		a.beats.endpoint(c.Beat, n).absorb(&endpointCell{arrivals: c.Arrivals, requests: c.Requests, errors: c.Errors, late: c.Late,
			firstLate: c.FirstLate, latency: c.Latency, slowest: c.Slowest})
	}
	if began > 0 {
		a.beats.endpoint(bound.oldest, n).arrivals += began
	}
}

// endpointNumber finds an endpoint by name.
func (a *Assembler) endpointNumber(name string) (int32, bool) {
	if a.numbered != a.app {
		a.numbered, a.numbers = a.app, make(map[string]int32, len(a.app.Endpoints))
		for i := range a.app.Endpoints {
			a.numbers[a.app.Endpoints[i].Name] = int32(i)
		}
	}
	n, ok := a.numbers[name]
	return n, ok
}

func (a *Assembler) addEdge(p *PartEdge, bound partBound) {
	from, to := a.services[p.From], a.services[p.To]
	var e int32
	ok := from != nil && to != nil && from.id >= 0 && to.id >= 0
	if ok {
		e, _, ok = a.edge(from.id, to.id, &a.o)
	}
	if ok {
		_, ok = a.room(bound, len(p.Cells), func(i int) int64 { return p.Cells[i].Beat })
	}
	for i := range p.Cells {
		c := &p.Cells[i]
		if !ok || c.Beat < bound.oldest {
			a.stats.CallsLost += uint64(c.Calls)
			continue
		}
		cell := a.beats.edge(c.Beat, e)
		cell.calls, cell.errors = cell.calls+c.Calls, cell.errors+c.Errors
		cell.latency.Merge(&c.Latency)
	}
}
