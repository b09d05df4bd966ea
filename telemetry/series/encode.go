package series

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Series is one time series that an encoder writes.
type Series struct {
	*Def
	Labels labels.Labels // the name among them, sorted
	// Ref is for whoever stores the samples: it stays what was put there for as long as the encoder knows the series.
	Ref uint64
}

// Sample is a value of a series at a moment.
type Sample struct {
	*Series
	T         int64                     // milliseconds since 1970
	V         float64                   // unless H is set
	H         *histogram.FloatHistogram // of a native histogram; nobody else holds it
	Base      bool                      // what a counter had reached before the interval, so that a reader sees what it gained
	Completes bool                      // the last of its snapshot: without it the others don't count
}

// Errors of Encode.
var (
	ErrLate     = errors.New("the snapshot carries late additions: apply them to the snapshots that they belong to first")
	ErrInterval = errors.New("an interval must be at least 2 ms long")
)

// Encoder turns snapshots that follow each other into samples. Its counters begin at zero. It is used by one goroutine at
// a time.
type Encoder struct {
	app       *foresail.App
	snapshot  *entity
	services  []*entity
	endpoints []*entity
	replicas  map[replicaKey]*entity
	nodes     map[string]*entity
	edges     map[edgeKey]*entity
	shapes    map[string]*shapeSeries // by Form.Key
	swept     int64

	// Of the snapshot being encoded.
	start, end int64
	out        []Sample
	err        error
}

type replicaKey struct {
	service    foresail.ServiceID
	name, node string
}

type edgeKey struct{ from, to foresail.ServiceID }

// entity is the series of one service, replica, node, endpoint or edge.
type entity struct {
	labels   []labels.Label
	fields   []*state
	settings [2]map[string]*state // as settingDefs
	seen     int64
}

// state is a series and what its counter has reached.
type state struct {
	Series
	at     int64 // time of the last sample
	known  bool  // there is one
	total  float64
	sketch *sketch.Sketch
}

// NewEncoder returns one whose counters are zero.
func NewEncoder() *Encoder { return &Encoder{} }

// Reset makes counters begin at zero again: for when samples that it returned were lost.
func (e *Encoder) Reset() { *e = Encoder{out: e.out[:0]} }

// idle is how long a replica, a node or an edge may be silent before its counters are forgotten; they then begin anew.
const idle = int64(10 * time.Minute / time.Millisecond)

// Encode returns the samples of the next snapshot of app, in the order in which they must be written: bases before
// what follows them, the one that completes the snapshot last. The slice is the encoder's own until the next call. On an
// error nothing may be written, and counters begin anew.
func (e *Encoder) Encode(app *foresail.App, s *foresail.Snapshot) ([]Sample, error) {
	if e.app == nil || e.app.Name != app.Name {
		e.Reset()
		e.snapshot = newEntity(app, len(snapshotFields))
		e.replicas, e.nodes, e.edges = map[replicaKey]*entity{}, map[string]*entity{}, map[edgeKey]*entity{}
		e.shapes = map[string]*shapeSeries{}
	}
	e.app, e.start, e.end, e.out, e.err = app, s.Start.UnixMilli(), s.End.UnixMilli(), e.out[:0], nil
	if err := fits(app, s, e.end-e.start); err != nil {
		return nil, err
	}
	e.encodeServices(s)
	for i := range s.Nodes {
		n := &s.Nodes[i]
		encode(e, find(e.nodes, n.Name, func() *entity { return newEntity(app, len(nodeFields), "node", n.Name) }), nodeFields, n)
	}
	if s.Has.Has(foresail.SignalEndpoints) {
		for i := range s.Endpoints {
			if app.Endpoints[i].Gone && s.Endpoints[i] == (foresail.EndpointStats{}) {
				continue
			}
			for len(e.endpoints) <= i {
				e.endpoints = append(e.endpoints, newEntity(app, len(endpointFields), "endpoint", app.Endpoints[len(e.endpoints)].Name))
			}
			encode(e, e.endpoints[i], endpointFields, &s.Endpoints[i])
		}
	}
	for i := range s.Edges {
		d := &s.Edges[i]
		encode(e, find(e.edges, edgeKey{d.From, d.To}, func() *entity {
			return newEntity(app, len(edgeFields), "from", app.Services[d.From].Name, "to", app.Services[d.To].Name)
		}), edgeFields, d)
	}
	e.encodeShapes(s)
	encode(e, e.snapshot, snapshotFields, s)
	e.write(e.snapshot, 0, &snapshotFields[0].Def, s.Duration().Seconds())
	e.out[len(e.out)-1].Completes = true
	e.sweep()
	if e.err != nil {
		err := e.err
		e.Reset()
		return nil, err
	}
	return e.out, nil
}

// fits says why a snapshot can't be of an application.
func fits(app *foresail.App, s *foresail.Snapshot, ms int64) error {
	outside := func(id foresail.ServiceID) bool { return id < 0 || int(id) >= len(app.Services) }
	switch {
	case len(s.Late) > 0:
		return ErrLate
	case ms < 2:
		return fmt.Errorf("%s to %s: %w", s.Start, s.End, ErrInterval)
	case len(s.Services) > len(app.Services):
		return fmt.Errorf("a snapshot of %d services, of an application of %d", len(s.Services), len(app.Services))
	case len(s.Endpoints) > len(app.Endpoints):
		return fmt.Errorf("a snapshot of %d endpoints, of an application of %d", len(s.Endpoints), len(app.Endpoints))
	}
	for i := range s.Edges {
		if outside(s.Edges[i].From) || outside(s.Edges[i].To) {
			return fmt.Errorf("a call from service %d to %d, of an application of %d", s.Edges[i].From, s.Edges[i].To, len(app.Services))
		}
	}
	return shapesFit(app, s)
}

