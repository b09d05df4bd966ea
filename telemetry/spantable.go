package telemetry

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"foresail.dev"
)

// spanTable remembers spans by trace and id, to tell duplicates and to find the service of a parent. It has four
// generations; the oldest is forgotten when a new one begins, so nothing is deleted one by one. An entry is 12 bytes
// without pointers: a keyed 64-bit hash of the ids (two different spans share one with probability 2⁻⁶⁴) and a value.
//
// A value is either a seen span (service and kind) or an awaited one: the head of a list of children that came first.
type spanTable struct {
	keys   [3]uint64      // secret, so that nobody can choose ids that collide
	gens   [4]*generation // newest first
	each   int            // entries per generation at most
	nodes  int            // children waiting now
	limit  int            // children waiting at most
	orphan func(*child)
}

type generation struct {
	keys []uint64 // 0: empty
	vals []uint32
	n    int
	wait []child // lists hang together by index
	free int32   // head of the list of unused ones, noChild for none
	born int64   // the beat it began in
}

// child is a span that waits for its parent.
type child struct {
	next       int32
	unit       int32
	endpoint   int32 // noEndpoint for none
	failed     bool
	whole      bool // it is not yet known whether it is a request; otherwise only its caller is missing
	waits      bool
	start, end int64
	weight     float64
}

const (
	noChild    = -1
	awaited    = 1 << 31
	kindShift  = 28
	serviceMax = 1<<kindShift - 4
	minSlots   = 1 << 10
)

// seenValue packs a seen span: service numbers start at client (-2).
func seenValue(service int32, kind foresail.SpanKind) uint32 {
	return uint32(service+2) | uint32(kind&7)<<kindShift
}

func unpackSeen(v uint32) (service int32, kind foresail.SpanKind) {
	return int32(v&(1<<kindShift-1)) - 2, foresail.SpanKind(v >> kindShift & 7)
}

func newSpanTable(spans, waiting int, orphan func(*child)) *spanTable {
	t := &spanTable{each: max(spans/4, 1), limit: waiting, orphan: orphan}
	for i := range t.keys {
		t.keys[i] = rand.Uint64()
	}
	for i := range t.gens {
		t.gens[i] = newGeneration(minSlots)
	}
	return t
}

func newGeneration(slots int) *generation {
	return &generation{keys: make([]uint64, slots), vals: make([]uint32, slots), free: noChild}
}

// traceHash and spanHash hash a span's ids in two steps, since parent and child share the first.
func (t *spanTable) traceHash(id *foresail.TraceID) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(id[:8])^t.keys[0], binary.LittleEndian.Uint64(id[8:])^t.keys[1])
	return hi ^ lo
}

func (t *spanTable) spanHash(trace uint64, id *foresail.SpanID) uint64 {
	hi, lo := bits.Mul64(trace^t.keys[2], binary.LittleEndian.Uint64(id[:])^t.keys[0])
	return max(hi^lo^trace, 1)
}

// find returns the slot of h; if it is not there, the empty slot it would take, and false.
func (g *generation) find(h uint64) (int, bool) {
	mask := len(g.keys) - 1
	i := int(h) & mask
	for {
		switch g.keys[i] {
		case h:
			return i, true
		case 0:
			return i, false
		}
		i = (i + 1) & mask
	}
}

// put adds an entry that is not there; slot is where find would put it.
func (g *generation) put(slot int, h uint64, v uint32) {
	if g.n*5 >= len(g.keys)*3 { // more than 60 % full
		old := *g
		g.keys, g.vals = make([]uint64, 2*len(old.keys)), make([]uint32, 2*len(old.keys))
		for i, k := range old.keys {
			if k != 0 {
				j, _ := g.find(k)
				g.keys[j], g.vals[j] = k, old.vals[i]
			}
		}
		slot, _ = g.find(h)
	}
	g.keys[slot], g.vals[slot] = h, v
	g.n++
}

// lookup finds a seen span; the newest generation knows best.
func (t *spanTable) lookup(h uint64) (v uint32, ok bool) {
	for _, g := range t.gens {
		if i, found := g.find(h); found {
			return g.vals[i], g.vals[i]&awaited == 0
		}
	}
	return 0, false
}

// see remembers a span. It tells whether it was seen before, and otherwise hands the children that waited to each.
func (t *spanTable) see(h uint64, v uint32, each func(*child)) (duplicate bool) {
	g := t.gens[0]
	slot, found := g.find(h)
	if found && g.vals[slot]&awaited == 0 {
		return true
	}
	if found {
		head := int32(g.vals[slot] &^ awaited)
		g.vals[slot] = v
		t.release(g, head, each)
		return false
	}
	for _, old := range t.gens[1:] {
		i, found := old.find(h)
		if !found {
			continue
		}
		if old.vals[i]&awaited == 0 {
			return true
		}
		head := int32(old.vals[i] &^ awaited)
		old.vals[i] = v
		t.release(old, head, each)
		break
	}
	g.put(slot, h, v)
	return false
}

// release hands over a list of children and frees it.
func (t *spanTable) release(g *generation, head int32, each func(*child)) {
	for head != noChild {
		c := &g.wait[head]
		each(c)
		next := c.next
		c.waits = false
		c.next, g.free = g.free, head
		t.nodes--
		head = next
	}
}

// await lets c wait for the span h, which was not seen; false when too many wait.
func (t *spanTable) await(h uint64, c child) bool {
	if t.nodes >= t.limit {
		return false
	}
	t.nodes++
	for _, g := range t.gens {
		if i, found := g.find(h); found {
			c.next = int32(g.vals[i] &^ awaited)
			g.vals[i] = awaited | uint32(g.hold(c))
			return true
		}
	}
	g := t.gens[0]
	c.next = noChild
	slot, _ := g.find(h)
	g.put(slot, h, awaited|uint32(g.hold(c)))
	return true
}

func (g *generation) hold(c child) int32 {
	c.waits = true
	if i := g.free; i != noChild {
		g.free = g.wait[i].next
		g.wait[i] = c
		return i
	}
	g.wait = append(g.wait, c)
	return int32(len(g.wait) - 1)
}

// full tells whether the newest generation holds as much as it may.
func (t *spanTable) full() bool { return t.gens[0].n >= t.each }

// turn forgets the oldest generation and begins a new one at beat; it returns how many spans were forgotten.
func (t *spanTable) turn(beat int64) (forgotten int) {
	old := t.gens[3]
	forgotten = old.n
	for i := range old.wait {
		if c := &old.wait[i]; c.waits {
			t.nodes--
			t.orphan(c)
		}
	}
	// Memory is used again unless it is far more than what the last generation needed.
	if need := max(t.gens[0].n*2, minSlots); len(old.keys) > 8*need {
		old = newGeneration(minSlots)
	} else {
		clear(old.keys)
		old.n, old.wait, old.free = 0, old.wait[:0], noChild
	}
	old.born = beat
	copy(t.gens[1:], t.gens[:3])
	t.gens[0] = old
	return forgotten
}
