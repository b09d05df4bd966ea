// Package trace gives the testbed's processes an OpenTelemetry tracer whose spans leave over OTLP, in batches, from a
// bounded queue.
package trace

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Limits of a process's span queue.
const (
	Interval  = 100 * time.Millisecond // a batch leaves this long after its first span
	QueueSize = 16_384                 // spans waiting at most; more are dropped and counted
	BatchSize = 4_096                  // spans in one request at most
	Patience  = 2 * time.Second        // for the receiver to take a batch, retries included; then it is dropped and counted
)

// Provider makes spans and sends them.
type Provider struct {
	sdk   *sdk.TracerProvider
	batch *batcher
}

// New sends spans of service, replica instance, to the OTLP receiver at address (host:port, gRPC, no TLS). Without an address
// it makes spans that nobody keeps.
func New(ctx context.Context, address, service, instance string) (*Provider, error) {
	if address == "" {
		return &Provider{sdk: sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())), batch: newBatcher(nil)}, nil
	}
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(address), otlptracegrpc.WithInsecure(), otlptracegrpc.WithTimeout(Patience),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{Enabled: true, InitialInterval: Interval, MaxInterval: 4 * Interval, MaxElapsedTime: Patience}))
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter to %s: %w", address, err)
	}
	b := newBatcher(exporter)
	p := sdk.NewTracerProvider(
		sdk.WithSpanProcessor(b),
		sdk.WithSampler(sdk.AlwaysSample()),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", service), attribute.String("service.instance.id", instance))),
	)
	return &Provider{sdk: p, batch: b}, nil
}

// Tracer makes spans.
func (p *Provider) Tracer() trace.Tracer { return p.sdk.Tracer("foresail.dev/cluster/testbed") }

// Dropped is how many spans were lost because the queue was full or the receiver did not take them.
func (p *Provider) Dropped() int64 { return p.batch.dropped.Load() }

// Shutdown sends what waits and ends.
func (p *Provider) Shutdown(ctx context.Context) error { return p.sdk.Shutdown(ctx) }

// batcher is a span processor that wakes only when there are spans: dozens of idle processes cost nothing. The SDK's
// own wakes at each interval, and does not tell how many spans it dropped.
type batcher struct {
	exporter sdk.SpanExporter
	dropped  atomic.Int64
	mu       sync.Mutex
	waiting  []sdk.ReadOnlySpan
	armed    bool // a flush is due
	closed   bool
	flushing sync.Mutex // one export at a time
}

func newBatcher(e sdk.SpanExporter) *batcher { return &batcher{exporter: e} }

func (b *batcher) OnStart(context.Context, sdk.ReadWriteSpan) {}

func (b *batcher) OnEnd(s sdk.ReadOnlySpan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.waiting) >= QueueSize {
		b.dropped.Add(1)
		return
	}
	b.waiting = append(b.waiting, s)
	if !b.armed {
		b.armed = true
		time.AfterFunc(Interval, func() { _ = b.ForceFlush(context.Background()) })
	}
}

// ForceFlush sends everything that waits now.
func (b *batcher) ForceFlush(ctx context.Context) error {
	b.flushing.Lock()
	defer b.flushing.Unlock()
	b.mu.Lock()
	spans := b.waiting
	b.waiting, b.armed = nil, false
	b.mu.Unlock()
	var failed error
	for len(spans) > 0 {
		n := min(len(spans), BatchSize)
		if err := b.exporter.ExportSpans(ctx, spans[:n]); err != nil {
			b.dropped.Add(int64(n))
			failed = err
		}
		spans = spans[n:]
	}
	return failed
}

// Shutdown sends what waits and takes no more. It is safe to call twice.
func (b *batcher) Shutdown(ctx context.Context) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	b.mu.Unlock()
	err := b.ForceFlush(ctx)
	if e := b.exporter.Shutdown(ctx); err == nil {
		err = e
	}
	return err
}
