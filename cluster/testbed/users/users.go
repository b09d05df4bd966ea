// Package users is the load generator as a process of its own: it sends the requests that a load asks for, when their
// time has come and whether or not earlier ones were answered, and measures each from that intended time.
package users

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/rpc"
	tracing "foresail.dev/cluster/testbed/trace"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/load"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Service is the service that root spans belong to.
const Service = "users"

// turn is how often the generator looks at orders and at the curve.
const turn = 20 * time.Millisecond

var errOutstanding = errors.New("too many requests outstanding")

type generator struct {
	boot    *wire.Boot
	clock   wire.Clock
	spans   *tracing.Provider
	tracer  trace.Tracer
	table   rpc.Table
	client  *rpc.Client
	figures *figures
	out     *wire.Writer

	load        atomic.Pointer[load.Load]
	begin       atomic.Int64 // ns since the epoch: the load's offset 0
	outstanding atomic.Int64
	stop        atomic.Bool

	mu   sync.Mutex
	rng  *rand.Rand // of retries and of closed users
	crew int        // users that a closed load has now
	here []bool     // by user: has come and not left
}

// Run is the life of the users: it takes orders from in and reports to out, until it is told to stop (0), its parent is
// gone or it fails (1).
func Run(in io.Reader, out io.Writer) int {
	g := &generator{out: wire.NewWriter(out)}
	return wire.Serve(in, g.out, g.take)
}

func (g *generator) take(m wire.ToChild, ended chan<- error) (err error) {
	switch {
	case m.Boot != nil:
		debug.SetGCPercent(400)
		g.boot, g.clock, g.figures = m.Boot, wire.NewClock(m.Boot.Epoch), newFigures(m.Boot.Blueprint.App)
		g.rng = rand.New(rand.NewPCG(m.Boot.Seed, 1))
		g.client = rpc.NewClient(&g.table, g.uniform, nil)
		g.load.Store(m.Boot.Load)
		if g.spans, err = tracing.New(context.Background(), m.Boot.OTLP, Service, m.Boot.Name); err != nil {
			return err
		}
		g.tracer = g.spans.Tracer()
		return g.out.Write(wire.ToParent{Ready: "-"})
	case g.boot == nil:
		return errors.New("an order came before the boot message")
	case m.Routes != nil:
		g.table.Set(m.Routes)
		return g.out.Write(wire.ToParent{Ack: m.Routes.Version})
	case m.Load != nil:
		g.load.Store(m.Load)
	case m.Begin != nil:
		g.begin.Store(int64(*m.Begin))
		go g.run()
		go g.report()
	case m.Drain:
		go func() { ended <- g.drain() }()
	}
	return nil
}

func (g *generator) uniform() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rng.Float64()
}

// drain sends no more, tells the final figures and sends the spans that wait.
func (g *generator) drain() error {
	g.stop.Store(true)
	err := g.out.Write(wire.ToParent{Figures: g.figures.copy(g.clock.Elapsed(), true)})
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = g.spans.Shutdown(ctx)
	return err
}

func (g *generator) report() {
	for !g.stop.Load() {
		time.Sleep(time.Second)
		_ = g.out.Write(wire.ToParent{Figures: g.figures.copy(g.clock.Elapsed(), false)})
		if n := g.spans.Dropped(); n > 0 {
			_ = g.out.Write(wire.ToParent{Dropped: n})
		}
	}
}

// request makes one request, intended at an offset from the epoch, and counts it. Its span begins at the intended time.
func (g *generator) request(e foresail.EndpointID, intended time.Duration) error {
	g.figures.sent(e)
	ctx, span := g.tracer.Start(context.Background(), g.boot.Blueprint.App.Endpoints[e].Name,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(g.clock.At(intended)))
	entry := g.boot.Blueprint.Entries[e]
	size := g.boot.Blueprint.Services[entry.Service].Operations[entry.Operation].Request
	err := errOutstanding
	if g.outstanding.Add(1) <= int64(g.boot.Limit) {
		err = g.client.Attempts(ctx, g.patience(e), func(ctx context.Context) error {
			return g.client.Do(ctx, entry, size)
		})
	}
	g.outstanding.Add(-1)
	at := g.clock.Elapsed()
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(g.clock.At(at)))
	g.figures.ended(e, at-intended, err)
	return err
}

func (g *generator) patience(e foresail.EndpointID) foresail.Patience {
	if int(e) < len(g.boot.Blueprint.Timeouts) {
		return g.boot.Blueprint.Timeouts[e]
	}
	return foresail.Patience{}
}
