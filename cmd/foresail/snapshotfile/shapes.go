package snapshotfile

import (
	"cmp"
	"fmt"
	"slices"

	"foresail.dev"
	"foresail.dev/sketch"
)

type (
	// shapeLine is what was observed of one form of an endpoint's requests.
	shapeLine struct {
		Shape    string      `json:"shape"` // Form.ID
		Endpoint string      `json:"endpoint"`
		Requests float64     `json:"requests"`
		Pooled   float64     `json:"pooled,omitempty"`
		Latency  *histogram  `json:"latency,omitempty"`
		Visits   []visitLine `json:"visits"`
	}
	visitLine struct {
		foresail.NamedVisit
		Own *histogram `json:"own,omitempty"`
	}
)

func shapesOf(app *foresail.App, s *foresail.Snapshot) []shapeLine {
	if !s.Has.Has(foresail.SignalShapes) {
		return nil
	}
	out := []shapeLine{}
	for i := range s.Shapes {
		d := &s.Shapes[i]
		l := shapeLine{Shape: d.Form.ID(app), Endpoint: app.Endpoints[d.Form.Endpoint].Name, Requests: d.Requests, Pooled: d.Pooled, Latency: histogramOf(d.Latency)}
		for k, v := range d.Form.Named(app) {
			one := visitLine{NamedVisit: v}
			if k < len(d.Own) {
				one.Own = histogramOf(d.Own[k])
			}
			l.Visits = append(l.Visits, one)
		}
		out = append(out, l)
	}
	return out
}

// readShapes puts the call graphs of a line into a snapshot.
func (l *Line) readShapes(app *foresail.App, s *foresail.Snapshot) error {
	if l.Shapes == nil {
		return nil
	}
	s.Has |= foresail.SignalShapes
	for i := range l.Shapes {
		in := &l.Shapes[i]
		visits := make([]foresail.NamedVisit, len(in.Visits))
		for k := range in.Visits {
			visits[k] = in.Visits[k].NamedVisit
		}
		f, from, err := foresail.FormOf(app, in.Endpoint, visits)
		if err != nil {
			return fmt.Errorf("shape %d: %w", i+1, err)
		}
		if !(in.Requests >= 0 && in.Requests < most && in.Pooled >= 0 && in.Pooled <= in.Requests) {
			return fmt.Errorf("shape %d: %v requests, %v of them pooled", i+1, in.Requests, in.Pooled)
		}
		st := foresail.ShapeStats{Form: f, Requests: in.Requests, Pooled: in.Pooled, Own: make([]*sketch.Sketch, len(from))}
		if st.Latency, err = in.Latency.sketch(); err != nil {
			return fmt.Errorf("shape %d: latency: %w", i+1, err)
		}
		for k, n := range from {
			if st.Own[k], err = in.Visits[n].Own.sketch(); err != nil {
				return fmt.Errorf("shape %d: visit %d: %w", i+1, n, err)
			}
		}
		s.Shapes = append(s.Shapes, st)
	}
	slices.SortFunc(s.Shapes, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
	for i := 1; i < len(s.Shapes); i++ {
		if s.Shapes[i].Form.Key() == s.Shapes[i-1].Form.Key() {
			return fmt.Errorf("the shape %s is there twice", s.Shapes[i].Form.Path(app, false))
		}
	}
	return nil
}

// sketch is the inverse of histogramOf; nil of nil.
func (h *histogram) sketch() (*sketch.Sketch, error) {
	if h == nil {
		return nil, nil
	}
	if !(h.Sum >= 0 && h.Sum < most && h.Zero >= 0 && h.Zero < most) {
		return nil, fmt.Errorf("sum_seconds is %v, zero %v", h.Sum, h.Zero)
	}
	s := sketch.New()
	s.AddN(0, h.Zero)
	sum := h.Sum
	for _, b := range h.Buckets {
		if i := int(b[0]); float64(i) != b[0] || i < -1<<10 || i > 1<<10 || !(b[1] >= 0 && b[1] < most) {
			return nil, fmt.Errorf("bucket %v holds %v", b[0], b[1])
		} else if b[1] > 0 {
			s.AddBucket(i, b[1], sum) // the whole sum with the first: a sketch keeps it for all
			sum = 0
		}
	}
	return s, nil
}
