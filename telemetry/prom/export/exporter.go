// Package export shows what Foresail observes, expects and decides as metrics for Prometheus: on /metrics, in the text
// format, OpenMetrics or protobuf, latency as native histograms with classic buckets beside them.
//
// An Exporter is told by the loop, and never makes it wait. The number of series is bounded: a family that reaches its limit
// counts the rest under the label value "other", and says how many they are.
package export

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"foresail.dev"
	"foresail.dev/loop"
)

// Config says what is shown of an application.
type Config struct {
	App     *foresail.App
	Manager string    // shown until the first plan names one
	Mode    loop.Mode //
	Hold    time.Duration
	Start   time.Time // since when counters count; zero: the start of the first snapshot

	Replicas bool // series of each replica
	Limit    int  // series of one family; 0: DefaultLimit
}

// DefaultLimit is how many series a family has when Config.Limit is 0: far beyond what anybody draws, and few enough to scrape.
const DefaultLimit = 5000

// waiting is how many turns of the loop are kept for a scrape that takes long.
const waiting = 256

// Exporter collects what the loop tells it. Its methods may be called from any goroutine.
type Exporter struct {
	registry *prometheus.Registry

	inbox   sync.Mutex
	told    []func() // in order
	dropped int

	mu       sync.Mutex // of all below
	cfg      Config
	observed *observed
	decided  *decisions
	sources  []Source
}

// Source tells values of Foresail itself when they are asked for: names are those of Families, labels in their order.
type Source func(emit func(name string, v float64, labels ...string))

// New makes an exporter that has seen nothing yet.
func New(cfg Config) *Exporter {
	if cfg.Limit <= 0 {
		cfg.Limit = DefaultLimit
	}
	e := &Exporter{cfg: cfg, registry: prometheus.NewRegistry()}
	e.registry.MustRegister(e, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	e.decided = newDecisions(e.cfg)
	return e
}

// Add has a source asked at every scrape.
func (e *Exporter) Add(s Source) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sources = append(e.sources, s)
}

// Gatherer gives all series as they are now.
func (e *Exporter) Gatherer() prometheus.Gatherer { return e.registry }

// Handler answers scrapes.
func (e *Exporter) Handler() http.Handler {
	return promhttp.HandlerFor(e.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError})
}

// Events are what the loop tells. They take as long as taking in one snapshot, and no longer: while a scrape is under way it
// waits in a list, which is bounded.
func (e *Exporter) Events() loop.Events {
	return loop.Events{
		Observed: func(h *foresail.History, s *foresail.Snapshot) {
			app := h.App()
			e.tell(func() { e.observe(app, s) })
		},
		Decided: func(d loop.Decision) { e.tell(func() { e.decided.take(&d) }) },
	}
}

func (e *Exporter) tell(f func()) {
	e.inbox.Lock()
	if len(e.told) < waiting {
		e.told = append(e.told, f)
	} else {
		e.dropped++
	}
	e.inbox.Unlock()
	if e.mu.TryLock() {
		e.catchUp()
		e.mu.Unlock()
	}
}

// catchUp takes in what was told; e.mu is held.
func (e *Exporter) catchUp() {
	e.inbox.Lock()
	told := e.told
	e.told = nil
	e.inbox.Unlock()
	for _, f := range told {
		f()
	}
}

func (e *Exporter) observe(app *foresail.App, s *foresail.Snapshot) {
	if e.observed == nil {
		if e.cfg.Start.IsZero() {
			e.cfg.Start = s.Start
		}
		e.observed = newObserved(e.cfg.Limit, e.cfg.Replicas, e.cfg.Start)
	}
	e.observed.take(app, s)
	e.decided.observe(app, s)
}

// Describe says nothing: which series there are depends on the application.
func (e *Exporter) Describe(chan<- *prometheus.Desc) {}

// Collect yields every series, as they are at one moment.
func (e *Exporter) Collect(out chan<- prometheus.Metric) {
	var all []prometheus.Metric
	e.mu.Lock()
	e.catchUp()
	e.collect(func(m prometheus.Metric) { all = append(all, m) })
	e.mu.Unlock()
	for _, m := range all {
		out <- m
	}
}

func (e *Exporter) collect(emit func(prometheus.Metric)) {
	b := board{emit: emit, start: e.cfg.Start, limit: e.cfg.Limit}
	if e.observed != nil {
		e.observed.collect(emit)
		names, counts := e.observed.foldedFamilies()
		for i, n := range names {
			b.put("foresail_metrics_folded_series", float64(counts[i]), n)
		}
		b.put("foresail_metrics_skipped_snapshots_total", float64(e.observed.skipped+e.dropped))
	}
	version, golang := build()
	b.put("foresail_build_info", 1, golang, version)
	for _, s := range e.sources {
		s(b.put)
	}
	b.application = e.cfg.App.Name
	e.decided.collect(&b)
}

// build tells which Foresail this is.
func build() (version, golang string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", runtime.Version()
	}
	return info.Main.Version, info.GoVersion
}
