package otlp

import (
	"fmt"
	"math"
	"strings"

	"foresail.dev"
	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// Metrics are few beside spans, so pdata reads them. What is taken of them is what docs/formats/instrument.md lists, and
// OpenTelemetry's own http.server.active_requests and rpc.server.active_requests where a process has nothing better;
// everything else is passed over, since a process sends all its metrics to one place.

const (
	maxMetrics = 1 << 20              // bytes of a request; more is refused
	reportBeat = int64(foresail.Beat) // what a reading without an interval is taken to be of
	prefix     = "foresail.server."   // of what telemetry/instrument counts
)

// metricsOf turns a JSON request into the protobuf form.
func metricsOf(b []byte) ([]byte, error) {
	if tooDeep(b) {
		return nil, errDepth
	}
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalJSON(b); err != nil {
		return nil, err
	}
	return req.MarshalProto()
}

// takeMetrics reads a request and hands the reports in it to the sink.
func (r *Receiver) takeMetrics(sink MetricSink, b []byte) (telemetry.Result, error) {
	if len(b) > maxMetrics {
		r.stats.malformed.Add(1)
		return telemetry.Result{}, fmt.Errorf("%d bytes of metrics in one request: send at most %d", len(b), maxMetrics)
	}
	reports, err := r.reports(b)
	if err != nil {
		r.stats.malformed.Add(1)
		return telemetry.Result{}, err
	}
	r.stats.requests.Add(1)
	r.stats.bytes.Add(uint64(len(b)))
	if len(reports) == 0 {
		return telemetry.Result{}, nil
	}
	return sink.AddReports(r.cfg.Now(), reports), nil
}

func (r *Receiver) reports(b []byte) (out []telemetry.Report, err error) {
	r.decoding.Lock()
	defer r.decoding.Unlock()
	req := pmetricotlp.NewExportRequest()
	if err := req.UnmarshalProto(b); err != nil {
		return nil, err
	}
	resources := req.Metrics().ResourceMetrics()
	for i := range resources.Len() {
		out = append(out, reportsOf(resources.At(i))...)
	}
	return out, nil
}

// reportsOf are a process's reports, one for each interval that it tells of.
func reportsOf(rm pmetric.ResourceMetrics) []telemetry.Report {
	attribute := func(keys ...string) string {
		for _, k := range keys {
			if v, ok := rm.Resource().Attributes().Get(k); ok && v.Type() == pcommon.ValueTypeStr && v.Str() != "" {
				return strings.Clone(v.Str())
			}
		}
		return ""
	}
	c := collector{service: attribute("service.name"), replica: attribute("service.instance.id", "k8s.pod.name", "host.name")}
	for i := range rm.ScopeMetrics().Len() {
		metrics := rm.ScopeMetrics().At(i).Metrics()
		for k := range metrics.Len() {
			c.metric(metrics.At(k))
		}
	}
	return c.done()
}

// collector gathers data points into reports by the end of their interval.
type collector struct {
	service, replica string
	gathered         []gathered
	own              bool // there are metrics of telemetry/instrument
}

type gathered struct {
	telemetry.Report
	peak     float64 // of the whole process; negative: not told
	standard float64 // in flight by OpenTelemetry's own metrics; negative: not told
}

// maxIntervals bounds how many intervals of one process a request may tell of.
const maxIntervals = 256

// at is the report of the interval that ends at end; nil when there are too many.
func (c *collector) at(end pcommon.Timestamp) *gathered {
	for i := range c.gathered {
		if c.gathered[i].End == int64(end) {
			return &c.gathered[i]
		}
	}
	if len(c.gathered) == maxIntervals || end > math.MaxInt64 {
		return nil
	}
	c.gathered = append(c.gathered, gathered{peak: -1, standard: -1,
		Report: telemetry.Report{Service: c.service, Replica: c.replica, Start: int64(end) - reportBeat, End: int64(end)}})
	return &c.gathered[len(c.gathered)-1]
}

// metric takes a metric that is known, and of the type that it should be.
func (c *collector) metric(m pmetric.Metric) {
	var points pmetric.NumberDataPointSlice
	var put func(g *gathered, p pmetric.NumberDataPoint, v float64)
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		points, put = m.Gauge().DataPoints(), gauges[m.Name()]
		c.own = c.own || put != nil
	case pmetric.MetricTypeSum:
		if m.Sum().AggregationTemporality() == pmetric.AggregationTemporalityCumulative {
			points, put = m.Sum().DataPoints(), sums[m.Name()]
		}
	}
	if put == nil {
		return
	}
	for i := range points.Len() {
		p := points.At(i)
		v := p.DoubleValue()
		if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
			v = float64(p.IntValue())
		}
		if g := c.at(p.Timestamp()); g != nil {
			put(g, p, v)
		}
	}
}

// gauges and sums say what is done with a data point, by its metric's name. What is in flight at each endpoint adds up.
var (
	gauges = map[string]func(*gathered, pmetric.NumberDataPoint, float64){
		prefix + "in_flight": func(g *gathered, p pmetric.NumberDataPoint, v float64) {
			g.from(p)
			g.InFlight.Last += v
		},
		prefix + "in_flight.mean": func(g *gathered, _ pmetric.NumberDataPoint, v float64) { g.InFlight.Mean += v },
		prefix + "in_flight.max":  func(g *gathered, _ pmetric.NumberDataPoint, v float64) { g.InFlight.Max += v },
		prefix + "in_flight.peak": func(g *gathered, p pmetric.NumberDataPoint, v float64) { // also where there is no endpoint yet
			g.from(p)
			g.peak = v
		},
	}
	sums = map[string]func(*gathered, pmetric.NumberDataPoint, float64){
		prefix + "arrivals": func(g *gathered, p pmetric.NumberDataPoint, v float64) {
			g.since(p, foresail.SignalArrivals)
			g.Arrivals += v
		},
		prefix + "completions": func(g *gathered, p pmetric.NumberDataPoint, v float64) {
			g.since(p, foresail.SignalCompletions)
			g.Completions += v
		},
		prefix + "errors": func(g *gathered, p pmetric.NumberDataPoint, v float64) {
			g.since(p, foresail.SignalErrors)
			g.Errors += v
		},
		"http.server.active_requests": standard,
		"rpc.server.active_requests":  standard,
	}
)

func standard(g *gathered, _ pmetric.NumberDataPoint, v float64) { g.standard = max(g.standard, 0) + v }

// from takes the interval of a gauge.
func (g *gathered) from(p pmetric.NumberDataPoint) {
	if s := int64(p.StartTimestamp()); s > 0 && s < g.End {
		g.Start = s
	}
	g.Has |= foresail.SignalInFlight
}

// since takes the start of a counter.
func (g *gathered) since(p pmetric.NumberDataPoint, signal foresail.Signals) {
	if s := int64(p.StartTimestamp()); g.Since == 0 || s < g.Since {
		g.Since = s
	}
	g.Has |= signal
}

// done are the reports.
func (c *collector) done() (out []telemetry.Report) {
	for i := range c.gathered {
		g := &c.gathered[i]
		if g.peak >= 0 {
			g.InFlight.Max = g.peak
		}
		if n := g.standard; n >= 0 && !c.own {
			g.InFlight = foresail.Gauge{Last: n, Mean: n, Max: n}
			g.Has |= foresail.SignalInFlight
		}
		if g.Has != 0 {
			out = append(out, g.Report)
		}
	}
	return out
}
