package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/promfile"
	"foresail.dev/telemetry/prom"
)

// telemetryConfig is where an application is observed, where not by what runs it.
type telemetryConfig struct {
	Prometheus *promfile.Config `yaml:"prometheus"`
}

// testbedConfig is what of a testbed the file may say.
type testbedConfig struct {
	Metrics bedMetrics `yaml:"metrics"`
	Spans   string     `yaml:"spans"` // where the processes send spans, an ingester or a Collector; empty: to this daemon
}

// bedMetrics is where a testbed's metrics are for Prometheus; empty: it keeps none.
type bedMetrics struct {
	Listen  string `yaml:"listen"`
	Targets string `yaml:"targets"` // the file that tells Prometheus of the replicas, as file_sd_configs reads it

	tls   *tls.Config // beyond loopback
	guard func(http.Handler) http.Handler
}

// guardMetrics refuses an address that others can reach without TLS and a token, unless it is allowed by name.
func (c *bedConfig) guardMetrics() error {
	m := &c.metrics
	if m.Listen == "" {
		return nil
	}
	if err := access.CheckListen(m.Listen, c.ports.TLS != nil, c.ports.Tokens != nil, c.ports.Allows("metrics")); err != nil {
		return cli.Usagef("testbed.metrics.listen: %w", err)
	}
	if access.Loopback(m.Listen) {
		return nil
	}
	c.ports.Warn("metrics", m.Listen)
	m.tls = c.ports.TLS
	if c.ports.Tokens != nil {
		m.guard = func(h http.Handler) http.Handler { return c.ports.Tokens.HTTP(access.Read, h) }
	}
	return nil
}

// observed checks what is observed where, and makes files relative to the configuration's.
func (c *runConfig) observed(path string) error {
	if p := c.Telemetry.Prometheus; p != nil {
		p.Dir = filepath.Dir(path)
	}
	m := &c.Testbed.Metrics
	switch {
	case (m.Listen != "" || m.Targets != "") && c.Cluster != "testbed":
		return cli.Usagef("%s: testbed: only real processes have metrics to scrape; use cluster: testbed", path)
	case c.Testbed.Spans != "" && c.Cluster != "testbed":
		return cli.Usagef("%s: testbed.spans: only real processes send spans; use cluster: testbed", path)
	case c.Testbed.Spans != "" && c.Ingesters.Listen == "":
		return cli.Usagef("%s: testbed.spans: without ingesters.listen nobody would tell this daemon of them: give that too", path)
	case m.Targets != "" && m.Listen == "":
		return cli.Usagef("%s: testbed.metrics: targets without listen: give the address that metrics are served at, 127.0.0.1:0 for a free port", path)
	case c.Telemetry.Prometheus != nil && c.Cluster != "testbed":
		return cli.Usagef("%s: telemetry.prometheus: a simulated application is observed as it is simulated; leave it out, or use cluster: testbed", path)
	case c.Telemetry.Prometheus != nil && m.Listen == "":
		return cli.Usagef("%s: telemetry.prometheus: give testbed.metrics.listen, and a file of targets for Prometheus to find the replicas by", path)
	}
	if m.Targets != "" {
		m.Targets = cli.Relative(filepath.Dir(path), m.Targets)
	}
	return nil
}

// startBlind starts processes that send no spans.
func startBlind(ctx context.Context, c bedConfig) (*bed, error) {
	cluster, err := testbed.New(ctx, testbed.Config{Blueprint: c.blueprint, Load: c.load, Seed: c.seed,
		Log: c.log, Favour: c.favour, Metrics: c.metrics.Listen, Targets: c.metrics.Targets, MetricsTLS: c.metrics.tls, MetricsGuard: c.metrics.guard})
	if err != nil {
		return nil, err
	}
	return &bed{Cluster: cluster}, nil
}

// fromPrometheus makes a job that acts on a testbed, and observes it through Prometheus alone.
func (r *job) fromPrometheus(ctx context.Context, c bedConfig, p *promfile.Config) (err error) {
	reading, err := p.Reading(r.app)
	if err != nil {
		return cli.Usage(err)
	}
	reading.Log = func(what string) { fmt.Fprintln(r.err, what) }
	if _, err := prom.Open(ctx, reading); err != nil && !errors.Is(err, prom.ErrNothing) {
		return err // before any process starts
	}
	c.blind = true
	b, err := startBed(ctx, c)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.stop())
		}
	}()
	source, err := promfile.OpenWhenScraped(ctx, reading, r.err)
	if err != nil {
		return err
	}
	if back := p.Back(); back > 0 {
		if err := r.backfill(ctx, source, back); err != nil {
			return err
		}
	}
	r.bed = b
	r.cluster = &through{source: source, bed: b, duration: c.duration}
	return nil
}

// backfill reads what the manager would have seen, had it been here.
func (r *job) backfill(ctx context.Context, source *prom.Source, limit time.Duration) error {
	bar := cli.NewProgress(r.err)
	past, err := source.Past(ctx, prom.Past{Needs: r.manager.Needs(), Limit: limit,
		Progress: func(done float64, back time.Time) {
			bar.At(done, "reading history, back to "+back.Format(time.DateTime))
		}})
	bar.End()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		fmt.Fprintln(r.err, err) // it is worth having, but not worth failing for
	}
	if len(past) > 0 {
		fmt.Fprintf(r.err, "history: %d snapshots since %s from Prometheus\n", len(past), past[0].Start.Format(time.DateTime))
	}
	r.past = past
	return nil
}

// through acts on a testbed and observes through Prometheus.
type through struct {
	source   *prom.Source
	bed      *bed
	duration time.Duration // 0: until stopped
	began    time.Time
}

// App is the application.
func (t *through) App() *foresail.App { return t.bed.App() }

// Next is the source's, until the duration is over.
func (t *through) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if err := t.bed.Broken(); err != nil {
		return nil, err
	}
	s, err := t.source.Next(ctx)
	if err != nil {
		return nil, err
	}
	if t.began.IsZero() {
		t.began = s.Start
	}
	if t.duration > 0 && s.End.Sub(t.began) > t.duration {
		return nil, io.EOF
	}
	return s, nil
}

// Apply is the testbed's.
func (t *through) Apply(ctx context.Context, p *foresail.Plan) error { return t.bed.Apply(ctx, p) }
