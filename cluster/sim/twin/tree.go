package twin

import (
	"cmp"
	"fmt"
	"slices"

	"foresail.dev"
)

// operation is one operation of one service, as its spans show it.
type operation struct {
	service foresail.ServiceID
	name    string
	visits  []*visit // all
	clean   []*visit // those that tell of its structure
	calls   float64  // mean calls in a visit
	cpu     float64  // seconds of CPU for each visit
	own     float64  // seconds that no call covers: mean
	middle  float64  // the same of the median visit
	layout  layout
}

// visit is one server span with the calls below it, in the order in which they began. Times are nanoseconds.
type visit struct {
	op         int
	start, end int64
	weight     float64
	broken     bool // failed, or a call did, or a span is missing
	calls      []call
}

// call is one client span and the server span below it.
type call struct {
	op         int // the callee's
	start, end int64
	served     int64 // as the callee saw it
	slot       int   // within the caller's operation
}

type spanKey struct {
	trace foresail.TraceID
	id    foresail.SpanID
}

// forest is all visits.
type forest struct {
	app     *foresail.App
	ops     []*operation
	index   map[string]int // of an operation, by service and name
	users   []int64        // by users' span that has a visit below: how much longer it lasts
	skipped int
}

// grow makes visits of spans.
func grow(in *Input) *forest {
	f := &forest{app: in.App, index: map[string]int{}}
	byID := make(map[spanKey]int, len(in.Spans))
	for i := range in.Spans {
		if key := (spanKey{in.Spans[i].Trace, in.Spans[i].ID}); !has(byID, key) { // of a span told twice, the first counts
			byID[key] = i
		}
	}
	visits := make(map[int]*visit)
	order := make([]int, 0, len(in.Spans)) // visits, as they come in the file
	for i := range in.Spans {
		s := &in.Spans[i]
		service, ok := in.App.ServiceByName(s.Service)
		server := s.Kind == foresail.KindServer || s.Kind == foresail.KindConsumer
		if byID[spanKey{s.Trace, s.ID}] != i {
			f.skipped++
			continue
		}
		if !ok || !server || s.End.Before(s.Start) {
			if !server && (s.Kind != foresail.KindClient && s.Kind != foresail.KindProducer) || s.End.Before(s.Start) {
				f.skipped++
			}
			continue
		}
		v := &visit{op: f.operation(service, s.Operation), start: s.Start.UnixNano(), end: s.End.UnixNano(), weight: weight(s), broken: s.Failed}
		visits[i] = v
		order = append(order, i)
	}
	answered := make(map[int]bool)
	for _, i := range order {
		f.place(in, byID, visits, answered, i)
	}
	for i := range in.Spans { // a call nobody is known to have served
		s := &in.Spans[i]
		if s.Kind != foresail.KindClient && s.Kind != foresail.KindProducer || answered[i] && !s.Failed || byID[spanKey{s.Trace, s.ID}] != i {
			continue
		}
		if p, ok := byID[spanKey{s.Trace, s.Parent}]; ok && visits[p] != nil {
			visits[p].broken = true
		}
	}
	for _, i := range order {
		v := visits[i]
		slices.SortStableFunc(v.calls, func(a, b call) int { return cmp.Compare(a.start, b.start) })
		o := f.ops[v.op]
		o.visits = append(o.visits, v)
		if !v.broken {
			o.clean = append(o.clean, v)
		}
	}
	return f
}

// place puts a visit below the visit that called it.
func (f *forest) place(in *Input, byID map[spanKey]int, visits map[int]*visit, answered map[int]bool, i int) {
	s, v := &in.Spans[i], visits[i]
	p, ok := byID[spanKey{s.Trace, s.Parent}]
	if !ok || p == i {
		return
	}
	parent := &in.Spans[p]
	if caller := visits[p]; caller != nil { // no client span between
		caller.calls = append(caller.calls, call{op: v.op, start: v.start, end: v.end, served: v.end - v.start})
		caller.broken = caller.broken || v.broken
		return
	}
	if answered[p] {
		return
	}
	answered[p] = true
	start, end := parent.Start.UnixNano(), parent.End.UnixNano()
	g, ok := byID[spanKey{parent.Trace, parent.Parent}]
	if ok && visits[g] != nil {
		visits[g].calls = append(visits[g].calls, call{op: v.op, start: start, end: end, served: v.end - v.start})
		return
	}
	if parent.Service == in.Users && !parent.Failed && !v.broken {
		f.users = append(f.users, (end-start)-(v.end-v.start))
	}
}

func (f *forest) operation(s foresail.ServiceID, name string) int {
	key := fmt.Sprint(s, " ", name)
	i, ok := f.index[key]
	if !ok {
		i = len(f.ops)
		f.index[key] = i
		f.ops = append(f.ops, &operation{service: s, name: name})
	}
	return i
}

func weight(s *foresail.Span) float64 {
	if s.Weight > 0 {
		return s.Weight
	}
	return 1
}

func has[K comparable, V any](m map[K]V, k K) bool {
	_, ok := m[k]
	return ok
}
