package shapes

import (
	"cmp"
	"slices"

	"foresail.dev"
)

// span is one of a trace, with its names by number.
type span struct {
	id, parent uint64
	start, end int64 // nanoseconds since 1970
	op         int32
	weight     float32
	kind       foresail.SpanKind
	failed     bool
}

// outcome is what became of a trace.
type outcome uint8

const (
	complete outcome = iota
	incomplete
	malformed
	foreign // of nothing that the application's users ask
)

// node is a span within its trace's tree.
type node struct {
	parent, first, next int32 // spans; noOne: none. A parent that the trace lacks is absent.
	begins              int32 // the visit that it is the server span of; noOne: none
	within              int32 // the visit that it is part of; noOne: none
	answers             int32 // of a client span: visits that it waited for directly
	kind                foresail.SpanKind
	answered            bool // a visit lies beneath it
	out                 bool // it counts for nothing: a duplicate
}

const absent = -3

// maxRepairs is how many spans of a trace may lack their parents for it to be worth mending.
const maxRepairs = 8

// visit is one operation of a service that was asked for once.
type visit struct {
	op          int32
	parent      int32 // the visit that asked; noOne: the users
	first, next int32 // visits that it asked for itself
	span        int32 // its server span, or where there is none the client's
	client      int32 // the span of the caller that waited for it; noOne: none
	from, to    int64 // from being asked to the answer, as the caller saw it where it reports
	begun, over int64 // as the callee saw it
	own         int64 // to-from, less what it waited for its own visits
	failed      bool
	async       bool // nobody waited
	byCaller    bool // from and to are the caller's
	dropped     bool // an attempt that another followed

	branches [2]int32 // its branches, of layout.branches
	text     [2]int32 // what it and all beneath look like, of layout.text
	size     int32    // visits of the form at and beneath it
	slot     int32    // its place in the form's canonical order; noOne: none
	mate     int32    // the next of its branch; noOne: none
	nth      int32    // which of its caller's it is, see beside
}

// tree finds the visits of one trace at a time. Its memory is used again.
type tree struct {
	*names
	*habits
	stats *Stats
	spans []span
	nodes []node
	order []int32 // spans, parents before their children
	index table
	found []visit
	roots []int32 // visits that the users asked for
	lost  []int32 // spans whose parent is not there
}

// read finds the visits of a trace: t.found, parents before their children, and of those t.roots.
func (t *tree) read(spans []span) outcome {
	t.spans = spans
	t.nodes = slices.Grow(t.nodes[:0], len(spans))[:len(spans)]
	t.order, t.found, t.roots, t.lost = t.order[:0], t.found[:0], t.roots[:0], t.lost[:0]
	live := t.link()
	t.adopt()
	t.follow(0)
	if len(t.lost) <= maxRepairs {
		for len(t.lost) > 0 && t.repair() {
		}
	}
	switch {
	case len(t.lost) > 0:
		return incomplete
	case len(t.order) < live:
		return malformed // spans that are each other's parents
	}
	if !t.callees() {
		return incomplete
	}
	t.views()
	for i := range t.found {
		if t.found[i].parent == noOne && !t.found[i].dropped {
			t.roots = append(t.roots, int32(i))
		}
	}
	if len(t.roots) == 0 {
		return foreign
	}
	return complete
}

// link makes the tree and puts its roots into t.order. It returns how many spans there are but for duplicates.
func (t *tree) link() (live int) {
	t.index.reset(len(t.spans))
	for i := range t.spans {
		s := &t.spans[i]
		t.nodes[i] = node{parent: noOne, first: noOne, next: noOne, begins: noOne, within: noOne, kind: s.kind}
		if !t.index.put(s.id, int32(i)) {
			t.nodes[i].out = true
			t.stats.Duplicates++
			continue
		}
		live++
		if s.end < s.start {
			s.end = s.start
			t.stats.Clamped++
		}
	}
	for i := len(t.spans) - 1; i >= 0; i-- {
		n, parent := &t.nodes[i], t.spans[i].parent
		switch p := t.index.get(parent); {
		case n.out:
		case parent == 0:
			t.order = append(t.order, int32(i))
		case p == noOne:
			n.parent = absent
			t.lost = append(t.lost, int32(i))
		default:
			n.parent, n.next, t.nodes[p].first = p, t.nodes[p].first, int32(i)
		}
	}
	return live
}

// adopt takes the only span whose parent is missing for the request's own, where it is an endpoint's entry and there is no
// other beginning: who asked for it, a gateway perhaps, does not report here.
func (t *tree) adopt() {
	if len(t.order) > 0 || len(t.lost) != 1 || t.users != "" {
		return
	}
	i := t.lost[0]
	if t.ops[t.spans[i].op].endpoint == noOne || t.kindOf(i) != foresail.KindServer && t.kindOf(i) != foresail.KindConsumer {
		return
	}
	t.nodes[i].parent = noOne
	t.order, t.lost = append(t.order, i), t.lost[:0]
	t.stats.Adopted++
}

