// Package trace keeps the spans of a simulation's sampled requests until all work for each has ended, and hands them over
// then.
package trace

import (
	"encoding/binary"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/slab"
)

// Traces are those of which something is still in progress, by number.
type Traces struct {
	open   slab.Slab[trace]
	ids    chance.Stream
	weight float64
	done   func([]foresail.Span)
}

// trace is one sampled attempt of a user's request.
type trace struct {
	id    foresail.TraceID
	refs  int32 // the user's attempt, and each visit and call made for it
	spans []foresail.Span
}

// New keeps the spans of a share of the requests, 0..1, and hands those of one trace to done, which owns them, in the order
// of their ends.
func New(seed uint64, share float64, done func([]foresail.Span)) Traces {
	return Traces{ids: chance.Purpose(seed, chance.ForSpanIDs), weight: 1 / share, done: done}
}

// Begin begins a trace, with one reference to it.
func (t *Traces) Begin() int32 {
	i := t.open.Take()
	tr := t.open.At(i)
	*tr = trace{refs: 1}
	binary.BigEndian.PutUint64(tr.id[:8], t.ids.Uint64())
	binary.BigEndian.PutUint64(tr.id[8:], t.ids.Uint64())
	return i
}

// Ref adds a reference: one more thing is in progress for the trace.
func (t *Traces) Ref(i int32) { t.open.At(i).refs++ }

// Unref takes one away. With the last the trace is over.
func (t *Traces) Unref(i int32) {
	tr := t.open.At(i)
	if tr.refs--; tr.refs > 0 {
		return
	}
	spans := tr.spans
	*tr = trace{}
	t.open.Give(i)
	if len(spans) > 0 {
		t.done(spans)
	}
}

// NextSpan is the number of a new span, never 0.
func (t *Traces) NextSpan() uint64 {
	for {
		if id := t.ids.Uint64(); id != 0 {
			return id
		}
	}
}

// Add adds a span to a trace, which gives it its trace and its weight; parent 0: there is none.
func (t *Traces) Add(i int32, id, parent uint64, s foresail.Span) {
	tr := t.open.At(i)
	s.Trace, s.Weight = tr.id, t.weight
	binary.BigEndian.PutUint64(s.ID[:], id)
	binary.BigEndian.PutUint64(s.Parent[:], parent)
	tr.spans = append(tr.spans, s)
}

// Open is how many traces are not over.
func (t *Traces) Open() int { return t.open.Taken() }
