package source

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
)

// Stats tell what a reader of spans read.
type Stats struct {
	Traces   int `json:"traces"`
	Spans    int `json:"spans"`
	Inferred int `json:"inferred"` // of the spans, had no kind
}

// Options say what else is done with what is collected.
type Options struct {
	// Snapshots is told a snapshot of each interval, in order of time, with the application as it was then; nil: none are
	// made. Those of metrics are told as they come.
	Snapshots func(*foresail.App, *foresail.Snapshot) error
	Interval  time.Duration // of snapshots made of spans; 0 means 1 s
	// Services makes snapshots of spans tell services only, and not their replicas: of data with so many that no history
	// could hold them.
	Services bool
	// Spans is told all spans as they come, besides; nil: nobody is.
	Spans func([]foresail.Span) error
	// Name is the application's.
	Name string
}

// Bounds of what is collected: Alibaba's largest has 28,000 services.
var bounds = telemetry.Options{Discover: true, MaxServices: 1 << 16, MaxEndpoints: 1 << 13, MaxReplicas: 1 << 16, MaxEdges: 1 << 18, MaxCells: 1 << 20}

const maxTraces = 1 << 20 // that are told apart

// Collector takes what a reader reads, and makes of it a summary and what Options ask for.
type Collector struct {
	o       Options
	whole   *telemetry.Assembler
	windows *windows
	sum     *Summary
	traces  map[foresail.TraceID]struct{}
	scratch []foresail.Span
}

// NewCollector makes one that has collected nothing.
func NewCollector(o Options) *Collector {
	c := &Collector{o: o, sum: &Summary{spans: map[string]int{}, metrics: map[string]*metrics{}}, traces: map[foresail.TraceID]struct{}{}}
	w := bounds
	w.Whole = true
	c.whole = telemetry.NewAssembler(&foresail.App{Name: o.Name}, w)
	if o.Interval <= 0 {
		o.Interval = time.Second
	}
	if o.Snapshots != nil {
		c.windows = newWindows(&o)
	}
	return c
}

// AddSpans takes spans, in any order; it owns them.
func (c *Collector) AddSpans(spans []foresail.Span) error {
	for i := range spans {
		s := &spans[i]
		c.sum.extend(s.Start, s.End)
		c.sum.spans[s.Service]++
		if len(c.traces) < maxTraces {
			c.traces[s.Trace] = struct{}{}
		}
	}
	c.sum.Spans += len(spans)
	c.scratch = append(c.scratch[:0], spans...)
	for i := range c.scratch {
		c.scratch[i].Replica = "" // a summary tells services
	}
	c.whole.Add(c.scratch)
	clear(c.scratch)
	if c.windows != nil {
		if c.sum.Snapshots > 0 {
			return ErrBoth
		}
		if err := c.windows.add(spans); err != nil {
			return err
		}
	}
	if c.o.Spans != nil {
		return c.o.Spans(spans)
	}
	return nil
}

// AddSnapshot takes a snapshot of metrics; it owns it. Ids are those of app, to which more may be added later.
func (c *Collector) AddSnapshot(app *foresail.App, s *foresail.Snapshot) error {
	c.sum.Snapshots++
	c.sum.extend(s.Start, s.End)
	c.sum.addMetrics(app, s)
	if c.o.Snapshots == nil {
		return nil
	}
	if c.sum.Spans > 0 {
		return ErrBoth
	}
	named := *app
	named.Name, named.Generation = c.o.Name, len(app.Services)+len(app.Endpoints)
	s.Generation = named.Generation
	return c.o.Snapshots(&named, s)
}

// ErrBoth is returned where snapshots are asked for of spans and of metrics at once: both count the same requests.
var ErrBoth = errors.New("these files hold spans and metrics, which both count requests: put one of the two into a history, by naming its files")

// AddMean tells the mean response time, in seconds, of n requests of a service, for sources that give no more of it: it is
// in the summary, and in no snapshot.
func (c *Collector) AddMean(service string, n, mean float64) {
	m := c.sum.metric(service)
	m.meanCalls += n
	m.meanSum += n * mean
}

// AddEdge tells that calls go from one service to another, for sources that don't count them.
func (c *Collector) AddEdge(from, to string) { c.sum.edges = append(c.sum.edges, [2]string{from, to}) }

// Note adds a sentence about the data for a person.
func (c *Collector) Note(format string, args ...any) {
	c.sum.Notes = append(c.sum.Notes, fmt.Sprintf(format, args...))
}

// Faults are where readers note what can't be read.
func (c *Collector) Faults() *Faults { return &c.sum.Faults }

// Finish ends collecting.
func (c *Collector) Finish() (*Summary, error) {
	if c.windows != nil {
		if err := c.windows.finish(); err != nil {
			return nil, err
		}
		c.sum.Windows, c.sum.Shapes = c.windows.stats(), c.windows.shapesStats()
	}
	c.sum.Traces, c.sum.ManyTraces = len(c.traces), len(c.traces) == maxTraces
	end := c.sum.End
	if end.IsZero() {
		end = time.Unix(1, 0)
	}
	c.sum.snapshot, c.sum.app, c.sum.Assembler = c.whole.Cut(end), c.whole.App(), c.whole.Stats()
	return c.sum, nil
}

// Quantiles is a sketch of n values of which only some quantiles are known, and, where it is positive, the mean. A quantile
// between two that are known reads as the upper one; beyond the last, as that one. Shares must grow, and so should values.
// It is nil for no values.
func Quantiles(n, mean float64, shares, values []float64) *sketch.Sketch {
	if !(n > 0) || math.IsInf(n, 0) || len(values) == 0 {
		return nil
	}
	const hair = 1e-9 // so that rounding does not take a quantile that is known into the next one
	s, before, v := sketch.New(), 0.0, 0.0
	for i := range values {
		upTo := min(shares[i]+hair, 1)
		if i == len(values)-1 {
			upTo = 1
		}
		k := n * (upTo - before)
		before, v = upTo, max(v, values[i])
		switch {
		case v <= 0:
			s.AddN(0, k)
		case mean > 0:
			s.AddBucket(sketch.Index(v), k, k*mean)
		default:
			s.AddN(v, k)
		}
	}
	return s
}

// Inferred tells how many spans had no kind.
func (c *Collector) Inferred(n int) { c.sum.Inferred += n }
