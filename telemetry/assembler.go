package telemetry

import (
	"math"
	"sync"
	"time"

	"foresail.dev"
)

// Assembler turns spans into snapshots. Any number of goroutines may add while one cuts.
type Assembler struct {
	mu sync.Mutex
	o  Options
	names
	seen      *spanTable
	beats     beats
	stats     Stats
	started   bool              // there was a Cut, or Options.Start is set
	next      int64             // the first beat that was not cut; valid when started
	first     int64             // the earliest start so far, for Options.Whole
	dropped   uint64            // of stats.Dropped, what the last Cut had told
	lost      uint64            // spans that the assemblers of parts lost, since the last Cut
	held      []PartReport      // for the next part
	reporting bool              // there was a report
	waiting   uint64            // spans of which it is not yet known whether they are requests
	trace     *foresail.TraceID // of the span that is being counted; nil between spans
	numbered  *foresail.App     // that numbers is of
	numbers   map[string]int32  // endpoints by name
}

// NewAssembler makes an Assembler for app, which is not changed.
func NewAssembler(app *foresail.App, o Options) *Assembler {
	o = o.withDefaults()
	a := &Assembler{o: o, names: newNames(app, &o), beats: newBeats(&o), first: math.MaxInt64}
	a.seen = newSpanTable(o.MaxSpans, o.MaxWaiting, a.orphan)
	if !o.Start.IsZero() && !o.Whole {
		a.started, a.next = true, a.beats.index(o.Start.UnixNano())
	}
	return a
}

// App is the application as it is now, with what was discovered. The result is not changed afterwards.
func (a *Assembler) App() *foresail.App {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.app
}

// Stats are the counts so far.
func (a *Assembler) Stats() Stats {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.stats
	s.Waiting = a.waiting
	return s
}

// Add takes spans from a source whose clock is the receiver's own, such as a simulator or a file.
func (a *Assembler) Add(spans []foresail.Span) { a.AddBatch(time.Time{}, batchOf(spans)) }

// batchOf groups neighbouring spans of one sender.
func batchOf(spans []foresail.Span) *Batch {
	b := &Batch{}
	records := make([]Record, 0, len(spans))
	for i := range spans {
		s := &spans[i]
		r := Record{Trace: s.Trace, ID: s.ID, Parent: s.Parent, Name: s.Operation, Weight: s.Weight, Kind: s.Kind, Failed: s.Failed}
		if !s.Start.IsZero() {
			r.Start = s.Start.UnixNano()
		}
		if !s.End.IsZero() {
			r.End = s.End.UnixNano()
		}
		k := len(b.Senders)
		if k == 0 || b.Senders[k-1].Service != s.Service || b.Senders[k-1].Replica != s.Replica {
			b.Senders = append(b.Senders, Sender{Service: s.Service, Replica: s.Replica})
			records = records[len(records):]
			k++
		}
		records = append(records, r)
		b.Senders[k-1].Spans = records
	}
	return b
}

// AddBatch takes what was received at the given time; zero means that the senders' clocks are the receiver's own. It
// keeps nothing of b.
func (a *Assembler) AddBatch(received time.Time, b *Batch) Result {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.stats.Dropped
	a.stats.Received += uint64(b.Malformed)
	a.stats.Dropped.Malformed += uint64(b.Malformed)
	now := a.present(received)
	for i := range b.Senders {
		a.addSender(received, now, &b.Senders[i])
	}
	return rejected(before, a.stats.Dropped)
}

// unknown is a beat that no span ends after.
const unknown = math.MaxInt64 / 2

// present is the beat in which spans are received. Where that is not known it is taken to be the one after the last cut.
func (a *Assembler) present(received time.Time) int64 {
	now := int64(unknown)
	if a.started {
		now = a.next
	}
	if received.IsZero() || a.o.Whole {
		return now
	}
	at := a.beats.index(received.UnixNano())
	if a.started {
		at = max(at, now) // who cuts is ahead of the receiver
	}
	return at
}

func (a *Assembler) addSender(received time.Time, now int64, s *Sender) {
	a.stats.Received += uint64(len(s.Spans))
	svc, folded := a.service(s.Service, &a.o)
	f := from{svc: svc, folded: folded, unit: a.unit(svc, s.Replica, &a.o), end: now + a.beats.ahead}
	if f.unit != noUnit {
		u := &a.units[f.unit]
		if !received.IsZero() && len(s.Spans) > 0 {
			f.shift = u.clock.observe(received.UnixNano(), s.Spans)
		}
		if now != unknown {
			u.newest = max(u.newest, now)
		}
	}
	for i := range s.Spans {
		a.add(&f, &s.Spans[i])
	}
}

// from is where a span comes from.
type from struct {
	svc    *service
	unit   int32
	folded bool // the service is another one's, for want of room
	shift  int64
	end    int64 // the first beat that is too far ahead
}

