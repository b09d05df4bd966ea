package insight

import (
	"cmp"
	"slices"
	"time"

	"foresail.dev"
)

// structure is what traces say of calls, by the services' names.
type structure struct {
	sampled int
	ops     map[operation]*opCalls
	pairs   map[pair]*pairCalls
	own     map[string]example // by service: the longest that a span worked or waited by itself
	rings   map[string]example // by service: a request that came back to it while it waited
}

type operation struct{ service, name string }
type pair struct{ from, to string }

// example is the trace that shows something best.
type example struct {
	trace foresail.TraceID
	size  float64
}

// take replaces it by one that shows more; of two that show as much, the one with the smaller id stays.
func (x *example) take(t foresail.TraceID, size float64) {
	if x.trace == (foresail.TraceID{}) || size > x.size || size == x.size && slices.Compare(t[:], x.trace[:]) < 0 {
		*x = example{t, size}
	}
}

// opCalls is what an operation calls.
type opCalls struct {
	spans   int
	calls   map[string]int // by service, each attempt
	callees int            // distinct services, summed over spans
	widest  example
	most    map[string]example
}

// pairCalls is what is known of the calls from one service to another.
type pairCalls struct {
	calls   int // sampled, that did not fail
	left    int // of those, such that ended after their caller had
	longest example
	retried example // by attempts after one that failed
}

func (t *structure) init() {
	t.ops, t.pairs, t.own, t.rings = map[operation]*opCalls{}, map[pair]*pairCalls{}, map[string]example{}, map[string]example{}
}

// unwaited tells whether at least half of the calls ended after their caller did.
func (t *structure) unwaited(p pair, least int) bool {
	c := t.pairs[p]
	return c != nil && c.calls >= least && float64(c.left) >= half*float64(c.calls)
}

// tree is a trace's spans by their parents.
type tree struct {
	spans    []foresail.Span
	parent   []int // index; -1: none
	children [][]int
}

func newTree(spans []foresail.Span) *tree {
	t := &tree{spans: spans, parent: make([]int, len(spans)), children: make([][]int, len(spans))}
	at := make(map[foresail.SpanID]int, len(spans))
	for i := range spans {
		at[spans[i].ID] = i
	}
	for i := range spans {
		t.parent[i] = -1
		if p, ok := at[spans[i].Parent]; ok && p != i && spans[i].Parent != (foresail.SpanID{}) {
			t.parent[i] = p
			t.children[p] = append(t.children[p], i)
		}
	}
	return t
}

// callee is the service that a child of a span asks; empty where it is work of the same service.
func (t *tree) callee(span, child int) string {
	own := t.spans[span].Service
	if s := t.spans[child].Service; s != own {
		return s
	}
	if t.spans[child].Kind != foresail.KindClient && t.spans[child].Kind != foresail.KindProducer {
		return ""
	}
	for _, c := range t.children[child] {
		if t.spans[c].Kind == foresail.KindServer || t.spans[c].Kind == foresail.KindConsumer || t.spans[c].Service != own {
			return t.spans[c].Service
		}
	}
	return ""
}

// serves tells whether a span is a request in a service, and not a call or a part of its work.
func (t *tree) serves(i int) bool {
	switch t.spans[i].Kind {
	case foresail.KindServer, foresail.KindConsumer:
		return true
	case foresail.KindClient, foresail.KindProducer:
		return false
	}
	return t.parent[i] < 0 || t.spans[t.parent[i]].Service != t.spans[i].Service
}

// maxDepth bounds walks towards the root: spans may be each other's parents.
const maxDepth = 256

func (t *structure) add(spans []foresail.Span, sampled bool) {
	if len(spans) == 0 {
		return
	}
	if sampled {
		t.sampled++
	}
	tr := newTree(spans)
	for i := range spans {
		if tr.serves(i) {
			t.addSpan(tr, i, sampled)
			t.addRing(tr, i)
		}
	}
}

func (t *structure) addSpan(tr *tree, i int, sampled bool) {
	s := &tr.spans[i]
	key := operation{s.Service, s.Operation}
	op := t.ops[key]
	if op == nil {
		op = &opCalls{calls: map[string]int{}, most: map[string]example{}}
		t.ops[key] = op
	}
	calls, failed := map[string]int{}, map[string]int{}
	for _, c := range tr.children[i] {
		to := tr.callee(i, c)
		if to == "" {
			continue
		}
		call := &tr.spans[c]
		calls[to]++
		p := t.pairs[pair{s.Service, to}]
		if p == nil {
			p = &pairCalls{}
			t.pairs[pair{s.Service, to}] = p
		}
		if call.Failed {
			failed[to]++
			continue
		}
		p.longest.take(s.Trace, call.End.Sub(call.Start).Seconds())
		if sampled {
			p.calls++
			if call.End.After(s.End) {
				p.left++
			}
		}
	}
	for to, n := range calls {
		e := op.most[to]
		e.take(s.Trace, float64(n))
		op.most[to] = e
		if failed[to] > 0 && n > 1 {
			t.pairs[pair{s.Service, to}].retried.take(s.Trace, float64(failed[to]))
		}
		if sampled {
			op.calls[to] += n
		}
	}
	op.widest.take(s.Trace, float64(len(calls)))
	if sampled {
		op.spans++
		op.callees += len(calls)
	}
	e := t.own[s.Service]
	e.take(s.Trace, tr.ownTime(i).Seconds())
	t.own[s.Service] = e
}

// ownTime is the part of a span in which none of its children was going on.
func (t *tree) ownTime(i int) time.Duration {
	s := &t.spans[i]
	children := slices.Clone(t.children[i])
	slices.SortFunc(children, func(a, b int) int {
		return cmp.Or(t.spans[a].Start.Compare(t.spans[b].Start), cmp.Compare(a, b))
	})
	own, at := time.Duration(0), s.Start
	for _, c := range children {
		from, to := t.spans[c].Start, t.spans[c].End
		if from.After(s.End) {
			break
		}
		if from.After(at) {
			own += from.Sub(at)
		}
		if to.After(at) {
			at = to
		}
	}
	if s.End.After(at) {
		own += s.End.Sub(at)
	}
	return own
}

// addRing looks whether a request came back to a service that was waiting for it.
func (t *structure) addRing(tr *tree, i int) {
	s := &tr.spans[i]
	left := false // the service, on the way to the root
	for p, n := tr.parent[i], 0; p >= 0 && n < maxDepth; p, n = tr.parent[p], n+1 {
		q := &tr.spans[p]
		if q.End.Before(s.End) {
			return // nobody waits
		}
		if q.Service != s.Service {
			left = true
		} else if left || tr.serves(p) {
			e := t.rings[s.Service]
			e.take(s.Trace, s.End.Sub(s.Start).Seconds())
			t.rings[s.Service] = e
			return
		}
	}
}
