package callgraphs

import (
	"cmp"
	"slices"
	"time"

	"foresail.dev"
)

// Set is what was observed of an application's call graphs over some time.
type Set struct {
	App   *foresail.App
	Notes []string // what else a person should know, a sentence each

	only      []string // endpoints; empty: all
	from, to  time.Time
	observed  bool // though there may have been no request
	parts     []*foresail.Snapshot
	forms     map[string]int // their numbers in intervals, by Form.Key
	intervals []interval
}

// interval is how many requests each form had in some time, by number; forms that came later are not in it.
type interval struct {
	start, end time.Time
	requests   []float64
}

// NewSet has nothing yet; endpoints are those that count, none: all do.
func NewSet(app *foresail.App, endpoints []string) *Set {
	return &Set{App: app, only: endpoints, forms: map[string]int{}}
}

// mostParts is how many snapshots wait to be merged.
const mostParts = 64

// Add takes what one snapshot says of call graphs, in order of time. Each is told as an interval where intervals are wanted.
func (s *Set) Add(p *foresail.Snapshot, asInterval bool) {
	if s.from.IsZero() {
		s.from = p.Start
	}
	s.to = p.End
	if !p.Has.Has(foresail.SignalShapes) {
		return
	}
	s.observed = true
	b := bare(p)
	if len(s.only) > 0 {
		b.Shapes = nil
		for _, d := range p.Shapes {
			if slices.Contains(s.only, s.App.Endpoints[d.Form.Endpoint].Name) {
				b.Shapes = append(b.Shapes, d)
			}
		}
	}
	if s.parts = append(s.parts, b); len(s.parts) == mostParts {
		s.parts = []*foresail.Snapshot{foresail.Merge(s.parts...)}
	}
	if !asInterval {
		return
	}
	one := interval{start: p.Start, end: p.End}
	for _, d := range b.Shapes {
		n, ok := s.forms[d.Form.Key()]
		if !ok {
			n = len(s.forms)
			s.forms[d.Form.Key()] = n
		}
		for len(one.requests) <= n {
			one.requests = append(one.requests, 0)
		}
		one.requests[n] += d.Requests
	}
	s.intervals = append(s.intervals, one)
}

// bare is a snapshot's call graphs and nothing else of it.
func bare(s *foresail.Snapshot) *foresail.Snapshot {
	return &foresail.Snapshot{Start: s.Start, End: s.End, Has: s.Has & foresail.SignalShapes, Shapes: s.Shapes}
}

// endpoint is what was observed of one endpoint, all time together.
type endpoint struct {
	id       foresail.EndpointID
	name     string
	requests float64
	pooled   float64
	shapes   []foresail.ShapeStats // the most frequent first
}

// endpoints are those that have requests, those with most first.
func (s *Set) endpoints() []endpoint {
	if len(s.parts) == 0 {
		return nil
	}
	at := map[foresail.EndpointID]int{}
	var out []endpoint
	for _, d := range foresail.Merge(s.parts...).Shapes {
		if !(d.Requests > 0) {
			continue
		}
		id := d.Form.Endpoint
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, endpoint{id: id, name: s.App.Endpoints[id].Name})
		}
		e := &out[i]
		e.requests += d.Requests
		e.pooled += d.Pooled
		e.shapes = append(e.shapes, d)
	}
	for i := range out {
		slices.SortStableFunc(out[i].shapes, func(a, b foresail.ShapeStats) int { return cmp.Compare(b.Requests, a.Requests) })
	}
	slices.SortStableFunc(out, func(a, b endpoint) int { return cmp.Compare(b.requests, a.requests) })
	return out
}
