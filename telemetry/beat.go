package telemetry

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// beats holds what was counted since the last cut: a cell for each pair of a beat and a replica, endpoint or edge that
// something was counted for. Cutting empties it, late additions included.
type beats struct {
	length int64 // nanoseconds
	limit  int64 // beats in foresail.RevisionLimit
	ahead  int64 // beats past the present that are open
	ring   []*beat
	spare  []*beat
	cells  int // in use
	max    int

	index0, start int64 // the last answer of index, and where that beat starts
	pool          pool
}

type beat struct {
	i         int64
	units     []*unitCell
	endpoints []*endpointCell
	edges     []*edgeCell
}

// unitCell counts requests of one replica in one beat.
type unitCell struct {
	arrivals, completions, errors float64
	busy                          float64 // weight × nanoseconds in flight
	steps                         [slotsPerBeat]fixed
	open                          fixed // weight of what was in flight at the beat's end
	latency                       sketch.Sketch
	told                          told // what the replica itself reported
}

type endpointCell struct {
	arrivals, requests, errors, late float64
	firstLate                        int64 // 0: none
	latency                          sketch.Sketch
	slowest                          foresail.Exemplar
}

type edgeCell struct {
	calls, errors float64
	latency       sketch.Sketch
}

// fixed is a weight as a whole number of 1/65,536, so that what is added and taken away again leaves nothing behind.
type fixed = int64

const fixedOne = 1 << 16

func toFixed(w float64) fixed { return fixed(math.Round(w * fixedOne)) }

func newBeats(o *Options) beats {
	b := beats{length: int64(o.Beat), max: o.MaxCells}
	if o.Whole {
		b.length = math.MaxInt64
	}
	b.limit = max(int64(foresail.RevisionLimit)/b.length, 1)
	b.ahead = max(int64(ahead)/b.length, 2)
	b.ring = make([]*beat, b.limit+max(int64(pause)/b.length, 1)+b.ahead+1)
	b.start = -1 << 62
	return b
}

// index is the beat that an instant belongs to.
func (b *beats) index(t int64) int64 {
	if d := t - b.start; d >= 0 && d < b.length {
		return b.index0
	}
	b.index0 = t / b.length
	if t < 0 && t%b.length != 0 {
		b.index0--
	}
	b.start = b.index0 * b.length
	return b.index0
}

// at finds or opens a beat; nil when its place is taken by another, which happens only before the first cut and when
// there was none for longer than pause.
func (b *beats) at(i int64) *beat {
	slot := &b.ring[uint64(i)%uint64(len(b.ring))]
	if *slot == nil {
		if k := len(b.spare); k > 0 {
			*slot, b.spare = b.spare[k-1], b.spare[:k-1]
		} else {
			*slot = &beat{}
		}
		(*slot).i = i
	}
	if (*slot).i != i {
		return nil
	}
	return *slot
}

// free tells whether at would find or open a beat.
func (b *beats) free(i int64) bool {
	t := b.ring[uint64(i)%uint64(len(b.ring))]
	return t == nil || t.i == i
}

// count counts a request: its arrival, its completion and the time between. It returns false, and counts nothing but
// the drop, when there is no room.
func (a *Assembler) count(c *child) bool {
	b := &a.beats
	last := b.index(c.end)
	if a.started && !a.o.Whole && last < a.oldest() { // a child that waited too long
		a.stats.Dropped.TooLate++
		return false
	}
	first := max(b.index(c.start), last-b.limit-b.ahead+1)
	if a.started && !a.o.Whole {
		first = max(first, a.oldest())
	}
	if b.cells+int(last-first)+2 > b.max || b.at(last) == nil || b.at(first) == nil {
		a.stats.Dropped.Limit++
		return false
	}
	if a.started && last < a.next {
		a.stats.Late++
	}
	a.first = min(a.first, c.start)
	u := &a.units[c.unit]
	u.newest, u.spans = max(u.newest, last), true
	if u.svc.id >= 0 {
		a.countRequest(c, first, last)
		u.svc.seen = true
	}
	if c.endpoint != noEndpoint {
		a.countEndpoint(c, first, last)
	}
	return true
}

func (a *Assembler) countRequest(c *child, first, last int64) {
	b := &a.beats
	cell := b.unit(last, c.unit)
	cell.completions += c.weight
	if c.failed {
		cell.errors += c.weight
	} else {
		cell.latency.AddN(time.Duration(c.end-c.start).Seconds(), c.weight)
	}
	a.step(c.unit, cell, last, c.end, -c.weight)
	for i := first; i < last; i++ { // a request that lies in several beats
		earlier := b.unit(i, c.unit)
		if earlier == nil {
			continue
		}
		lo := i * b.length
		earlier.busy += c.weight * float64(lo+b.length-max(c.start, lo))
		earlier.open += toFixed(c.weight)
		if i == first {
			earlier.arrivals += c.weight
			a.step(c.unit, earlier, i, max(c.start, lo), c.weight)
		}
	}
	lo := last * b.length
	cell.busy += c.weight * float64(c.end-max(c.start, lo))
	if first == last {
		cell.arrivals += c.weight
		a.step(c.unit, cell, last, max(c.start, lo), c.weight)
	}
}

