package telemetry

import (
	"encoding/binary"
	"sync"
	"time"

	"foresail.dev"
)

// Shards are assemblers of one application that each take a part of its traces, so that as many cores as there are shards
// turn spans into snapshots. Their snapshots are those that one assembler would give of all spans: everything but names,
// clocks and what is in flight belongs to one trace, and what belongs to a trace is in one shard.
//
// AddBatch routes spans by trace id. Where something else has routed them, as the Collector's load-balancing exporter
// does, each of its receivers adds to a Shard of its own; any rule will do that sends all spans of a trace to the same one.
// Any number of goroutines may add while one cuts.
type Shards struct {
	all     []*Assembler
	batches sync.Pool // of *[]Batch
}

// NewShards makes n shards for app. Bounds of the options hold for each shard, but for those on names, which are the
// application's: services can't be discovered, since the shards number them alike.
func NewShards(app *foresail.App, o Options, n int) *Shards {
	o.Discover = false
	s := &Shards{}
	for range max(n, 1) {
		s.all = append(s.all, NewAssembler(app, o))
	}
	s.batches.New = func() any { b := make([]Batch, len(s.all)); return &b }
	return s
}

// Len is how many shards there are.
func (s *Shards) Len() int { return len(s.all) }

// Shard is one of them, for who routes spans. It must not be cut by itself.
func (s *Shards) Shard(i int) *Assembler { return s.all[i] }

// App is the application.
func (s *Shards) App() *foresail.App { return s.all[0].App() }

// AddReports takes reports, which belong to no trace: the first shard has them.
func (s *Shards) AddReports(received time.Time, reports []Report) Result {
	return s.all[0].AddReports(received, reports)
}

// AddBatch is Assembler.AddBatch, with each span added to its trace's shard.
func (s *Shards) AddBatch(received time.Time, b *Batch) Result {
	if len(s.all) == 1 {
		return s.all[0].AddBatch(received, b)
	}
	held := s.batches.Get().(*[]Batch)
	defer s.batches.Put(held)
	parts := *held
	for k := range parts {
		parts[k].Senders, parts[k].Malformed = parts[k].Senders[:0], 0
	}
	parts[0].Malformed = b.Malformed
	for i := range b.Senders {
		from := &b.Senders[i]
		for k := range parts {
			p := &parts[k]
			var spans []Record
			if len(p.Senders) < cap(p.Senders) { // its memory is used again
				spans = p.Senders[:len(p.Senders)+1][len(p.Senders)].Spans[:0]
			}
			p.Senders = append(p.Senders, Sender{Service: from.Service, Replica: from.Replica, Spans: spans})
		}
		for j := range from.Spans {
			r := &from.Spans[j]
			to := &parts[s.route(&r.Trace)]
			last := &to.Senders[len(to.Senders)-1]
			last.Spans = append(last.Spans, *r)
		}
	}
	var out Result
	for k := range parts {
		res := s.all[k].AddBatch(received, &parts[k])
		if res.Rejected > out.Rejected {
			out.Reason = res.Reason
		}
		out.Rejected += res.Rejected
	}
	return out
}

// route is the shard of a trace. Random trace ids are random in their last bytes; those that aren't are spread by a
// multiplication.
func (s *Shards) route(id *foresail.TraceID) int {
	h := (binary.LittleEndian.Uint64(id[:8]) ^ binary.LittleEndian.Uint64(id[8:])) * 0x9e3779b97f4a7c15
	return int((h >> 32) * uint64(len(s.all)) >> 32)
}

// Cut is Assembler.Cut of all shards together.
func (s *Shards) Cut(end time.Time) *foresail.Snapshot {
	for _, a := range s.all {
		a.mu.Lock()
		defer a.mu.Unlock()
	}
	first := s.all[0]
	dropped := uint64(0)
	for _, a := range s.all[1:] {
		first.absorb(a)
	}
	out := first.cut(end)
	if out == nil {
		return nil
	}
	for _, a := range s.all[1:] {
		total := a.stats.Dropped.Total()
		dropped += total - a.dropped
		a.dropped = total
		if !a.o.Whole {
			a.started, a.next = true, first.next
			a.age()
		}
	}
	out.Dropped += float64(dropped)
	return out
}

