// Package shaping puts the call graphs that requests take into the snapshots of what the command runs.
package shaping

import (
	"fmt"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/shapes"
)

// Config is shapes of foresail.yaml.
type Config struct {
	Always bool    `yaml:"always"` // whether or not the manager asks for them
	Traces float64 `yaml:"traces" rule:"above=0,max=100000"`
	Forms  int     `yaml:"forms" rule:"min=1,max=256"`
}

// Default is what a file leaves out.
var Default = Config{Traces: 100, Forms: shapes.DefaultForms}

// Needs are a manager's, with shapes where they are asked for in any case.
func (c Config) Needs(n foresail.Needs) foresail.Needs {
	if c.Always {
		n.Optional |= foresail.SignalShapes
	}
	return n
}

// Tap finds shapes in spans on their way, and puts them into the snapshots that are made of these. A nil one does nothing.
type Tap struct {
	mu        sync.Mutex
	collector *shapes.Collector
}

// New makes a tap for who needs so much of an application, whose requests a load generator tells of as the service users; nil where
// shapes are not needed.
func (c Config) New(app *foresail.App, n foresail.Needs, users string) *Tap {
	if n = c.Needs(n); !(n.Required | n.Optional).Has(foresail.SignalShapes) {
		return nil
	}
	o := shapes.Options{Users: users, Traces: c.Traces, Forms: c.Forms}
	if n.Traces > 0 {
		o.Traces, o.Share = 0, n.Traces
	}
	return &Tap{collector: shapes.New(app, o)}
}

// Sink gives a copy of what it gets to the tap.
func (t *Tap) Sink(next otlp.MetricSink) otlp.MetricSink {
	if t == nil {
		return next
	}
	return sink{next, t}
}

type sink struct {
	otlp.MetricSink
	tap *Tap
}

// AddBatch is the next sink's, after the tap has seen the batch.
func (s sink) AddBatch(received time.Time, b *telemetry.Batch) telemetry.Result {
	s.tap.mu.Lock()
	s.tap.collector.AddBatch(received, b)
	s.tap.mu.Unlock()
	return s.MetricSink.AddBatch(received, b)
}

// Observer makes the observer's snapshots, with shapes.
func (t *Tap) Observer(inner testbed.Observer) testbed.Observer {
	if t == nil {
		return inner
	}
	return observer{inner, t}
}

type observer struct {
	testbed.Observer
	tap *Tap
}

// Cut is the observer's.
func (o observer) Cut(end time.Time) *foresail.Snapshot {
	s := o.Observer.Cut(end)
	o.tap.mu.Lock()
	defer o.tap.mu.Unlock()
	o.tap.collector.Observe(s)
	return s
}

// Stats are what became of spans and traces; nil where there is no tap.
func (t *Tap) Stats() *shapes.Stats {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.collector.Stats()
	return &s
}

// Unavailable says, in a line, that shapes that somebody asks for can't be had.
func (t *Tap) Unavailable(why string) string {
	if t == nil {
		return ""
	}
	return fmt.Sprintf("shapes are not observed: %s\n", why)
}