// step changes the number in flight at an instant by w: in its cell, or, for beats already cut, in what the next
// interval starts from.
func (a *Assembler) step(unit int32, cell *unitCell, beat, at int64, w float64) {
	n := toFixed(w)
	if a.started && beat < a.next && !a.o.Parts {
		a.units[unit].level += n
		return
	}
	into := at - beat*a.beats.length
	cell.steps[min(into/(a.beats.length/slotsPerBeat), slotsPerBeat-1)] += n
}

func (a *Assembler) countEndpoint(c *child, first, last int64) {
	a.beats.endpoint(first, c.endpoint).arrivals += c.weight
	cell := a.beats.endpoint(last, c.endpoint)
	cell.requests += c.weight
	d := time.Duration(c.end - c.start)
	if a.trace != nil && c.weight > 0 {
		cell.slowest.Take(foresail.Exemplar{Trace: *a.trace, Latency: d})
	}
	o := a.app.Endpoints[c.endpoint].Objective
	if c.failed {
		cell.errors += c.weight
	} else {
		cell.latency.AddN(d.Seconds(), c.weight)
	}
	if o != nil && (c.failed || d > o.Latency) && c.weight > 0 {
		cell.late += c.weight
		if cell.firstLate == 0 || c.start < cell.firstLate {
			cell.firstLate = c.start
		}
	}
}

// countCall counts a call where it ended; false when that is too long ago or there is no room.
func (a *Assembler) countCall(e int32, c *child) bool {
	last := a.beats.index(c.end)
	if a.started && !a.o.Whole && last < a.oldest() || a.beats.cells >= a.beats.max || a.beats.at(last) == nil {
		return false
	}
	cell := a.beats.edge(last, e)
	cell.calls += c.weight
	if c.failed {
		cell.errors += c.weight
	} else {
		cell.latency.AddN(time.Duration(c.end-c.start).Seconds(), c.weight)
	}
	return true
}

// pool keeps cells for the next beat, with the memory of their sketches.
type pool struct {
	units     []*unitCell
	endpoints []*endpointCell
	edges     []*edgeCell
}

const maxPooled = 4096 // cells of each kind

func take[T any](spare *[]*T) *T {
	if k := len(*spare); k > 0 {
		c := (*spare)[k-1]
		*spare = (*spare)[:k-1]
		return c
	}
	return new(T)
}

func give[T any](spare *[]*T, c *T) {
	if len(*spare) < maxPooled {
		*spare = append(*spare, c)
	}
}

// cellOf finds or makes the cell with number n in list.
func cellOf[T any](b *beats, list *[]*T, n int32, spare *[]*T) *T {
	for int(n) >= len(*list) {
		*list = append(*list, nil)
	}
	c := (*list)[n]
	if c == nil {
		c = take(spare)
		(*list)[n] = c
		b.cells++
	}
	return c
}

// unit, endpoint and edge find or make a cell; nil when the beat's place is taken.
func (b *beats) unit(i int64, n int32) *unitCell {
	t := b.at(i)
	if t == nil {
		return nil
	}
	return cellOf(b, &t.units, n, &b.pool.units)
}

func (b *beats) endpoint(i int64, n int32) *endpointCell {
	return cellOf(b, &b.at(i).endpoints, n, &b.pool.endpoints)
}

func (b *beats) edge(i int64, n int32) *edgeCell {
	return cellOf(b, &b.at(i).edges, n, &b.pool.edges)
}

// close gives a beat's cells back. The beat is no longer in the ring.
func (b *beats) close(t *beat) {
	b.ring[uint64(t.i)%uint64(len(b.ring))] = nil
	for n, c := range t.units {
		if c != nil {
			c.latency.Reset()
			*c = unitCell{latency: c.latency}
			give(&b.pool.units, c)
			t.units[n] = nil
			b.cells--
		}
	}
	for n, c := range t.endpoints {
		if c != nil {
			c.latency.Reset()
			*c = endpointCell{latency: c.latency}
			give(&b.pool.endpoints, c)
			t.endpoints[n] = nil
			b.cells--
		}
	}
	for n, c := range t.edges {
		if c != nil {
			c.latency.Reset()
			*c = edgeCell{latency: c.latency}
			give(&b.pool.edges, c)
			t.edges[n] = nil
			b.cells--
		}
	}
	t.units, t.endpoints, t.edges = t.units[:0], t.endpoints[:0], t.edges[:0]
	b.spare = append(b.spare, t)
}
