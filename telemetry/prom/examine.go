package prom

import (
	"context"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Report is what there is to read, service by service.
type Report struct {
	App      *foresail.App // as given, or as found
	Scrape   time.Duration // between samples; 0: not known
	Interval time.Duration // of snapshots
	Skew     time.Duration // of the server's clock, ahead of this one
	SkewOff  time.Duration // by how much the skew may be wrong

	Services   []ServiceReport
	Histograms []HistogramReport
	Endpoints  []EndpointReport
	Edges      int
	Unknown    []UnknownReport
	Notes      []string // what went wrong, or is worth knowing
}

// ServiceReport is what there is of one service.
type ServiceReport struct {
	Name     string
	Replicas int
	From     map[Kind][]string // recipes that give what, most trusted first
	Has      foresail.Signals  // observed in the last interval
	Missing  foresail.Signals
}

// HistogramReport says how precise the latencies of one metric are.
type HistogramReport struct {
	Recipe, Metric string
	Native         bool
	Services       int
	Error          float64 // of the 99th percentile, as a share of it, at worst; NaN: nothing was counted; infinite: over the last bucket
}

// EndpointReport is what there is of one endpoint.
type EndpointReport struct {
	Name     string
	Requests float64 // in the last interval
	Seen     bool
	Error    float64 // of the latency that requests are judged by, as a share of the objective: 0 where a bucket ends there; NaN: no objective, or no requests; infinite: over the last bucket
}

// UnknownReport are names that labels hold and the application does not.
type UnknownReport struct {
	Recipe, Metric, Label string
	Names                 []string
}

// Worth are the signals that a report tells to be missing: those that something comes of.
const Worth = foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory | foresail.SignalNetwork |
	foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors | foresail.SignalLatency |
	foresail.SignalAllocation | foresail.SignalDisk | foresail.SignalPressure

// Examine asks what there is, and looks at the last interval.
func Examine(ctx context.Context, cfg Config) (*Report, error) {
	r, err := NewReader(cfg)
	if err != nil {
		return nil, err
	}
	set, p, err := r.explore(ctx)
	if err != nil {
		return nil, err
	}
	out := &Report{App: r.app, Scrape: set.scrape, Interval: r.interval(set), Skew: set.skew, SkewOff: set.trip, Notes: p.notes}
	end := r.cfg.Now().Add(-r.cfg.Lag)
	a, b := &moment{look: set.look(end.Add(-out.Interval))}, &moment{look: set.look(end)}
	r.ask(ctx, a, p)
	r.ask(ctx, b, p)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for _, q := range p.queries {
		if ans := b.answers[q.text]; ans != nil && ans.err != nil {
			out.Notes = append(out.Notes, q.name()+": "+ans.err.Error())
		}
	}
	s := r.between(p, a, b, end.Add(-out.Interval), end)
	for i := range r.app.Services {
		if !r.app.Services[i].Gone {
			out.Services = append(out.Services, r.service(foresail.ServiceID(i), s, p))
		}
	}
	out.Edges = len(s.Edges)
	for i := range r.app.Endpoints {
		e := &r.app.Endpoints[i]
		if !e.Gone {
			out.Endpoints = append(out.Endpoints, EndpointReport{Name: e.Name, Requests: s.Endpoints[i].Requests,
				Seen: s.Has.Has(foresail.SignalEndpoints) && s.Endpoints[i].Requests > 0, Error: r.near(p, b, e)})
		}
	}
	for _, f := range p.found {
		if f.kind.histogram() && !f.kind.edge() {
			out.Histograms = append(out.Histograms, HistogramReport{Recipe: f.recipe, Metric: f.name(), Native: f.form == native,
				Services: len(f.serves), Error: r.tail(f, p, b)})
		}
		if len(f.other) > 0 {
			out.Unknown = append(out.Unknown, UnknownReport{Recipe: f.recipe, Metric: f.name(), Label: f.label, Names: f.other})
		}
	}
	return out, nil
}

// service is what there is of one.
func (r *Reader) service(id foresail.ServiceID, s *foresail.Snapshot, p *plan) ServiceReport {
	svc := &s.Services[id]
	out := ServiceReport{Name: r.app.Services[id].Name, Replicas: len(svc.Replicas), From: map[Kind][]string{}, Has: svc.Has}
	if out.Replicas == 0 {
		out.Replicas = max(svc.Ready, svc.Allocation.Replicas)
	}
	for _, f := range p.found {
		if _, ok := f.serves[id]; ok && !slices.Contains(out.From[f.kind], f.recipe) {
			out.From[f.kind] = append(out.From[f.kind], f.recipe)
		}
	}
	out.Missing = Worth &^ svc.Has
	return out
}

// Giver names the recipes that give a signal of a service; empty: none does.
func (s *ServiceReport) Giver(signal foresail.Signals) string {
	var names []string
	for k := Kind(1); k < kindEnd; k++ {
		if kinds[k].signals&signal == 0 {
			continue
		}
		for _, n := range s.From[k] {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return strings.Join(names, "+")
}

// tail is the worst error of the 99th percentile of the services of a histogram.
func (r *Reader) tail(f *found, p *plan, m *moment) float64 {
	worst := math.NaN()
	for _, q := range p.queries {
		if q.found != f || m.answers[q.text] == nil {
			continue
		}
		for _, v := range m.answers[q.text].samples {
			if v.hist == nil || v.hist.count == 0 || v.failed {
				continue
			}
			var s sketch.Sketch
			v.hist.addTo(&s, 1)
			if e := v.hist.error(s.Quantile(0.99)); !(e <= worst) {
				worst = e
			}
		}
	}
	return worst
}

// near is by how much latencies about an endpoint's objective may be off.
func (r *Reader) near(p *plan, m *moment, e *foresail.Endpoint) float64 {
	worst := math.NaN()
	if e.Objective == nil {
		return worst
	}
	for _, q := range p.queries {
		if q.operation == nil || m.answers[q.text] == nil {
			continue
		}
		for _, v := range m.answers[q.text].samples {
			if v.hist == nil || v.failed || v.service != e.Entry || !silent(v.operation) && !means(v.operation, e.Operation) {
				continue
			}
			x := 0.0 // a bucket ends there
			if at := e.Objective.Latency.Seconds() / q.spell.scale; !v.hist.ends(at) {
				x = v.hist.error(at)
			}
			if !(x <= worst) {
				worst = x
			}
		}
	}
	return worst
}
