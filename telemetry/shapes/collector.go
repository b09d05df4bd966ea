package shapes

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/group"
)

// Collector turns spans into shapes. It is used by one goroutine at a time.
type Collector struct {
	o         Options
	names     *names
	layout    layout
	open      *group.Groups[foresail.TraceID, span]
	done      [2]map[foresail.TraceID]struct{} // traces that were looked at lately: those of now, and those before
	endpoints []*endpoint
	stats     Stats
	one       []span // scratch
	cut       time.Time
	most      uint64 // the largest mark of a trace that is looked at
	limit     limit

	pooledTook, pooledInstead, pooledEnded float64
}

// New makes a collector for an application, whose value is not changed.
func New(app *foresail.App, o Options) *Collector {
	o = o.withDefaults()
	c := &Collector{o: o, names: newNames(app, o.Users), most: math.MaxUint64}
	if o.Share < 1 {
		c.most = uint64(o.Share * (1 << 63) * 2)
	}
	c.limit = limit{most: o.Traces, share: 1}
	c.layout.names, c.layout.habits, c.layout.stats = c.names, newHabits(), &c.stats
	c.open = group.New[foresail.TraceID, span](group.Options{Wait: int64(o.Wait), MaxItems: o.MaxSpans, MaxEach: o.MaxTrace})
	c.done[0], c.done[1] = map[foresail.TraceID]struct{}{}, map[foresail.TraceID]struct{}{}
	return c
}

// SetApp takes the application's next generation: services and endpoints keep their numbers.
func (c *Collector) SetApp(app *foresail.App) {
	if app != c.names.app {
		c.names.setApp(app)
	}
}

// Add takes spans in any order, of any traces, that were received at the given time, which does not go back.
func (c *Collector) Add(now time.Time, spans []foresail.Span) {
	at := now.UnixNano()
	c.due(at)
	var s *service
	for i := range spans {
		f := &spans[i]
		if !c.chosen(&f.Trace) {
			continue
		}
		if i == 0 || s == nil || f.Service != spans[i-1].Service {
			s = c.names.service(f.Service)
		}
		c.take(at, f.Trace, span{id: binary.BigEndian.Uint64(f.ID[:]), parent: binary.BigEndian.Uint64(f.Parent[:]), start: f.Start.UnixNano(), end: f.End.UnixNano(),
			op: c.names.operation(s, f.Operation), weight: float32(f.Weight), kind: f.Kind, failed: f.Failed})
	}
}

// AddBatch is Add for a message as it was received. It keeps nothing of it.
func (c *Collector) AddBatch(now time.Time, b *telemetry.Batch) {
	at := now.UnixNano()
	c.due(at)
	for i := range b.Senders {
		var s *service
		for k := range b.Senders[i].Spans {
			r := &b.Senders[i].Spans[k]
			if !c.chosen(&r.Trace) || r.Weight < 0 || !r.Valid() {
				continue
			}
			if s == nil {
				s = c.names.service(b.Senders[i].Service)
			}
			c.take(at, r.Trace, span{id: binary.BigEndian.Uint64(r.ID[:]), parent: binary.BigEndian.Uint64(r.Parent[:]), start: r.Start, end: r.End,
				op: c.names.operation(s, r.Name), weight: float32(r.Weight), kind: r.Kind, failed: r.Failed})
		}
	}
}

// Trace takes all spans of one trace at once, which is then complete. It keeps nothing of them.
func (c *Collector) Trace(spans []foresail.Span) {
	if len(spans) == 0 || !c.chosen(&spans[0].Trace) {
		return
	}
	c.one = c.one[:0]
	var s *service
	for i := range spans {
		f := &spans[i]
		if i == 0 || f.Service != spans[i-1].Service {
			s = c.names.service(f.Service)
		}
		c.one = append(c.one, span{id: binary.BigEndian.Uint64(f.ID[:]), parent: binary.BigEndian.Uint64(f.Parent[:]), start: f.Start.UnixNano(), end: f.End.UnixNano(),
			op: c.names.operation(s, f.Operation), weight: float32(f.Weight), kind: f.Kind, failed: f.Failed})
	}
	c.stats.Spans += uint64(len(spans))
	if len(spans) > c.o.MaxTrace {
		c.stats.Cut++
		return
	}
	c.look(c.one)
}

// chosen tells whether a trace is one of the share that is looked at.
func (c *Collector) chosen(id *foresail.TraceID) bool {
	return c.most == math.MaxUint64 || mark(id) <= c.most
}

// mark is a number that traces are chosen by. The last bytes of an id are random where any are (W3C Trace Context); they are mixed,
// since others may choose by them as well.
func mark(id *foresail.TraceID) uint64 {
	x := binary.BigEndian.Uint64(id[8:]) * 0x9e3779b97f4a7c15
	return (x ^ x>>32) * 0xd6e8feb86659fd93
}

// limit chooses traces such that not too many are looked at in a second. It does so when they are complete, so that none is chosen
// in part.
type limit struct {
	most  float64 // a second; 0: no limit
	share float64 // of this second
	ends  int64   // this second, in nanoseconds
	seen  float64 // in this second
}

