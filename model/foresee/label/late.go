package label

import (
	"cmp"
	"slices"
	"time"

	"foresail.dev"
)

// normal is the mean of what was seen in good times: of the last normalOver at equal weight at first, of about as many later.
type normal struct {
	n    int
	mean float64 // seconds
}

const normalOver = 1000

func (n *normal) add(v float64) {
	n.n = min(n.n+1, normalOver)
	n.mean += (v - n.mean) / float64(n.n)
}

// name is what a normal is of.
type name struct {
	service, operation string
	kind               foresail.SpanKind
}

// excess is by how much a service's part of a request was above its normal, in seconds.
type excess struct {
	service   foresail.ServiceID
	own, link float64 // in its server spans, and half of that in calls from it and to it
}

func (e *excess) sum() float64 { return e.own + e.link }

// late is a request that was late or failed.
type late struct {
	arrived time.Time
	parts   []excess // one a service, positive
	calls   [][2]foresail.ServiceID
}

// Spans takes the spans of one trace, all at once, in any order. Requests of endpoints without an objective are left out, and
// so are services that the application doesn't have.
func (l *Labeller) Spans(spans []foresail.Span) {
	root := l.tree.grow(spans)
	if root < 0 {
		return
	}
	r := &spans[root]
	bound, ok := l.bounds[entry{r.Service, r.Operation}]
	if !ok {
		return
	}
	took := r.End.Sub(r.Start)
	l.tree.parts = l.tree.parts[:0]
	l.tree.walk(root, r.Start, r.End)
	if took <= bound && !r.Failed {
		for _, p := range l.tree.parts {
			k := l.key(p.span)
			n := l.normals[k]
			if n == nil {
				n = &normal{}
				l.normals[k] = n
			}
			n.add(p.time.Seconds())
		}
		return
	}
	l.late = append(l.late, l.blame(r.Start, took, bound, root))
}

func (l *Labeller) key(span int) name {
	s := &l.tree.spans[span]
	return name{s.Service, s.Operation, s.Kind}
}

// blame says what of a late request is in excess.
func (l *Labeller) blame(arrived time.Time, took, bound time.Duration, root int) late {
	out := late{arrived: arrived}
	clear(l.sums)
	if took <= bound { // it failed in time
		if o := &l.tree.spans[l.tree.origin(root)]; o.Kind != foresail.KindClient {
			if s, ok := l.services[o.Service]; ok {
				out.parts = []excess{{service: s, own: bound.Seconds()}}
			}
			return out
		}
		// The caller gave up on an answer that did not come, or came later: what took long is to blame.
	}
	for _, p := range l.tree.parts {
		over := p.time.Seconds()
		if n := l.normals[l.key(p.span)]; n != nil {
			over -= n.mean
		}
		s, known := l.services[l.tree.spans[p.span].Service]
		if l.tree.spans[p.span].Kind == foresail.KindClient {
			c := l.tree.callee(p.span)
			if c < 0 {
				if known {
					l.add(s, 0, over)
				}
				continue
			}
			to, ok := l.services[l.tree.spans[c].Service]
			if ok && known {
				l.add(s, 0, over/2)
				l.add(to, 0, over/2)
				out.calls = append(out.calls, [2]foresail.ServiceID{s, to})
			}
			continue
		}
		if known {
			l.add(s, over, 0)
		}
	}
	for _, e := range l.sums {
		if e.sum() > 0 {
			out.parts = append(out.parts, e)
		}
	}
	slices.SortFunc(out.parts, func(a, b excess) int { return cmp.Compare(a.service, b.service) })
	return out
}

func (l *Labeller) add(s foresail.ServiceID, own, link float64) {
	e := l.sums[s]
	l.sums[s] = excess{s, e.own + own, e.link + link}
}