// Stats are the sums over the shards.
func (s *Shards) Stats() (out Stats) {
	for _, a := range s.all {
		out.add(a.Stats())
	}
	return out
}

// absorb takes over what another shard has counted.
func (a *Assembler) absorb(from *Assembler) {
	units := make([]int32, len(from.units))
	for n := range from.units {
		u := &from.units[n]
		if u.svc == nil {
			units[n] = noUnit
			continue
		}
		svc := a.sameService(u.svc)
		units[n] = a.unit(svc, u.name, &a.o)
		to := &a.units[units[n]]
		svc.seen = svc.seen || u.svc.seen
		to.level, u.level = to.level+u.level, 0
		to.newest, to.spans = max(to.newest, u.newest), to.spans || u.spans
	}
	a.first = min(a.first, from.first)
	for _, b := range from.beats.ring {
		if b == nil {
			continue
		}
		a.absorbBeat(from, b, units)
		from.beats.close(b)
	}
}

func (a *Assembler) absorbBeat(from *Assembler, b *beat, units []int32) {
	if a.beats.at(b.i) == nil {
		a.stats.Dropped.Limit += requests(b)
		return
	}
	for n, c := range b.units {
		if c != nil {
			a.beats.unit(b.i, units[n]).absorb(c)
		}
	}
	for n, c := range b.endpoints {
		if c != nil {
			a.beats.endpoint(b.i, int32(n)).absorb(c)
		}
	}
	for n, c := range b.edges {
		if c == nil {
			continue
		}
		pair := from.edgeList[n]
		e, _, ok := a.edge(pair.from, pair.to, &a.o)
		if !ok {
			a.stats.CallsLost += uint64(c.calls)
			continue
		}
		to := a.beats.edge(b.i, e)
		to.calls, to.errors = to.calls+c.calls, to.errors+c.errors
		to.latency.Merge(&c.latency)
	}
}

// sameService is a service of another shard here: they are numbered alike.
func (a *Assembler) sameService(s *service) *service {
	if s.id >= 0 {
		return a.byID[s.id]
	}
	return a.services[a.o.EndpointService]
}

func (c *unitCell) absorb(o *unitCell) {
	c.arrivals, c.completions, c.errors = c.arrivals+o.arrivals, c.completions+o.completions, c.errors+o.errors
	c.busy, c.open = c.busy+o.busy, c.open+o.open
	for i := range c.steps {
		c.steps[i] += o.steps[i]
	}
	c.latency.Merge(&o.latency)
}

func (c *endpointCell) absorb(o *endpointCell) {
	c.arrivals, c.requests = c.arrivals+o.arrivals, c.requests+o.requests
	c.errors, c.late = c.errors+o.errors, c.late+o.late
	if o.firstLate != 0 && (c.firstLate == 0 || o.firstLate < c.firstLate) {
		c.firstLate = o.firstLate
	}
	c.latency.Merge(&o.latency)
	c.slowest.Take(o.slowest)
}

// Plus is the sum of two assemblers' counts.
func (s Stats) Plus(o Stats) Stats {
	s.add(o)
	return s
}

func (s *Stats) add(o Stats) {
	for _, f := range [...]struct{ dst, src *uint64 }{
		{&s.Received, &o.Received}, {&s.Assembled, &o.Assembled}, {&s.Outside, &o.Outside}, {&s.Duplicate, &o.Duplicate},
		{&s.Waiting, &o.Waiting}, {&s.Late, &o.Late}, {&s.Skewed, &o.Skewed}, {&s.Inverted, &o.Inverted}, {&s.Weighed, &o.Weighed},
		{&s.Folded, &o.Folded}, {&s.Forgotten, &o.Forgotten}, {&s.CallsLost, &o.CallsLost}, {&s.CallsFolded, &o.CallsFolded},
		{&s.Reports, &o.Reports}, {&s.ReportsDropped, &o.ReportsDropped}, {&s.Dropped.Malformed, &o.Dropped.Malformed},
		{&s.Dropped.TooLate, &o.Dropped.TooLate}, {&s.Dropped.Ahead, &o.Dropped.Ahead}, {&s.Dropped.Limit, &o.Dropped.Limit},
		{&s.Dropped.Orphan, &o.Dropped.Orphan},
	} {
		*f.dst += *f.src
	}
}
