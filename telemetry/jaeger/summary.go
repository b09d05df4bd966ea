package jaeger

import (
	"io"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
)

// Summary is what a file of traces tells of an application.
type Summary struct {
	Stats
	Start, End time.Time          // of the earliest and the latest span
	App        *foresail.App      // the services and endpoints that were discovered; without bounds or objectives
	Snapshot   *foresail.Snapshot // all requests, as one interval
	Assembler  telemetry.Stats    // what became of the spans
	services   map[string]int     // spans by service
}

// Row is one line of a summary: a service, an edge or an endpoint, as Kind says. Numbers that don't apply are absent.
type Row struct {
	Kind      string   `json:"kind"` // "service", "edge" or "endpoint"
	Service   string   `json:"service,omitempty"`
	From      string   `json:"from,omitempty"`
	To        string   `json:"to,omitempty"`
	Endpoint  string   `json:"endpoint,omitempty"`
	Operation string   `json:"operation,omitempty"`
	Spans     *int     `json:"spans,omitempty"`    // of a service
	Calls     *float64 `json:"calls,omitempty"`    // requests a service received, or an edge carried
	Requests  *float64 `json:"requests,omitempty"` // of an endpoint
	Errors    *float64 `json:"errors,omitempty"`
	Mean      *float64 `json:"mean_ms,omitempty"` // of those that did not fail, exact; the percentiles are of a sketch, at most 4.4 % off
	P50       *float64 `json:"p50_ms,omitempty"`
	P99       *float64 `json:"p99_ms,omitempty"`
}

// Summarize reads a Jaeger export and counts its services, calls and endpoints.
func Summarize(r io.Reader) (*Summary, error) {
	a := telemetry.NewAssembler(&foresail.App{}, telemetry.Options{Whole: true, Discover: true})
	s := &Summary{services: map[string]int{}}
	var err error
	s.Stats, err = Read(r, func(spans []foresail.Span) error {
		for i := range spans {
			sp := &spans[i]
			if s.Start.IsZero() || sp.Start.Before(s.Start) {
				s.Start = sp.Start
			}
			if sp.End.After(s.End) {
				s.End = sp.End
			}
			s.services[sp.Service]++
		}
		a.Add(spans)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.Snapshot, s.App, s.Assembler = a.Cut(s.End), a.App(), a.Stats()
	return s, nil
}

// Rows are the services, edges and endpoints, in this order.
func (s *Summary) Rows() []Row {
	var rows []Row
	for i := range s.App.Services {
		st, name := &s.Snapshot.Services[i], s.App.Services[i].Name
		spans := s.services[name]
		rows = append(rows, Row{Kind: "service", Service: name, Spans: &spans, Calls: &st.Completions, Errors: &st.Errors,
			Mean: mean(st.Latency), P50: ms(st.Latency, 0.5), P99: ms(st.Latency, 0.99)})
	}
	for i := range s.Snapshot.Edges {
		e := &s.Snapshot.Edges[i]
		rows = append(rows, Row{Kind: "edge", From: s.App.Services[e.From].Name, To: s.App.Services[e.To].Name, Calls: &e.Calls,
			Errors: &e.Errors, Mean: mean(e.Latency), P50: ms(e.Latency, 0.5), P99: ms(e.Latency, 0.99)})
	}
	for i := range s.App.Endpoints {
		e, st := &s.App.Endpoints[i], &s.Snapshot.Endpoints[i]
		rows = append(rows, Row{Kind: "endpoint", Endpoint: e.Name, Service: s.App.Services[e.Entry].Name, Operation: e.Operation,
			Requests: &st.Requests, Errors: &st.Errors, Mean: mean(st.Latency), P50: ms(st.Latency, 0.5), P99: ms(st.Latency, 0.99)})
	}
	return rows
}

// ms is a quantile in milliseconds; nil where there is none.
func ms(s *sketch.Sketch, q float64) *float64 {
	v := s.Quantile(q) * 1000
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

// mean is the mean in milliseconds; nil where there is none.
func mean(s *sketch.Sketch) *float64 {
	v := s.Mean() * 1000
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
