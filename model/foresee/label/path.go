package label

import (
	"time"

	"foresail.dev"
)

// part is the time that one span has on the critical path of its request.
type part struct {
	span int
	time time.Duration
}

// tree is the spans of one trace with their children, with buffers that are kept.
type tree struct {
	spans  []foresail.Span
	byID   map[foresail.SpanID]int
	first  []int // child of each span; -1: none
	next   []int // sibling; -1: none
	parent []int
	used   []bool
	parts  []part
}

// grow sees the spans of one trace. It returns the root: the server span without a parent that began first; -1: there is none.
func (t *tree) grow(spans []foresail.Span) (root int) {
	t.spans = spans
	if t.byID == nil {
		t.byID = map[foresail.SpanID]int{}
	}
	clear(t.byID)
	t.first, t.next, t.parent, t.used = t.first[:0], t.next[:0], t.parent[:0], t.used[:0]
	for i := range spans {
		t.byID[spans[i].ID] = i
		t.first, t.next, t.parent, t.used = append(t.first, -1), append(t.next, -1), append(t.parent, -1), append(t.used, false)
	}
	root = -1
	for i := range spans {
		p, ok := t.byID[spans[i].Parent]
		if ok && p != i && spans[i].Parent != (foresail.SpanID{}) {
			t.parent[i], t.next[i], t.first[p] = p, t.first[p], i
			continue
		}
		if spans[i].Kind == foresail.KindServer && (root < 0 || spans[i].Start.Before(spans[root].Start)) {
			root = i
		}
	}
	return root
}

// walk divides the time [from, to) of a span over the spans on the critical path below it, into parts. A span is walked once
// at most, so spans that name each other as parents end it too.
func (t *tree) walk(i int, from, to time.Time) {
	t.used[i] = true
	own := time.Duration(0)
	for at := to; ; {
		last := -1
		var end time.Time
		for c := t.first[i]; c >= 0; c = t.next[c] {
			s := &t.spans[c]
			e := earlier(s.End, at)
			if t.used[c] || !s.Start.Before(at) || !e.After(from) || !s.Start.Before(s.End) {
				continue
			}
			if last < 0 || e.After(end) || e.Equal(end) && s.Start.Before(t.spans[last].Start) {
				last, end = c, e
			}
		}
		if last < 0 {
			own += at.Sub(from)
			break
		}
		own += at.Sub(end)
		begin := t.spans[last].Start
		if begin.Before(from) {
			begin = from
		}
		t.walk(last, begin, end)
		at = begin
	}
	t.parts = append(t.parts, part{i, own})
}

// origin is the span in which a failure began, from a span that failed downwards: the failed child that ended last, as long
// as there is one.
func (t *tree) origin(i int) int {
	for range t.spans {
		last := -1
		for c := t.first[i]; c >= 0; c = t.next[c] {
			if t.spans[c].Failed && (last < 0 || t.spans[c].End.After(t.spans[last].End)) {
				last = c
			}
		}
		if last < 0 {
			break
		}
		i = last
	}
	return i
}

// callee is the server span of a call; -1: none was seen.
func (t *tree) callee(i int) int {
	for c := t.first[i]; c >= 0; c = t.next[c] {
		if t.spans[c].Kind == foresail.KindServer {
			return c
		}
	}
	return -1
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
