package series

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Interval is when a snapshot was observed: (Start, End], in milliseconds since 1970. Samples are at End.
type Interval struct{ Start, End int64 }

// IntervalOf is the interval that a sample of SnapshotSeries completes.
func IntervalOf(t int64, seconds float64) Interval {
	return Interval{Start: t - int64(math.Round(seconds*1000)), End: t}
}

// Window turns samples back into the snapshots of some intervals. Series come in any order; of each the samples from the
// first interval's start to the last one's end, ascending. It is used by one goroutine at a time.
type Window struct {
	app       *foresail.App
	times     []Interval
	torn      []bool // a counter lacks its base
	snapshots []foresail.Snapshot
	services  [][]foresail.ServiceStats // by ServiceID, then as times; nil: nothing was seen
	endpoints [][]foresail.EndpointStats
	replicas  map[replicaKey]*rows[foresail.ReplicaStats]
	nodes     map[string]*rows[foresail.NodeStats]
	edges     map[edgeKey]*rows[foresail.EdgeStats]
	shapes    map[shapeKey]*shapeRows
}

// rows is what was seen of something that comes and goes.
type rows[T any] struct {
	all  []T
	seen []bool
}

func newRows[T any](n int) *rows[T] { return &rows[T]{make([]T, n), make([]bool, n)} }

// NewWindow is for the snapshots of app over times, which must follow each other. What belongs to services and endpoints that app
// does not know is left out.
func NewWindow(app *foresail.App, times []Interval) *Window {
	w := &Window{app: app, times: times, torn: make([]bool, len(times)), snapshots: make([]foresail.Snapshot, len(times)),
		services: make([][]foresail.ServiceStats, len(app.Services)), endpoints: make([][]foresail.EndpointStats, len(app.Endpoints)),
		replicas: map[replicaKey]*rows[foresail.ReplicaStats]{}, nodes: map[string]*rows[foresail.NodeStats]{}, edges: map[edgeKey]*rows[foresail.EdgeStats]{},
		shapes: map[shapeKey]*shapeRows{}}
	for k, t := range times {
		w.snapshots[k].Start, w.snapshots[k].End = time.UnixMilli(t.Start).UTC(), time.UnixMilli(t.End).UTC()
	}
	return w
}

// Column takes the samples of one series.
type Column struct {
	w    *Window
	kind Kind
	at   int // the first interval that ends at the last sample's time, or later

	baseT int64 // of the last sample
	known bool  // there is one
	base  float64
	hist  *histogram.FloatHistogram

	set    func(k int, v float64)
	sketch func(k int, s *sketch.Sketch)
}

// Column is where the samples of a series go; nil: it is none of those that snapshots are made of.
func (w *Window) Column(l labels.Labels) *Column {
	name := l.Get(model.MetricNameLabel)
	p, ok := places[name]
	if !ok || name == SnapshotSeries {
		return nil
	}
	c := &Column{w: w, kind: p.def.Kind}
	switch p.def.Level {
	case Application:
		into(c, &snapshotFields[p.field], func(k int) *foresail.Snapshot { return &w.snapshots[k] })
	case Service:
		id, ok := w.app.ServiceByName(l.Get("service"))
		if !ok {
			return nil
		}
		all := dense(&w.services[id], len(w.times))
		if p.def.Setting {
			c.set = intoSetting(all, p.field, l.Get("setting"))
			break
		}
		into(c, &serviceFields[p.field], func(k int) *foresail.ServiceStats { return &all[k] })
	case Endpoint:
		id, ok := w.app.EndpointByName(l.Get("endpoint"))
		if !ok {
			return nil
		}
		all := dense(&w.endpoints[id], len(w.times))
		into(c, &endpointFields[p.field], func(k int) *foresail.EndpointStats { return &all[k] })
	case Replica:
		id, ok := w.app.ServiceByName(l.Get("service"))
		if !ok {
			return nil
		}
		into(c, &replicaFields[p.field], row(w.replicas, replicaKey{id, l.Get("replica"), l.Get("node")}, len(w.times)))
	case Node:
		into(c, &nodeFields[p.field], row(w.nodes, l.Get("node"), len(w.times)))
	case Edge:
		from, ok := w.app.ServiceByName(l.Get("from"))
		to, ok2 := w.app.ServiceByName(l.Get("to"))
		if !ok || !ok2 {
			return nil
		}
		into(c, &edgeFields[p.field], row(w.edges, edgeKey{from, to}, len(w.times)))
	case Shape, Form, Visit:
		return w.ofShape(c, p, l)
	}
	return c
}

func dense[T any](all *[]T, n int) []T {
	if *all == nil {
		*all = make([]T, n)
	}
	return *all
}