// add places one span: it drops what can't count, remembers the rest, and counts it, or lets it wait for its parent.
func (a *Assembler) add(f *from, r *Record) {
	if !r.Valid() {
		a.stats.Dropped.Malformed++
		return
	}
	start, end := r.Start+f.shift, r.End+f.shift
	inverted := end < start
	if inverted {
		start = end
	}
	beat := a.beats.index(end)
	if a.started && !a.o.Whole && beat < a.oldest() {
		a.stats.Dropped.TooLate++
		return
	}
	if beat >= f.end {
		a.stats.Dropped.Ahead++
		return
	}
	trace := a.seen.traceHash(&r.Trace)
	if a.seen.full() {
		a.turn()
	}
	if a.seen.see(a.seen.spanHash(trace, &r.ID), seenValue(f.svc.id, r.Kind), func(c *child) { a.resolve(c, f.svc.id, r.Kind) }) {
		a.stats.Duplicate++
		return
	}
	if f.svc.id == outside {
		a.stats.Outside++
		return
	}
	c := child{unit: f.unit, start: start, end: end, failed: r.Failed, endpoint: noEndpoint, weight: a.weight(r.Weight)}
	a.trace = &r.Trace
	counted := a.classify(f.svc, r, trace, &c)
	a.trace = nil
	if !counted {
		return
	}
	a.stats.Assembled++
	if inverted {
		a.stats.Inverted++
	}
	if f.shift != 0 {
		a.stats.Skewed++
	}
	if f.folded || a.units[f.unit].folded || c.endpoint != noEndpoint && c.endpoint == a.otherEndpoint {
		a.stats.Folded++
	}
}

// classify counts a span as what it is; false when it could not be counted, or has to wait to know what it is.
func (a *Assembler) classify(svc *service, r *Record, trace uint64, c *child) bool {
	if svc.id == client {
		if c.endpoint = a.endpoint(svc, r.Name, false, &a.o); c.endpoint == noEndpoint {
			return true
		}
		svc.seen = true
		return a.count(c)
	}
	server := r.Kind == foresail.KindServer || r.Kind == foresail.KindConsumer
	if !server && r.Kind != foresail.KindUnspecified {
		return true
	}
	root := r.Parent == foresail.SpanID{}
	c.endpoint = a.endpoint(svc, r.Name, root, &a.o)
	if root {
		return a.count(c)
	}
	parent := a.seen.spanHash(trace, &r.Parent)
	v, known := a.seen.lookup(parent)
	if server && !a.count(c) {
		return false
	}
	if known {
		by, kind := unpackSeen(v)
		return a.attach(c, svc.id, by, kind, !server)
	}
	c.whole = !server
	if !a.seen.await(parent, *c) {
		return a.lose(c.whole)
	}
	a.units[c.unit].waits++
	if c.whole {
		a.waiting++
		return false
	}
	return true
}

// lose counts a span, or the caller of one, that found no room to wait.
func (a *Assembler) lose(whole bool) bool {
	if whole {
		a.stats.Dropped.Limit++
		return false
	}
	a.stats.CallsLost++
	return true
}

// attach counts the call from a span's parent to it, and where whole, first the span itself if that makes it a request.
func (a *Assembler) attach(c *child, to, by int32, kind foresail.SpanKind, whole bool) bool {
	if whole {
		if by == to {
			return true // within one service, and of no kind: not a request
		}
		if !a.count(c) {
			return false
		}
	}
	if by < 0 || by == to && kind != foresail.KindClient && kind != foresail.KindProducer {
		return true
	}
	e, folded, ok := a.edge(by, to, &a.o)
	if !ok || !a.countCall(e, c) {
		a.stats.CallsLost++
	} else if folded {
		a.stats.CallsFolded++
	}
	return true
}

// resolve is called for each child that waited for a span which has now come.
func (a *Assembler) resolve(c *child, by int32, kind foresail.SpanKind) {
	a.units[c.unit].waits--
	to := a.units[c.unit].svc.id
	if !c.whole {
		a.attach(c, to, by, kind, false)
		return
	}
	a.waiting--
	if a.attach(c, to, by, kind, true) {
		a.stats.Assembled++
	}
}

// orphan is called for each child that waited in vain.
func (a *Assembler) orphan(c *child) {
	a.units[c.unit].waits--
	if c.whole {
		a.waiting--
		a.stats.Dropped.Orphan++
	} else {
		a.stats.CallsLost++
	}
}

// turn begins a new generation of remembered spans before its time.
func (a *Assembler) turn() { a.stats.Forgotten += uint64(a.seen.turn(a.next)) }

// weight is how many operations a span stands for.
func (a *Assembler) weight(w float64) float64 {
	switch {
	case w < 0:
		return 0
	case w > maxWeight:
		a.stats.Weighed++
		return maxWeight
	case w > 0:
		return w
	}
	return 1 // zero or not a number
}

// oldest is the first beat that can still be revised at the next cut.
func (a *Assembler) oldest() int64 { return a.next + 1 - a.beats.limit }

// rejected tells what was dropped between two counts.
func rejected(before, after Dropped) Result {
	reasons := [...]struct {
		n    uint64
		text string
	}{
		{after.Malformed - before.Malformed, "spans without a trace id, a span id or times"},
		{after.TooLate - before.TooLate, "spans that ended more than " + foresail.RevisionLimit.String() + " ago"},
		{after.Ahead - before.Ahead, "spans that end in the future"},
		{after.Limit - before.Limit, "spans over a memory limit"},
	}
	var res Result
	most := uint64(0)
	for _, r := range reasons {
		res.Rejected += int(r.n)
		if r.n > most {
			most, res.Reason = r.n, r.text
		}
	}
	return res
}
