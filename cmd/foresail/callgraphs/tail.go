package callgraphs

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"foresail.dev"
	"foresail.dev/model/callgraph"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/sketch"
)

// defaultPercentile is where the tail of an endpoint without an objective begins.
const defaultPercentile = 0.95

// Tail is what an endpoint's slowest requests spend their time on, computed from the own times that were observed of each visit.
type Tail struct {
	Percentile float64       `json:"percentile"`            // 0 to 100: the requests beyond it are meant
	At         float64       `json:"at_ms"`                 // that percentile of latency, as computed of own times
	Observed   *float64      `json:"observed_ms,omitempty"` // and as observed
	Mean       float64       `json:"mean_ms"`               // of the requests beyond, computed; the sum of Services' Own
	Services   []TailService `json:"services"`              // those with most first
}

// TailService is what one service adds to the requests beyond a percentile.
type TailService struct {
	Service string  `json:"service"`
	Own     float64 `json:"own_ms"`    // time that such a request waits for this service itself, mean
	All     float64 `json:"all_ms"`    // the same of all requests
	Excess  float64 `json:"excess_ms"` // Own less All
	Part    float64 `json:"part"`      // Own's share of Mean
}

// errOwn is told where own times were not observed.
var errOwn = errors.New("own times were not observed, so that nothing tells who makes the tail")

// tailOf says who makes up the requests of e beyond percentile p, 0 < p < 1. Graphs of which no own time was observed are left out.
func tailOf(app *foresail.App, e *endpoint, observed *sketch.Sketch, p float64) (*Tail, error) {
	var parts []callgraph.Weighted
	for i := range e.shapes {
		d := &e.shapes[i]
		stages, err := stagesOf(d)
		if errors.Is(err, errOwn) {
			continue
		} else if err != nil {
			return nil, err
		}
		g, err := callgraph.NewGraph(d.Form, stages)
		if err != nil {
			return nil, err
		}
		parts = append(parts, callgraph.Weighted{Graph: g, Share: d.Requests})
	}
	if len(parts) == 0 {
		return nil, errOwn
	}
	shares := make([]float64, len(parts))
	for i := range parts {
		shares[i] = parts[i].Share
	}
	if _, err := callgraph.Normalise(shares); err != nil {
		return nil, err
	}
	for i := range parts {
		parts[i].Share = shares[i]
	}
	m, err := callgraph.NewMixture(parts...)
	if err != nil {
		return nil, err
	}
	t, err := m.Tail(p)
	if err != nil {
		return nil, err
	}
	out := &Tail{Percentile: p * 100, At: t.At * 1000, Observed: ms(observed, p), Mean: t.Mean * 1000}
	by := map[foresail.ServiceID]*TailService{}
	for i := range parts {
		for k, v := range parts[i].Graph.Form().Visits {
			s := by[v.Service]
			if s == nil {
				s = &TailService{Service: app.Services[v.Service].Name}
				by[v.Service] = s
			}
			s.Own += t.Own[i][k] * 1000
			s.All += t.All[i][k] * 1000
		}
	}
	for _, s := range by {
		s.Excess = s.Own - s.All
		if t.Mean > 0 {
			s.Part = s.Own / out.Mean
		}
		out.Services = append(out.Services, *s)
	}
	slices.SortFunc(out.Services, func(a, b TailService) int {
		return cmp.Or(cmp.Compare(b.Own, a.Own), cmp.Compare(a.Service, b.Service))
	})
	return out, nil
}

// stagesOf are the distributions of own times by visit. What nobody waits for, and what is below it, takes no time.
func stagesOf(d *foresail.ShapeStats) ([]dist.Stage, error) {
	stages, waited := make([]dist.Stage, len(d.Form.Visits)), make([]bool, len(d.Form.Visits))
	for i, v := range d.Form.Visits {
		waited[i] = !v.Async && (v.Parent < 0 || waited[v.Parent])
		switch {
		case !waited[i]:
			stages[i] = dist.Fixed(0)
		case i >= len(d.Own) || d.Own[i].Count() == 0:
			return nil, errOwn
		default:
			var err error
			if stages[i], err = stageOf(d.Own[i]); err != nil {
				return nil, fmt.Errorf("own time of visit %d: %w", i, err)
			}
		}
	}
	return stages, nil
}

// stageOf is the distribution with a sketch's least value and its first three moments, in which each bucket is taken at its middle.
func stageOf(s *sketch.Sketch) (dist.Stage, error) {
	least, middles := 0.0, 0.0
	middle := func(i int) float64 { return (sketch.UpperBound(i-1) + sketch.UpperBound(i)) / 2 }
	for i, n := range s.Buckets() {
		if least == 0 {
			least = sketch.UpperBound(i - 1)
		}
		middles += n * middle(i)
	}
	if s.Zero() > 0 {
		least = 0
	}
	mean, scale := s.Mean(), 1.0
	if middles > 0 {
		scale = s.Sum() / middles // so that the middles' mean is the one that is known
	}
	variance, third := s.Zero()*mean*mean, -s.Zero()*mean*mean*mean
	for i, n := range s.Buckets() {
		x := scale*middle(i) - mean
		variance += n * x * x
		third += n * x * x * x
	}
	return dist.Moments(min(least, mean), mean, variance/s.Count(), third/s.Count())
}