// row finds the rows of a key, and says what is in each interval.
func row[K comparable, T any](m map[K]*rows[T], key K, n int) func(int) *T {
	r := m[key]
	if r == nil {
		r = newRows[T](n)
		m[key] = r
	}
	return func(k int) *T {
		r.seen[k] = true
		return &r.all[k]
	}
}

// into makes a column put values where a field has them.
func into[T any](c *Column, f *field[T], at func(int) *T) {
	if f.hist != nil {
		c.sketch = func(k int, s *sketch.Sketch) { *f.hist(at(k)) = s }
		return
	}
	c.set = func(k int, v float64) { f.set(at(k), c.w.snapshots[k].End, v) }
}

func intoSetting(all []foresail.ServiceStats, which int, name string) func(int, float64) {
	return func(k int, v float64) {
		a := &all[k].Allocation
		if which == 1 {
			a = pending(&all[k])
		}
		if a.Settings == nil {
			a.Settings = map[string]float64{}
		}
		a.Settings[name] = v
	}
}

// Histogram reports whether it takes histograms; else floats.
func (c *Column) Histogram() bool { return c.sketch != nil }

// find is the interval that ends at t.
func (c *Column) find(t int64) (k int, ok bool) {
	for c.at < len(c.w.times) && c.w.times[c.at].End < t {
		c.at++
	}
	return c.at, c.at < len(c.w.times) && c.w.times[c.at].End == t
}

// based reports whether the last sample is the base of interval k, without which it is not known what was gained.
func (c *Column) based(k int) bool {
	if !c.known || c.baseT < c.w.times[k].Start {
		c.w.torn[k] = true
		return false
	}
	return true
}

// Float takes the next sample of a gauge or a counter.
func (c *Column) Float(t int64, v float64) {
	if c.set == nil {
		return
	}
	k, ok := c.find(t)
	if c.kind == Gauge {
		if ok {
			c.set(k, v)
		}
		return
	}
	if ok && c.based(k) {
		gained := v - c.base
		if gained < 0 { // it began anew
			gained = v
		}
		c.set(k, gained)
	}
	c.baseT, c.base, c.known = t, v, true
}

// FloatHistogram takes the next sample of a histogram, which it keeps until the next was taken.
func (c *Column) FloatHistogram(t int64, h *histogram.FloatHistogram) {
	if c.sketch == nil {
		return
	}
	if k, ok := c.find(t); ok && c.based(k) {
		c.sketch(k, Gained(c.hist, h))
	}
	c.baseT, c.hist, c.known = t, h, true
}

// Snapshots are what the samples say, oldest first, replicas and nodes ordered by name. Torn is how many intervals are
// missing since a counter lacks its base, as happens at the edge of what is kept.
func (w *Window) Snapshots() (out []*foresail.Snapshot, torn int) {
	replicas := sorted(w.replicas, func(a, b replicaKey) int {
		return cmp.Or(cmp.Compare(a.service, b.service), cmp.Compare(a.name, b.name), cmp.Compare(a.node, b.node))
	})
	nodes := sorted(w.nodes, cmp.Compare[string])
	edges := sorted(w.edges, func(a, b edgeKey) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to)) })
	shapes := w.forms()
	for k := range w.times {
		if w.torn[k] {
			torn++
			continue
		}
		s := &w.snapshots[k]
		s.Services, s.Endpoints = make([]foresail.ServiceStats, len(w.services)), make([]foresail.EndpointStats, len(w.endpoints))
		for i, all := range w.services {
			if all != nil {
				s.Services[i] = all[k]
			}
		}
		for i, all := range w.endpoints {
			if all != nil {
				s.Endpoints[i] = all[k]
			}
		}
		for _, key := range replicas {
			if r := w.replicas[key]; r.seen[k] {
				r.all[k].Name, r.all[k].Node = key.name, key.node
				s.Services[key.service].Replicas = append(s.Services[key.service].Replicas, r.all[k])
			}
		}
		for _, key := range nodes {
			if r := w.nodes[key]; r.seen[k] {
				r.all[k].Name = key
				s.Nodes = append(s.Nodes, r.all[k])
			}
		}
		for _, key := range edges {
			if r := w.edges[key]; r.seen[k] {
				r.all[k].From, r.all[k].To = key.from, key.to
				s.Edges = append(s.Edges, r.all[k])
			}
		}
		for _, r := range shapes {
			s.Shapes = r.appendTo(s.Shapes, k)
		}
		out = append(out, s)
	}
	return out, torn
}

func sorted[K comparable, T any](m map[K]T, compare func(a, b K) int) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compare)
	return keys
}