// take tells whether a trace that is complete by now is looked at; of says which part of all marks those are that come here.
func (l *limit) take(at int64, mark uint64, of float64) bool {
	if l.most <= 0 {
		return true
	}
	if at >= l.ends {
		if l.share = 1; l.seen > l.most && at < l.ends+int64(time.Second) {
			l.share = l.most / l.seen
		}
		l.ends, l.seen = at+int64(time.Second), 0
	}
	l.seen++
	return float64(mark) <= l.share*of*(1<<64)
}

// take puts a span to those of its trace.
func (c *Collector) take(at int64, id foresail.TraceID, s span) {
	c.stats.Spans++
	for i := range c.done {
		if _, ok := c.done[i][id]; ok {
			c.stats.Late++
			return
		}
	}
	c.open.Add(at, id, s)
}

// due looks at the traces that are complete by now.
func (c *Collector) due(at int64) {
	for g := c.open.Next(at); g != nil; g = c.open.Next(at) {
		c.ended(at, g)
		c.open.Reuse(g)
	}
}

func (c *Collector) ended(at int64, g *group.Group[foresail.TraceID, span]) {
	if len(c.done[0]) >= c.o.MaxSpans/16 {
		c.done[0], c.done[1] = c.done[1], c.done[0]
		clear(c.done[0])
	}
	c.done[0][g.Key] = struct{}{}
	if g.Cut {
		c.stats.Cut++
		return
	}
	if !c.limit.take(at, mark(&g.Key), c.o.Share) {
		c.stats.Unlooked++
		return
	}
	c.look(g.Items)
}

// look finds the requests of a trace and counts them.
func (c *Collector) look(spans []span) {
	switch c.layout.read(spans) {
	case incomplete:
		c.stats.Incomplete++
		return
	case malformed:
		c.stats.Malformed++
		return
	case foreign:
		c.stats.Foreign++
		return
	}
	c.layout.lay(int32(c.o.MaxVisits))
	mine, fits := false, true
	for _, root := range c.layout.roots {
		if e := c.endpointOf(root); e != nil {
			mine = true
			if c.layout.found[root].size > int32(c.o.MaxVisits) {
				fits = false
				continue
			}
			c.count(e, root)
		}
	}
	switch {
	case !mine:
		c.stats.Foreign++
	case !fits:
		c.stats.TooLarge++
	default:
		c.stats.Complete++
	}
}

// Cut tells what was counted since the last call, in the order of keys, and what is complete by now with it. The result shares
// nothing with the collector but forms.
func (c *Collector) Cut(now time.Time) []foresail.ShapeStats {
	c.due(now.UnixNano())
	return c.tell(now)
}

// Rest is Cut of all that is there, for who has no more spans to add.
func (c *Collector) Rest(now time.Time) []foresail.ShapeStats {
	for _, g := range c.open.Rest() {
		c.ended(now.UnixNano(), g)
	}
	return c.tell(now)
}

func (c *Collector) tell(now time.Time) []foresail.ShapeStats {
	n, sketches, room := 0, 0, 0
	each := func(do func(f *form)) {
		for _, e := range c.endpoints {
			for _, f := range e.kept {
				if f.requests > 0 {
					do(f)
				}
			}
		}
	}
	each(func(f *form) {
		n++
		sketches += 1 + len(f.own)
		room += f.latency.Room()
		for i := range f.own {
			room += f.own[i].Room()
		}
	})
	out := make([]foresail.ShapeStats, 0, n)
	copies, counts, pointers := make([]sketch.Sketch, sketches), make([]float64, room), make([]*sketch.Sketch, sketches)
	take := func(s *sketch.Sketch) *sketch.Sketch {
		if s.Count() == 0 {
			return nil
		}
		counts = s.CopyTo(&copies[0], counts)
		one := &copies[0]
		copies = copies[1:]
		s.Reset()
		return one
	}
	each(func(f *form) {
		s := foresail.ShapeStats{Form: f.told, Requests: f.requests, Pooled: f.pooled, Latency: take(&f.latency), Own: pointers[:len(f.own):len(f.own)]}
		pointers = pointers[len(f.own):]
		for i := range f.own {
			s.Own[i] = take(&f.own[i])
		}
		f.requests, f.pooled = 0, 0
		out = append(out, s)
	})
	slices.SortFunc(out, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
	c.age(now)
	return out
}

// age lets what was counted earlier count less, and looks anew at which forms are told.
func (c *Collector) age(now time.Time) {
	keep := 1.0
	if !c.cut.IsZero() && now.After(c.cut) {
		keep = math.Exp2(-now.Sub(c.cut).Seconds() / c.o.Memory.Seconds())
	}
	c.cut = now
	for _, e := range c.endpoints {
		for _, f := range e.forms {
			f.count, f.took, f.ended = f.count*keep, f.took*keep, f.ended*keep
		}
		e.review(c.names, c.o.Forms)
	}
}

// Stats are the counts so far.
func (c *Collector) Stats() Stats {
	s := c.stats
	g := c.open.Stats()
	s.Refused = g.Refused + g.Crowded
	if c.pooledEnded > 0 {
		s.Pooled.Latency, s.Pooled.Instead = c.pooledTook/c.pooledEnded, c.pooledInstead/c.pooledEnded
	}
	s.Pooled.Calls, s.Pooled.Told = slices.Clone(s.Pooled.Calls), slices.Clone(s.Pooled.Told)
	return s
}