// follow goes from the spans of t.order at from on to all beneath, and finds the visits.
func (t *tree) follow(from int) {
	for k := from; k < len(t.order); k++ {
		i := t.order[k]
		t.meet(i)
		for c := t.nodes[i].first; c != noOne; c = t.nodes[c].next {
			t.order = append(t.order, c)
		}
	}
}

// kindOf is a span's kind, guessed as package telemetry does where it has none.
func (t *tree) kindOf(i int32) foresail.SpanKind {
	n := &t.nodes[i]
	if n.kind != foresail.KindUnspecified {
		return n.kind
	}
	owner := t.ops[t.spans[i].op].owner
	n.kind = foresail.KindInternal
	switch {
	case n.parent < 0 || t.ops[t.spans[n.parent].op].owner != owner:
		n.kind = foresail.KindServer
	default:
		for c := n.first; c != noOne; c = t.nodes[c].next {
			if t.ops[t.spans[c].op].owner != owner {
				n.kind = foresail.KindClient
				break
			}
		}
	}
	return n.kind
}

// meet tells which visit a span belongs to, once that is known of its parent, and begins one where it is a request's.
func (t *tree) meet(i int32) {
	n, s := &t.nodes[i], &t.spans[i]
	kind, p := t.kindOf(i), n.parent
	if p >= 0 {
		n.within = t.nodes[p].within
	}
	op := &t.ops[s.op]
	if op.id == noOne || kind != foresail.KindServer && kind != foresail.KindConsumer {
		return
	}
	client := int32(noOne)
	if p >= 0 {
		k := t.nodes[p].kind
		if k == foresail.KindClient || k == foresail.KindProducer {
			client = p
		} else if t.ops[t.spans[p].op].owner == op.owner {
			return // a layer of the same server
		}
	}
	v := visit{op: s.op, parent: n.within, span: i, client: client, from: s.start, to: s.end, begun: s.start, over: s.end, failed: s.failed,
		async: kind == foresail.KindConsumer, first: noOne, next: noOne, slot: noOne, mate: noOne}
	if client != noOne {
		t.nodes[client].answers++
		v.async = v.async || t.nodes[client].kind == foresail.KindProducer
	}
	if v.parent == noOne {
		v.async = false
	}
	n.begins = int32(len(t.found))
	n.within = n.begins
	t.found = append(t.found, v)
	for q := p; q >= 0 && !t.nodes[q].answered && t.nodes[q].begins == noOne; q = t.nodes[q].parent {
		t.nodes[q].answered = true
	}
}

// repair finds the caller of a request whose client span is missing: the one visit that lasted meanwhile and is known to make such
// calls. It reports whether it could mend something.
func (t *tree) repair() bool {
	for k, i := range t.lost {
		s := &t.spans[i]
		if kind := t.kindOf(i); kind != foresail.KindServer && kind != foresail.KindConsumer {
			continue
		}
		caller, n := int32(noOne), 0
		for v := range t.found {
			if f := &t.found[v]; f.begun <= s.start && s.end <= f.over && t.called(f.op, s.op) {
				caller = int32(v)
				n++
			}
		}
		if n != 1 {
			continue
		}
		t.nodes[i].parent = t.found[caller].span
		t.lost = slices.Delete(t.lost, k, k+1)
		t.stats.Repaired++
		from := len(t.order)
		t.order = append(t.order, i)
		t.follow(from)
		return true
	}
	return false
}

// views takes for each visit the caller's view of it, where there is one.
func (t *tree) views() {
	for i := range t.found {
		v := &t.found[i]
		if v.client == noOne || v.byCaller || t.nodes[v.client].kind != foresail.KindClient {
			continue
		}
		if t.nodes[v.client].answers > 1 && !t.lastAttempt(int32(i)) {
			continue
		}
		c := &t.spans[v.client]
		v.from, v.to, v.byCaller = c.start, c.end, true
		v.failed = v.failed || c.failed
	}
}

// lastAttempt tells, of visits that one client span waited for, whether the one at hand is the last of several attempts. The earlier
// ones are dropped. Where they are not attempts, as they differ or were not one after the other, none is.
func (t *tree) lastAttempt(i int32) bool {
	v := &t.found[i]
	last := true
	for c := t.nodes[v.client].first; c != noOne; c = t.nodes[c].next {
		b := t.nodes[c].begins
		if b == noOne || b == i {
			continue
		}
		w := &t.found[b]
		before, after := w.over <= v.begun && w.failed, v.over <= w.begun && v.failed
		if w.op != v.op || !before && !after {
			return false
		}
		last = last && before
	}
	if !last {
		v.dropped = true
		t.stats.Retries++
	}
	return last
}

// byTime orders visits by when they were asked for.
func (t *tree) byTime(a, b int32) int {
	x, y := &t.found[a], &t.found[b]
	return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.op, y.op), cmp.Compare(a, b))
}
