package source

import (
	"cmp"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/shapes"
)

// Summary is what outside data tells of an application.
type Summary struct {
	Spans      int
	Traces     int
	ManyTraces bool      // there are at least so many
	Inferred   int       // spans that had no kind
	Snapshots  int       // of metrics
	Start, End time.Time // of the earliest and the latest span or metric
	Faults     Faults
	Notes      []string
	Assembler  telemetry.Stats // what became of the spans
	Windows    telemetry.Stats // and of those in snapshots
	Shapes     shapes.Stats    // and of their traces

	app      *foresail.App      // what spans showed
	snapshot *foresail.Snapshot // all requests, as one interval
	spans    map[string]int     // by service
	metrics  map[string]*metrics
	order    []string // of metrics' services
	edges    [][2]string
}

// metrics are sums over the snapshots of one service.
type metrics struct {
	has                 foresail.Signals
	calls, errors       float64
	latency             *sketch.Sketch
	cpu, cpuOver        float64 // core-seconds, seconds
	memory, ready       float64 // sums over n snapshots
	memoryN, readyN     float64
	meanCalls, meanSum  float64
	requests, endErrors float64 // of its endpoint
	endLatency          *sketch.Sketch
	endpoint            string
}

// Row is one line of a summary: a service, an edge or an endpoint, as Kind says. Numbers that don't apply, or that the
// source does not give, are absent.
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
	Replicas  *float64 `json:"replicas_mean,omitempty"`
	Cores     *float64 `json:"cores_used_mean,omitempty"`
	Memory    *float64 `json:"memory_mean_bytes,omitempty"`
}

func (s *Summary) extend(start, end time.Time) {
	if s.Start.IsZero() || start.Before(s.Start) {
		s.Start = start
	}
	if end.After(s.End) {
		s.End = end
	}
}

func (s *Summary) metric(service string) *metrics {
	m := s.metrics[service]
	if m == nil {
		m = &metrics{}
		s.metrics[service] = m
		s.order = append(s.order, service)
	}
	return m
}

func (s *Summary) addMetrics(app *foresail.App, snap *foresail.Snapshot) {
	for i := range snap.Services {
		st := &snap.Services[i]
		if st.Has == 0 {
			continue
		}
		m := s.metric(app.Services[i].Name)
		m.has |= st.Has
		m.calls += st.Completions
		m.errors += st.Errors
		m.latency = joined(m.latency, st.Latency)
		if st.Has.Has(foresail.SignalCPU) {
			m.cpu += st.CPU
			m.cpuOver += snap.Duration().Seconds()
		}
		if st.Has.Has(foresail.SignalMemory) {
			m.memory += float64(st.Memory)
			m.memoryN++
		}
		if st.Has.Has(foresail.SignalReady) {
			m.ready += float64(st.Ready)
			m.readyN++
		}
	}
	for i := range snap.Endpoints {
		e := &snap.Endpoints[i]
		if !snap.Has.Has(foresail.SignalEndpoints) || e.Requests == 0 {
			continue
		}
		m := s.metric(app.Services[app.Endpoints[i].Entry].Name)
		m.endpoint = app.Endpoints[i].Name
		m.requests += e.Requests
		m.endErrors += e.Errors
		m.endLatency = joined(m.endLatency, e.Latency)
	}
}

func joined(dst, src *sketch.Sketch) *sketch.Sketch {
	if src == nil {
		return dst
	}
	if dst == nil {
		dst = sketch.New()
	}
	dst.Merge(src)
	return dst
}

// Rows are the services, edges and endpoints, in this order. Where spans and metrics both tell something, spans count.
func (s *Summary) Rows() []Row {
	var rows []Row
	for i := range s.app.Services {
		st, name := &s.snapshot.Services[i], s.app.Services[i].Name
		spans := s.spans[name]
		r := Row{Kind: "service", Service: name, Spans: &spans, Calls: &st.Completions, Errors: &st.Errors}
		r.latency(st.Latency)
		if m := s.metrics[name]; m != nil {
			m.resources(&r)
		}
		rows = append(rows, r)
	}
	for _, name := range s.order {
		if _, known := s.app.ServiceByName(name); !known {
			rows = append(rows, s.metrics[name].row(name))
		}
	}
	rows = append(rows, s.edgeRows()...)
	for i := range s.app.Endpoints {
		e, st := &s.app.Endpoints[i], &s.snapshot.Endpoints[i]
		r := Row{Kind: "endpoint", Endpoint: e.Name, Service: s.app.Services[e.Entry].Name, Operation: e.Operation, Requests: &st.Requests, Errors: &st.Errors}
		r.latency(st.Latency)
		rows = append(rows, r)
	}
	for _, name := range s.order {
		if m := s.metrics[name]; m.endpoint != "" && len(s.app.Endpoints) == 0 {
			r := Row{Kind: "endpoint", Endpoint: m.endpoint, Service: name, Requests: &m.requests, Errors: &m.endErrors}
			r.latency(m.endLatency)
			rows = append(rows, r)
		}
	}
	return rows
}

func (s *Summary) edgeRows() []Row {
	var rows []Row
	seen := map[[2]string]bool{}
	for i := range s.snapshot.Edges {
		e := &s.snapshot.Edges[i]
		r := Row{Kind: "edge", From: s.app.Services[e.From].Name, To: s.app.Services[e.To].Name, Calls: &e.Calls, Errors: &e.Errors}
		r.latency(e.Latency)
		seen[[2]string{r.From, r.To}] = true
		rows = append(rows, r)
	}
	told := slices.Clone(s.edges)
	slices.SortFunc(told, func(a, b [2]string) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	for _, e := range slices.Compact(told) {
		if !seen[e] {
			rows = append(rows, Row{Kind: "edge", From: e[0], To: e[1]})
		}
	}
	return rows
}

func (r *Row) latency(s *sketch.Sketch) {
	r.Mean, r.P50, r.P99 = ms(s.Mean()), ms(s.Quantile(0.5)), ms(s.Quantile(0.99))
}

// row is a service that only metrics tell of.
func (m *metrics) row(name string) Row {
	r := Row{Kind: "service", Service: name}
	if m.has.Has(foresail.SignalCompletions) {
		r.Calls = &m.calls
	}
	if m.has.Has(foresail.SignalErrors) {
		r.Errors = &m.errors
	}
	r.latency(m.latency)
	if r.Mean == nil && m.meanCalls > 0 {
		r.Mean = ms(m.meanSum / m.meanCalls)
	}
	m.resources(&r)
	return r
}

func (m *metrics) resources(r *Row) {
	r.Cores, r.Memory, r.Replicas = ratio(m.cpu, m.cpuOver), ratio(m.memory, m.memoryN), ratio(m.ready, m.readyN)
}

func ratio(a, b float64) *float64 {
	if b <= 0 {
		return nil
	}
	v := a / b
	return &v
}

// ms is seconds in milliseconds; nil where there are none.
func ms(seconds float64) *float64 {
	v := seconds * 1000
	if math.IsNaN(v) {
		return nil
	}
	return &v
}