func (e *Encoder) encodeServices(s *foresail.Snapshot) {
	for i := range s.Services {
		svc, name := &s.Services[i], e.app.Services[i].Name
		for len(e.services) <= i {
			e.services = append(e.services, newEntity(e.app, len(serviceFields), "service", e.app.Services[len(e.services)].Name))
		}
		at := e.services[i]
		encode(e, at, serviceFields, svc)
		if allocated(svc) {
			e.writeSettings(at, 0, svc.Allocation.Settings)
		}
		if isPending(svc) {
			e.writeSettings(at, 1, svc.Pending.Settings)
		}
		for j := range svc.Replicas {
			r := &svc.Replicas[j]
			encode(e, find(e.replicas, replicaKey{foresail.ServiceID(i), r.Name, r.Node}, func() *entity {
				return newEntity(e.app, len(replicaFields), "node", r.Node, "replica", r.Name, "service", name)
			}), replicaFields, r)
		}
	}
}

func find[K comparable](m map[K]*entity, k K, build func() *entity) *entity {
	e := m[k]
	if e == nil {
		e = build()
		m[k] = e
	}
	return e
}

// newEntity has the labels that are given as name and value, and the application's.
func newEntity(app *foresail.App, fields int, pairs ...string) *entity {
	e := &entity{fields: make([]*state, fields), labels: []labels.Label{{Name: "application", Value: Text(app.Name)}}}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			e.labels = append(e.labels, labels.Label{Name: pairs[i], Value: Text(pairs[i+1])})
		}
	}
	return e
}

// Text is a label's value: what Prometheus takes is valid UTF-8.
func Text(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func newState(d *Def, base []labels.Label, more ...labels.Label) *state {
	all := append(slices.Clone(base), more...)
	all = append(all, labels.Label{Name: model.MetricNameLabel, Value: d.Name})
	slices.SortFunc(all, func(a, b labels.Label) int { return cmp.Compare(a.Name, b.Name) })
	return &state{Series: Series{Def: d, Labels: labels.New(all...)}}
}

// encode writes what was observed of v.
func encode[T any](e *Encoder, at *entity, fields []field[T], v *T) {
	at.seen = e.end
	end := time.UnixMilli(e.end).UTC()
	for i := range fields {
		f := &fields[i]
		switch {
		case f.has == nil || !f.has(v):
		case f.hist != nil:
			e.writeSketch(at, i, &f.Def, *f.hist(v))
		default:
			e.write(at, i, &f.Def, f.get(v, end))
		}
	}
}

func (e *Encoder) state(at *entity, i int, d *Def) *state {
	if at.fields[i] == nil {
		at.fields[i] = newState(d, at.labels)
	}
	return at.fields[i]
}

// write adds the sample of a gauge, or of a counter that gained v.
func (e *Encoder) write(at *entity, i int, d *Def, v float64) {
	st := e.state(at, i, d)
	if math.IsNaN(v) || math.IsInf(v, 0) || d.Kind == Counter && v < 0 {
		e.err = cmp.Or(e.err, fmt.Errorf("%s is %v", st.Labels, v))
		return
	}
	if d.Kind == Counter {
		if t, missing := e.base(st); missing {
			e.out = append(e.out, Sample{Series: &st.Series, T: t, V: st.total, Base: true})
		}
		st.total += v
		v = st.total
	}
	e.out = append(e.out, Sample{Series: &st.Series, T: e.end, V: v})
	st.at, st.known = e.end, true
}

// writeSketch adds the sample of a histogram that gained s.
func (e *Encoder) writeSketch(at *entity, i int, d *Def, s *sketch.Sketch) {
	st := e.state(at, i, d)
	if st.sketch == nil {
		st.sketch = sketch.New()
	}
	if t, missing := e.base(st); missing {
		e.out = append(e.out, Sample{Series: &st.Series, T: t, H: Histogram(st.sketch), Base: true})
	}
	st.sketch.Merge(s)
	e.out = append(e.out, Sample{Series: &st.Series, T: e.end, H: Histogram(st.sketch)})
	st.at, st.known = e.end, true
}

// base tells when a counter's base belongs, unless the sample at the interval's start is there: one millisecond into the
// interval, where it is taken for nothing else.
func (e *Encoder) base(st *state) (t int64, missing bool) {
	return e.start + 1, !st.known || st.at != e.start
}

func (e *Encoder) writeSettings(at *entity, which int, settings map[string]float64) {
	for _, k := range slices.Sorted(maps.Keys(settings)) {
		v := settings[k]
		st := at.settings[which][k]
		if st == nil {
			if at.settings[which] == nil {
				at.settings[which] = map[string]*state{}
			}
			st = newState(&settingDefs[which], at.labels, labels.Label{Name: "setting", Value: Text(k)})
			at.settings[which][k] = st
		}
		if math.IsNaN(v) || math.IsInf(v, 0) {
			e.err = cmp.Or(e.err, fmt.Errorf("%s is %v", st.Labels, v))
			continue
		}
		e.out = append(e.out, Sample{Series: &st.Series, T: e.end, V: v})
	}
}

// sweep forgets what has been silent for long, now and then.
func (e *Encoder) sweep() {
	if e.end-e.swept < idle/10 {
		return
	}
	e.swept = e.end
	old := func(at *entity) bool { return e.end-at.seen > idle }
	maps.DeleteFunc(e.replicas, func(_ replicaKey, at *entity) bool { return old(at) })
	maps.DeleteFunc(e.nodes, func(_ string, at *entity) bool { return old(at) })
	maps.DeleteFunc(e.edges, func(_ edgeKey, at *entity) bool { return old(at) })
	maps.DeleteFunc(e.shapes, func(_ string, at *shapeSeries) bool { return old(at.shape) })
}
