package series

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev"
	"foresail.dev/sketch"
)

// A form is written once, as a label of a series of its own, and what was observed of it under its short name. All of it is
// bookkeeping: whoever draws call graphs reads snapshots.

var shapeFields = []field[foresail.ShapeStats]{
	ofShapes(exact(func(s *foresail.ShapeStats) *float64 { return &s.Requests }).named(Shape, "requests_total", "", "Requests, pooled ones included", Counter, always)),
	ofShapes(exact(func(s *foresail.ShapeStats) *float64 { return &s.Pooled }).named(Shape, "pooled_requests_total", "", "Requests of a form too rare to be told by itself, of which this is the nearest", Counter,
		func(s *foresail.ShapeStats) bool { return s.Pooled > 0 })),
	ofShapes(latency(func(s *foresail.ShapeStats) **sketch.Sketch { return &s.Latency }).named(Shape, "latency_seconds", "seconds", "Latency of requests that did not fail", NativeHistogram,
		func(s *foresail.ShapeStats) bool { return s.Latency.Count() > 0 })),
}

var formFields = []field[foresail.ShapeStats]{
	ofShapes(field[foresail.ShapeStats]{
		get: func(*foresail.ShapeStats, time.Time) float64 { return 1 },
		set: func(*foresail.ShapeStats, time.Time, float64) {}, // the label is what is told
	}.named(Form, "info", "", "1; the label form says what is called, what waits for what, and what goes on side by side", Gauge, always)),
}

var visitFields = []field[*sketch.Sketch]{
	ofShapes(latency(func(s **sketch.Sketch) **sketch.Sketch { return s }).named(Visit, "own_seconds", "seconds", "Time that one visit takes by itself, less the waits for what it calls", NativeHistogram,
		func(s **sketch.Sketch) bool { return (*s).Count() > 0 })),
}

func ofShapes[T any](f field[T]) field[T] {
	f.Bookkeeping = true
	return f
}

// shapeSeries are the series of one form.
type shapeSeries struct {
	shape, form *entity
	visits      []*entity
}

func newShapeSeries(app *foresail.App, f *foresail.Form) (*shapeSeries, error) {
	form, err := json.Marshal(f.Named(app))
	if err != nil {
		return nil, err
	}
	pairs := []string{"endpoint", app.Endpoints[f.Endpoint].Name, "shape", f.ID(app)}
	out := &shapeSeries{shape: newEntity(app, len(shapeFields), pairs...), visits: make([]*entity, len(f.Visits)),
		form: newEntity(app, len(formFields), append(slices.Clone(pairs), "form", string(form))...)}
	for i := range f.Visits {
		out.visits[i] = newEntity(app, len(visitFields), append(slices.Clone(pairs), "visit", strconv.Itoa(i))...)
	}
	return out, nil
}

// encodeShapes writes what was observed of forms.
func (e *Encoder) encodeShapes(s *foresail.Snapshot) {
	for i := range s.Shapes {
		d := &s.Shapes[i]
		at := e.shapes[d.Form.Key()]
		if at == nil {
			var err error
			if at, err = newShapeSeries(e.app, d.Form); err != nil {
				e.err = cmp.Or(e.err, err)
				continue
			}
			e.shapes[d.Form.Key()] = at
		}
		encode(e, at.shape, shapeFields, d)
		encode(e, at.form, formFields, d)
		for k := range min(len(d.Own), len(at.visits)) {
			encode(e, at.visits[k], visitFields, &d.Own[k])
		}
	}
}

// shapesFit says why forms can't be of an application.
func shapesFit(app *foresail.App, s *foresail.Snapshot) error {
	for i := range s.Shapes {
		f := s.Shapes[i].Form
		if f == nil || int(f.Endpoint) >= len(app.Endpoints) || f.Endpoint < 0 {
			return fmt.Errorf("a call graph of an endpoint that is none of the %d of the application", len(app.Endpoints))
		}
		for _, v := range f.Visits {
			if int(v.Service) >= len(app.Services) {
				return fmt.Errorf("a call graph that visits service %d, of an application of %d", v.Service, len(app.Services))
			}
		}
	}
	return nil
}

type shapeKey struct{ endpoint, id string }

// shapeRows are what was seen of a form, whose series come in any order.
type shapeRows struct {
	rows[foresail.ShapeStats]
	form *foresail.Form // nil: its series did not come, or it is none of the application's
	from []int          // which of the visits that were written each of the form's is
	own  map[int][]*sketch.Sketch
}

// ofShape is where the samples of a series of a form go.
func (w *Window) ofShape(c *Column, p place, l labels.Labels) *Column {
	key := shapeKey{l.Get("endpoint"), l.Get("shape")}
	r := w.shapes[key]
	if r == nil {
		r = &shapeRows{rows: *newRows[foresail.ShapeStats](len(w.times)), own: map[int][]*sketch.Sketch{}}
		w.shapes[key] = r
	}
	at := func(k int) *foresail.ShapeStats { return &r.all[k] }
	switch p.def.Level {
	case Shape:
		into(c, &shapeFields[p.field], func(k int) *foresail.ShapeStats {
			r.seen[k] = true
			return at(k)
		})
	case Form:
		var visits []foresail.NamedVisit
		if json.Unmarshal([]byte(l.Get("form")), &visits) != nil {
			return nil
		}
		f, from, err := foresail.FormOf(w.app, key.endpoint, visits)
		if err != nil {
			return nil
		}
		r.form, r.from = f, from
		into(c, &formFields[p.field], at)
	case Visit:
		n, err := strconv.Atoi(l.Get("visit"))
		if err != nil {
			return nil
		}
		own := r.own[n]
		if own == nil {
			own = make([]*sketch.Sketch, len(w.times))
			r.own[n] = own
		}
		into(c, &visitFields[p.field], func(k int) **sketch.Sketch { return &own[k] })
	}
	return c
}

// forms are those that are known, in the order in which snapshots have them; of two series of one form the first counts.
func (w *Window) forms() []*shapeRows {
	var out []*shapeRows
	for _, key := range sorted(w.shapes, func(a, b shapeKey) int { return cmp.Or(cmp.Compare(a.endpoint, b.endpoint), cmp.Compare(a.id, b.id)) }) {
		if r := w.shapes[key]; r.form != nil {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b *shapeRows) int { return cmp.Compare(a.form.Key(), b.form.Key()) })
	return slices.CompactFunc(out, func(a, b *shapeRows) bool { return a.form.Key() == b.form.Key() })
}

// appendTo appends what was seen in interval k.
func (r *shapeRows) appendTo(out []foresail.ShapeStats, k int) []foresail.ShapeStats {
	if !r.seen[k] {
		return out
	}
	s := r.all[k]
	s.Form, s.Own = r.form, make([]*sketch.Sketch, len(r.form.Visits))
	for i, n := range r.from {
		if own := r.own[n]; own != nil {
			s.Own[i] = own[k]
		}
	}
	return append(out, s)
}

// WithoutShapes is s without its call graphs, for whoever has no use for their series. It shares all else with s.
func WithoutShapes(s *foresail.Snapshot) *foresail.Snapshot {
	if !s.Has.Has(foresail.SignalShapes) && len(s.Shapes) == 0 {
		return s
	}
	out := *s
	out.Shapes, out.Has = nil, s.Has&^foresail.SignalShapes
	return &out
}
