// Package remote keeps history in somebody's own metrics cluster: Prometheus, Mimir, Thanos, VictoriaMetrics or whatever else
// takes remote write and answers PromQL. It is a store.History.
//
// Snapshots are the series of package series, with one label more, `history`, so that they are told apart from those that a scrape
// of /metrics brings. They are read back as raw samples, by range selectors. Latency comes back in whichever form the server
// keeps it: native histograms, VictoriaMetrics' vmrange buckets, or classic buckets (see write.Classic).
//
// What the server rounds or drops is lost: see docs/decisions/prometheus-out.md for what was measured.
package remote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"

	"foresail.dev"
	"foresail.dev/telemetry/prom/write"
	"foresail.dev/telemetry/series"
	"foresail.dev/telemetry/store"
)

// Label tells the series of a history from others of the same names.
const Label = "history"

// Config says where history is.
type Config struct {
	App  *foresail.App // required: whose history
	Name string        // of the history, the value of its label; empty: "main"

	// Write says where snapshots are sent. An empty URL: the history is read only.
	Write write.Config

	// URL is where PromQL is answered, without /api/v1: http://127.0.0.1:9090, http://mimir:8080/prometheus. Empty: it is not read.
	URL     string
	Client  *http.Client      // as write.Config's
	Headers map[string]string // of queries

	Since time.Duration // how far back the oldest snapshot is looked for; 0: 90 days
	Wait  time.Duration // for one answer, or for one snapshot to be taken; 0: 30 s
	Now   func() time.Time
}

// History is a history elsewhere. It may be read while it is written; it is written by one goroutine at a time.
type History struct {
	cfg    Config
	write  *write.Client
	reader *reader
	base   context.Context // of every Append
	cancel context.CancelFunc

	mu      sync.Mutex
	app     *foresail.App
	encoder *series.Encoder
	pending []write.Sample
	named   map[*series.Series]labels.Labels // what a series is sent as
	first   time.Time                        // start of the oldest
	last    time.Time                        // end of the newest
}

var _ store.History = (*History)(nil)

// Open asks how far the history goes, unless it is not read.
func Open(ctx context.Context, cfg Config) (*History, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	h := &History{cfg: cfg, app: cfg.App, encoder: series.NewEncoder()}
	h.base, h.cancel = context.WithCancel(context.Background())
	if cfg.Write.URL != "" {
		c, err := write.New(cfg.Write)
		if err != nil {
			return nil, err
		}
		h.write = c
	}
	if cfg.URL != "" {
		r, err := newReader(cfg)
		if err != nil {
			return nil, err
		}
		h.reader = r
		if h.first, h.last, err = r.extent(ctx); err != nil {
			return nil, fmt.Errorf("remote history: %w", err)
		}
	}
	return h, nil
}

func (c *Config) fill() error {
	if c.App == nil {
		return errors.New("remote history: Config.App is missing")
	}
	if c.Write.URL == "" && c.URL == "" {
		return errors.New("remote history: give a URL to write to, one to read from, or both")
	}
	if c.Name == "" {
		c.Name = "main"
	}
	if c.Since <= 0 {
		c.Since = 90 * 24 * time.Hour
	}
	if c.Wait <= 0 {
		c.Wait = 30 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Write.Meta == nil {
		c.Write.Meta = meta
	}
	return nil
}

// meta tells the server what a series is.
func meta(name string) metadata.Metadata {
	d, ok := series.Lookup(name)
	if !ok {
		return metadata.Metadata{}
	}
	return metadata.Metadata{Type: model.MetricType(d.Kind.String()), Help: d.Help, Unit: d.Unit}
}

// Append sends a snapshot, and returns nil once the server has it. After an error counters begin anew, so that what was lost is
// not taken for what a later snapshot gained.
func (h *History) Append(app *foresail.App, s *foresail.Snapshot) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.write == nil {
		return errors.New("remote history: it is read only: no URL to write to was given")
	}
	if app.Name != h.cfg.App.Name {
		return fmt.Errorf("remote history: %w", store.ErrApplication)
	}
	if s.Start.Before(h.last) {
		return fmt.Errorf("remote history: %w: a snapshot from %s on, and it goes until %s", store.ErrOverlap,
			s.Start.UTC().Format(time.RFC3339Nano), h.last.UTC().Format(time.RFC3339Nano))
	}
	// Call graphs are not sent: a label that holds a form is longer than many servers take.
	samples, err := h.encoder.Encode(app, series.WithoutShapes(s))
	if err != nil {
		return fmt.Errorf("remote history: %w", err)
	}
	h.pending = h.pending[:0]
	for i := range samples {
		h.pending = append(h.pending, h.sample(&samples[i]))
	}
	ctx, cancel := context.WithTimeout(h.base, h.cfg.Wait)
	defer cancel()
	if err := h.write.Send(ctx, h.pending); err != nil {
		h.encoder.Reset()
		return err
	}
	h.app, h.last = app, s.End
	if h.first.IsZero() {
		h.first = s.Start
	}
	return nil
}

// maxNamed bounds the series whose labels are remembered: replicas come and go.
const maxNamed = 200_000

// sample is one as it is sent. Labels are made once for each series.
func (h *History) sample(p *series.Sample) write.Sample {
	l, ok := h.named[p.Series]
	if !ok {
		if h.named == nil || len(h.named) >= maxNamed {
			h.named = map[*series.Series]labels.Labels{}
		}
		b := labels.NewBuilder(p.Labels)
		b.Set(Label, h.cfg.Name)
		l = b.Labels()
		h.named[p.Series] = l
	}
	return write.Sample{Labels: l, T: p.T, V: p.V, H: p.H}
}

// Range is the start of the oldest and the end of the newest snapshot; zero where there is none, or none was looked for.
func (h *History) Range() (from, to time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.first, h.last
}

// App is the application as it was last appended, or as it was configured.
func (h *History) App() *foresail.App {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.app
}

// Stats counts what was sent.
func (h *History) Stats() write.Stats {
	if h.write == nil {
		return write.Stats{}
	}
	return h.write.Stats()
}

// Cancel makes an Append that waits for the server, and every later one, fail. It may be called at any time.
func (h *History) Cancel() { h.cancel() }

// Close ends it. What was appended is there.
func (h *History) Close() error {
	h.cancel()
	return nil
}
